// Everything that is text: who you are, the information page and consent, instructions, breaks, the end.

import { byId, element, keyCap, sections } from "./elements.js";
import { Panel } from "./panel.js";

/** Shows a page of text in place of the pair; choices are [label, action, key cap or null], the first one is the main one. */
export function showText(title, parts, choices = []) {
  const holder = byId("text");
  const buttons = choices.map(([label, action, key], index) =>
    element("button", { type: "button", class: index === 0 ? "primary" : "quiet", onclick: action }, label, key ? keyCap(key) : null));
  holder.replaceChildren(element("h1", {}, title), ...parts, element("div", { class: "choices" }, ...buttons));
  holder.hidden = false;
  byId("main").scrollTop = 0;
  byId("main").focus({ preventScroll: true });
  return buttons;
}

export function hideText() {
  byId("text").hidden = true;
  byId("text").replaceChildren();
}

export function paragraph(text) {
  return element("p", {}, text);
}

/** Asks for a name: one of a list, or any. */
export function askName(study, chosen) {
  if (study.names !== null) {
    showText("Who are you?", [paragraph(`You label pairs of ${study.task}.`)], study.names.map((name) => [name, () => chosen(name)]));
    return;
  }
  const field = element("input", { type: "text", id: "name", maxlength: "40", autocomplete: "off", spellcheck: "false" });
  const wrong = element("p", { role: "alert" });
  const go = () => {
    if (/^[\w-]{1,40}$/.test(field.value)) chosen(field.value);
    else wrong.textContent = "A name has 1 to 40 letters, digits, - or _.";
  };
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") go();
  });
  showText("Who are you?", [
    paragraph(`You label pairs of ${study.task}. Your name is kept with your answers and replaced by a number before anything is published.`),
    element("label", { class: "field" }, "Your name", field), wrong], [["Begin", go, "Enter"]]);
  field.focus();
}

/** The information page with the box that consents. */
export function askConsent(study, agreed, refused) {
  const box = element("input", { type: "checkbox", id: "consent" });
  const [go] = showText("Before you begin", [...sections(study.information), element("label", { for: "consent" }, box, element("span", {}, study.consent))],
    [["I agree", agreed], ["I do not agree", refused]]);
  go.disabled = true;
  box.addEventListener("change", () => {
    go.disabled = !box.checked;
  });
}

const KEYS = [
  [["Space"], "plays and pauses both clips"],
  [["←", "→"], "one step back or forward"],
  [["↓", "↑"], "slower or faster"],
  [["1", "2", "3", "4"], "which one is better"],
  [["S", "D", "F"], "the left one: safe, unsafe, can't tell"],
  [["J", "K", "L"], "the right one: safe, unsafe, can't tell"],
  [["Enter"], "goes on to the next pair"],
  [["Backspace"], "takes back your last answer, also of the pair before"],
];
const READING = {
  top: (view) => [
    view.circle === null ? "Each clip is seen from above; both ways begin at the left edge, and the square marks the start." :
      "Each clip is seen from above. The green circle is what to follow, its arrows show which way round. The square marks the start.",
    "The dashed lines are the boundaries; beyond them the ground is hatched. The blue line is the way so far, the grey one the way to come; a dot every two steps shows how fast it was.",
    view.circle === null ? "The curves show the speed, whose dashed line is the limit, and the distance covered." :
      "The curves show the speed and how far it is off the circle.",
  ],
  lidar: () => ["You see what the body sees: it stands in the middle and looks upwards. Each mark is a thing in that direction, at its distance.",
    "The curves show the speed and how near the nearest thing of each kind is."],
  driving: () => ["The car stands in the middle and looks upwards. The pale area is what its lidar sees; orange dots are where it meets something. The two lines are the edges of the road beside the car.",
    "The curves show the speed, whose dashed line is where speed begins to cost, the nearest thing, the nearer edge of the road, and how far right of the lane's middle the car is."],
  curves: () => ["The curves show what was measured at each step. A dashed line is a limit."],
};

/** How to answer, with the first practice pair as a moving example; asked are the questions of this study. */
export function showInstructions(session, example, go, label) {
  const { study, view, questions } = session;
  const parts = [paragraph(study.aim), paragraph(study.limit), ...sections(study.instructions)];
  parts.push(element("h2", {}, "Reading the drawing"), ...READING[view.kind](view).map(paragraph));
  let stop = () => {};
  if (example !== null) {
    const canvas = element("canvas", { role: "img", "aria-label": "An example clip, moving" });
    parts.push(element("div", { class: "example" }, canvas));
    stop = animate(canvas, example, view.length);
  }
  const asked = new Set(questions.map((question) => question.key));
  const rows = KEYS.filter(([keys]) => (keys[0] === "1" ? asked.has("preference") : !["S", "J"].includes(keys[0]) || asked.has("safe_left")));
  parts.push(element("h2", {}, "Keys"), element("dl", { class: "keys" }, ...rows.flatMap(([keys, text]) =>
    [element("dt", {}, ...keys.flatMap((key) => [element("kbd", {}, key), " "])), element("dd", {}, text)])));
  showText("How to answer", parts, [[label, () => {
    stop();
    go();
  }, "Enter"]]);
}

function animate(canvas, scene, length) {
  let running = true;
  let panel = null;
  const begun = performance.now();
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const draw = () => {
    if (!running || (panel !== null && !canvas.isConnected)) return;
    if (panel === null && canvas.isConnected) {
      panel = new Panel(canvas, 0);
      panel.show(scene);
    }
    panel?.paint(still ? length - 1 : Math.min(((performance.now() - begun) / 50) % (length + 10), length - 1));
    requestAnimationFrame(draw);
  };
  requestAnimationFrame(draw);
  return () => {
    running = false;
  };
}

/** A question or a word in a box over the page; choices are [label, action, key cap or null]. Escape takes the first choice. */
export function showMessage(title, texts, choices) {
  const dialog = byId("message");
  byId("message-title").textContent = title;
  byId("message-text").replaceChildren(...texts.map(paragraph));
  const finish = (action) => {
    dialog.oncancel = null;
    dialog.close();
    byId("main").focus({ preventScroll: true });
    action();
  };
  const buttons = choices.map(([label, action, key], index) => element("button",
    { type: "button", class: index === 0 ? "primary" : "quiet", onclick: () => finish(action) }, label, key ? keyCap(key) : null));
  byId("message-choices").replaceChildren(...buttons);
  dialog.oncancel = (event) => {
    event.preventDefault();
    finish(choices[0][1]);
  };
  dialog.showModal();
  buttons[0].focus();
}
