// Elements without markup in strings: no text from the server is ever read as HTML.

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

export function byId(id) {
  return document.getElementById(id);
}

/** A key's name as it is shown on a button; not part of the button's own name. */
export function keyCap(name) {
  return element("kbd", { "aria-hidden": "true" }, name);
}

/** Headings and paragraphs of the study's own text. */
export function sections(parts) {
  return parts.map((part) => element("section", {}, element("h2", {}, part.heading), ...part.paragraphs.map((text) => element("p", {}, text))));
}
