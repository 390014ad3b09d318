// The questions of a pair as groups of buttons, what has been chosen, and taking a choice back.

import { element, keyCap } from "./elements.js";
import { keyOf, placeOf } from "./keys.js";

export class Questions {
  /** questions: of GET /api/session, in this person's order. onChange is called after every choice. */
  constructor(holder, questions, onChange) {
    this.holder = holder;
    this.questions = questions;
    this.onChange = onChange;
    this.chosen = {};
    this.before = []; // earlier states of `chosen` at this pair
    this.buttons = new Map();
    holder.replaceChildren(...this.rows());
  }

  /** The safety questions stand side by side, each under its clip; the preference has a row of its own. */
  rows() {
    const rows = [];
    for (const question of this.questions) {
      const group = this.group(question);
      const safety = question.key !== "preference";
      if (safety && rows.at(-1)?.classList.contains("safety")) {
        if (question.key === "safe_left") rows.at(-1).prepend(group);
        else rows.at(-1).append(group);
      } else rows.push(element("div", { class: safety ? "row safety" : "row" }, group));
    }
    return rows;
  }

  group(question) {
    const name = `question-${question.key}`;
    const order = [...question.answers].sort((one, other) => placeOf(question.key, one.value) - placeOf(question.key, other.value));
    const buttons = order.map(({ value, label }) => {
      const key = keyOf(question.key, value);
      const button = element(
        "button",
        {
          type: "button", class: `answer ${value}`, "aria-pressed": "false", "aria-keyshortcuts": key,
          onclick: (event) => this.choose(question.key, value, event),
        },
        element("span", { class: "tick", "aria-hidden": "true" }), label, keyCap(key));
      this.buttons.set(`${question.key} ${value}`, button);
      return button;
    });
    return element("div", { class: "question", role: "group", "aria-labelledby": name },
      element("h2", { id: name }, question.text), element("div", { class: "answers" }, ...buttons));
  }

  /** Starts a pair, with what was answered before if it was reopened. */
  reset(answers) {
    this.before = [];
    this.chosen = Object.fromEntries(Object.entries(answers ?? {}).filter(([, value]) => value !== null));
    this.show();
  }

  choose(question, value, event) {
    if (!this.buttons.has(`${question} ${value}`) || this.locked) return;
    if (this.chosen[question] !== value) {
      this.before.push(this.chosen);
      this.chosen = { ...this.chosen, [question]: value };
      this.show();
    }
    this.onChange(event);
  }

  /** Takes back the last choice at this pair; false if there is none. */
  undo() {
    if (this.before.length === 0) return false;
    this.chosen = this.before.pop();
    this.show();
    this.onChange();
    return true;
  }

  lock(locked) {
    this.locked = locked;
    this.holder.classList.toggle("locked", locked);
  }

  /** The first question without an answer, or undefined. */
  get open() {
    return this.questions.find((question) => !(question.key in this.chosen));
  }

  /** As POST /api/answer wants it: null for what is not asked. */
  get answers() {
    return Object.fromEntries(["preference", "safe_left", "safe_right"].map((key) => [key, this.chosen[key] ?? null]));
  }

  show() {
    for (const [name, button] of this.buttons) {
      const [question, value] = name.split(" ");
      button.setAttribute("aria-pressed", String(this.chosen[question] === value));
    }
    for (const question of this.questions) {
      const group = this.buttons.get(`${question.key} ${question.answers[0].value}`).closest(".question");
      group.classList.toggle("answered", question.key in this.chosen);
    }
  }
}
