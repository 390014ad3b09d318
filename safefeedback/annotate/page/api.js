// Requests to the server: who asks, errors as one sentence, and the same request again until the server has it.

const PATIENCE = [0.5, 1, 2, 4, 8]; // seconds before each further try, the last for all that follow
const AGAIN = new Set([429, 503, 507]);
const STALE = new Set(["dataset-changed"]); // trying again does not help

export class Refused extends Error {
  constructor(status, body) {
    super(body?.error?.message ?? `The server answered with an error (${status}).`);
    this.status = status;
    this.code = body?.error?.code ?? "";
    this.body = body;
  }
}

/** Takes the token or the name out of the address, so that neither stays in the address bar. */
function identity() {
  const query = new URLSearchParams(location.search);
  for (const key of ["token", "name"]) {
    if (query.has(key)) {
      sessionStorage.removeItem(key === "token" ? "name" : "token");
      sessionStorage.setItem(key, query.get(key));
      query.delete(key);
    }
  }
  history.replaceState(null, "", location.pathname + (query.size ? `?${query}` : ""));
  const token = sessionStorage.getItem("token");
  const name = sessionStorage.getItem("name");
  return token ? { Authorization: `Bearer ${token}` } : name ? { "X-Annotator": name } : {};
}

let headers = identity();

export function isKnown() {
  return Object.keys(headers).length > 0;
}

export function setName(name) {
  sessionStorage.setItem("name", name);
  headers = { "X-Annotator": name };
}

export function forgetName() {
  sessionStorage.removeItem("name");
  sessionStorage.removeItem("token");
  headers = {};
}

/** One try. Throws Refused for an error of the server, TypeError where it cannot be reached. */
async function send(path, body, options = {}) {
  const response = await fetch(path, {
    ...options,
    method: body === undefined ? "GET" : "POST",
    headers: body === undefined ? headers : { ...headers, "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: "no-store",
  });
  if (response.ok) return response;
  const refused = new Refused(response.status, await response.json().catch(() => null));
  refused.wait = Number(response.headers.get("Retry-After")) || 0;
  throw refused;
}

/** Tries until it succeeds or the server refuses for good. `waiting({sentence, seconds, now})` hears of every wait; null ends it. */
async function persist(path, body, waiting) {
  for (let tries = 0; ; tries++) {
    try {
      const response = await send(path, body);
      if (tries > 0) waiting(null);
      return response;
    } catch (error) {
      const refused = error instanceof Refused;
      if (refused && (!AGAIN.has(error.status) || STALE.has(error.code))) {
        if (tries > 0) waiting(null);
        throw error;
      }
      const kept = body === undefined ? "" : " Your answer is kept here and sent again.";
      const sentence = refused ? error.message : `The server cannot be reached.${kept}`;
      const seconds = Math.max(PATIENCE[Math.min(tries, PATIENCE.length - 1)], refused ? error.wait : 0);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, 1000 * seconds);
        const now = () => {
          clearTimeout(timer);
          resolve();
        };
        waiting({ sentence, seconds, now });
      });
    }
  }
}

export class Api {
  constructor(waiting) {
    this.waiting = waiting;
  }

  async json(path, body) {
    return (await persist(path, body, this.waiting)).json();
  }

  async bytes(path) {
    return (await persist(path, undefined, this.waiting)).arrayBuffer();
  }

  /** An image, or null where there is none. */
  async image(path) {
    try {
      return await createImageBitmap(await (await persist(path, undefined, this.waiting)).blob());
    } catch (error) {
      if (error instanceof Refused && error.status === 404) return null;
      throw error;
    }
  }

  leave() {
    send("/api/leave", {}, { keepalive: true }).catch(() => {}); // the page is closing: nobody could be told
  }
}
