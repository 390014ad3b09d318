// The whole visit: from the link to the last pair. The server's state says what comes next.

import { Api, Refused, forgetName, isKnown, setName } from "./api.js";
import { byId, element } from "./elements.js";
import { belongsToFocus, meaning } from "./keys.js";
import { Pairs } from "./pairs.js";
import { askConsent, askName, hideText, paragraph, showInstructions, showMessage, showText } from "./screens.js";
import { Trial } from "./trial.js";
import { newId } from "./identifiers.js";

const VERSION = "1";
const PENDING = "pending"; // the answer that the server has not acknowledged, kept over a reload
const api = new Api(showWaiting);
const app = { session: null, state: null, pairs: null, trial: null, busy: false, singleKeys: true, instructed: false };

async function start() {
  if (!isKnown()) {
    const study = await api.json("/api/study");
    byId("task").textContent = study.task;
    if (study.identity === "token") {
      showText("A personal link is needed", [paragraph("Open the personal link that you were given.")]);
      return;
    }
    askName(study, (name) => {
      setName(name);
      attempt(start);
    });
    return;
  }
  app.session = await api.json("/api/session");
  const { study } = app.session;
  byId("task").textContent = study.task;
  document.title = `${study.task}: label pairs`;
  byId("menu-button").hidden = false;
  app.pairs = new Pairs(api, app.session);
  app.trial = new Trial(app.session, app.pairs, { next, undo });
  const pending = sessionStorage.getItem(PENDING);
  if (pending === null) await follow(app.session.state);
  else await deliver(JSON.parse(pending));
}

/** Runs a step of the visit; what goes wrong is told in one sentence. */
async function attempt(step, ...given) {
  if (app.busy) return;
  app.busy = true;
  try {
    await step(...given);
  } catch (error) {
    fail(error);
  } finally {
    app.busy = false;
  }
}

function fail(error) {
  if (!(error instanceof Refused)) console.error(error);
  const sentence = error instanceof Refused ? error.message : `This page could not go on: ${error.message}.`;
  if (error instanceof Refused && error.status === 401) forgetName();
  if (app.trial !== null && app.trial.item !== null && error.status !== 401 && error.code !== "dataset-changed") {
    app.trial.problem(sentence);
    return;
  }
  app.trial?.hide();
  showText("That did not work", [paragraph(sentence)], [["Try again", () => location.reload()]]);
}

/** Goes where the server's state says. */
async function follow(state) {
  app.state = state;
  showProgress(state);
  if (state.stage !== "practice" && state.stage !== "questions") {
    app.trial.hide();
    showStage(state);
    return;
  }
  if (state.upcoming.length === 0) {
    app.trial.hide();
    showText("No pair is free at the moment", [paragraph("The other annotators hold the rest. Please try again in a minute.")],
      [["Try again", () => attempt(reload)]]);
    return;
  }
  if (state.stage === "practice" && !app.instructed) {
    await instructions("Begin practice");
    return;
  }
  if (state.progress.break_due) {
    offerBreak(state);
    return;
  }
  await showPair();
}

async function showPair() {
  hideText();
  const { upcoming, progress } = app.state;
  const item = upcoming[0];
  const data = await app.pairs.load(item);
  const title = item.practice ? "Practice pair" : `Pair ${Math.min(progress.answered + 1, progress.total)} of ${progress.total}`;
  byId("undo").disabled = item.practice;
  app.trial.show(item, data, title);
  performance.mark("pair-drawn");
  app.pairs.prefetch(upcoming.slice(1)); // only now: the pair that is waited for comes first
}

async function next(trial) {
  if (app.feedback) {
    app.feedback = null;
    await attempt(follow, app.state);
    return;
  }
  const path = trial.item.practice ? "/api/practice" : "/api/answer";
  await attempt(deliver, { path, body: { ...trial.body, id: newId(), page: VERSION } });
}

/** Sends an answer until it is acknowledged; only then the page moves on. */
async function deliver(pending) {
  sessionStorage.setItem(PENDING, JSON.stringify(pending));
  app.trial.questions.lock(true);
  let answer;
  try {
    answer = await api.json(pending.path, pending.body);
  } catch (error) {
    app.trial.questions.lock(false);
    sessionStorage.removeItem(PENDING);
    if (!(error instanceof Refused) || !error.body?.state) throw error;
    await follow(error.body.state);
    if (app.trial.item !== null) app.trial.problem(error.message); // answered in another tab: this is the next pair
    return;
  }
  sessionStorage.removeItem(PENDING);
  if (answer.feedback?.length > 0 && app.trial.item !== null) showFeedback(answer);
  else await follow(answer.state);
}

function showFeedback(answer) {
  app.feedback = answer.feedback;
  app.state = answer.state;
  app.pairs.prefetch(answer.state.upcoming);
  byId("feedback").replaceChildren(...answer.feedback.map(({ right, text }) =>
    element("p", { class: right === true ? "right" : right === false ? "wrong" : "" }, text)));
  byId("feedback").hidden = false;
  app.trial.hint("Enter goes on.");
}

async function undo() {
  if (app.feedback || app.trial.item?.practice) return;
  if (!app.state.progress.can_undo) {
    app.trial.problem("There is nothing to take back.");
    return;
  }
  await attempt(async () => {
    const { state } = await api.json("/api/undo", { id: newId() });
    await follow({ ...state, progress: { ...state.progress, break_due: false } });
    app.trial.hint("Taken back: answer this pair again.");
  });
}

async function reload() {
  await follow((await api.json("/api/session")).state);
}

async function beginSession() {
  await follow((await api.json("/api/session", {})).state);
}

async function instructions(label) {
  app.trial.hide();
  const item = app.state.upcoming[0];
  const example = item === undefined ? null : app.pairs.scenes(await app.pairs.load(item), item).scenes[0];
  showInstructions(app.session, example, () => {
    app.instructed = true;
    attempt(follow, app.state);
  }, label);
}

function showStage(state) {
  const { study } = app.session;
  const answered = `You have answered ${state.progress.answered} of ${state.progress.total} pairs.`;
  const screens = {
    information: () => askConsent(study, () => attempt(consent, true), () => attempt(consent, false)),
    "session-over": () => showText("Time for a rest", [
      paragraph(`This session is over: ${Math.round(study.session_seconds / 60)} minutes are enough at a time. ${answered}`),
      paragraph("All your answers are saved. Come back when you are rested.")], [["Begin a new session", () => attempt(beginSession)]]),
    done: () => showText("Thank you", [paragraph(`${answered} There are no more for you.`), paragraph("You may close this page.")],
      state.progress.can_undo ? [["Undo the last answer", () => undo()]] : []),
    withdrawn: () => showText("You have withdrawn", [paragraph(app.withdrawal ?? "Your answers were deleted."), paragraph("You may close this page.")]),
  };
  screens[state.stage]();
}

async function consent(agreed) {
  const { state } = await api.json("/api/consent", { id: newId(), agreed });
  if (agreed) await follow(state);
  else showText("You do not take part", [paragraph("Nothing was kept. You may close this page.")], [["Read the information again", () => attempt(follow, state)]]);
}

function offerBreak(state) {
  app.trial.hide();
  hideText();
  showMessage("Time for a short break?", [`You have answered ${state.progress.answered} of ${state.progress.total} pairs. They are saved.`,
    "Look out of the window for a minute, then go on."], [["Go on", () => attempt(showPair), "Enter"]]);
}

function openMenu() {
  const playing = app.trial.item !== null && app.trial.clock.playing;
  if (playing) app.trial.clock.pause();
  byId("menu-keys").setAttribute("aria-pressed", String(app.singleKeys));
  byId("menu-withdraw").hidden = app.session.study.quick || app.state.stage === "withdrawn";
  byId("menu-instructions").hidden = byId("menu-break").hidden = app.trial.item === null;
  byId("menu").showModal();
}

function wireMenu() {
  const menu = byId("menu");
  const click = (id, action) => byId(id).addEventListener("click", () => {
    menu.close();
    byId("main").focus({ preventScroll: true });
    action();
  });
  byId("menu-button").addEventListener("click", openMenu);
  click("menu-close", () => {});
  click("menu-instructions", () => attempt(instructions, "Go on"));
  click("menu-break", () => showMessage("A break", ["The clips are stopped. Your answers so far are saved."], [["Go on", () => {}, "Enter"]]));
  click("menu-withdraw", () => showMessage("Withdraw from the study?", ["All your answers will be deleted. This cannot be undone."],
    [["Keep them", () => {}], ["Delete my answers", () => attempt(withdraw)]]));
  byId("menu-keys").addEventListener("click", () => {
    app.singleKeys = !app.singleKeys;
    byId("menu-keys").setAttribute("aria-pressed", String(app.singleKeys));
  });
}

async function withdraw() {
  const { message, state } = await api.json("/api/withdraw", { id: newId(), confirm: "withdraw" });
  app.withdrawal = message;
  await follow(state);
}

function showProgress({ stage, progress }) {
  byId("progress").hidden = stage === "information" || stage === "withdrawn";
  byId("bar").max = Math.max(1, progress.total);
  byId("bar").value = progress.answered;
  byId("count").textContent = `${progress.answered} of ${progress.total}`;
  const minutes = progress.seconds_left === null ? null : Math.max(1, Math.round(progress.seconds_left / 60));
  byId("minutes").textContent = minutes === null || progress.answered >= progress.total ? "" : `about ${minutes} min left`;
  const unsaved = progress.not_yet_saved_remotely;
  byId("unsaved").textContent = unsaved ? `${unsaved} ${unsaved === 1 ? "answer is" : "answers are"} not yet safe in the repository` : "";
}

let countdown = 0;
function showWaiting(wait) {
  clearInterval(countdown);
  byId("waiting").hidden = wait === null;
  if (wait === null) return;
  if (byId("waiting-text").textContent !== wait.sentence) byId("waiting-text").textContent = wait.sentence;
  const until = performance.now() + 1000 * wait.seconds;
  const show = () => {
    byId("waiting-seconds").textContent = `Next try in ${Math.max(0, Math.ceil((until - performance.now()) / 1000))} s.`;
  };
  show();
  countdown = setInterval(show, 500);
  byId("waiting-now").onclick = wait.now;
}

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]") !== null || belongsToFocus(event)) return;
  const meant = meaning(event);
  if (meant === null) return;
  const shown = app.trial !== null && app.trial.item !== null;
  if (!shown) {
    if (meant.command === "next") byId("text").querySelector("button.primary:not(:disabled)")?.click();
    return;
  }
  if (!app.singleKeys && !["next", "undo", "play"].includes(meant.command)) return;
  event.preventDefault();
  if (event.repeat && meant.command !== "back" && meant.command !== "forward") return;
  if (meant.command !== undefined) app.trial.command(meant.command);
  else if (!app.feedback) app.trial.questions.choose(meant.question, meant.value);
});
addEventListener("pagehide", () => {
  if (app.session !== null) api.leave();
});
wireMenu();
attempt(start);
