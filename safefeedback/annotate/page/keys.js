// Single keys. Letters and digits that lie on the same keys of QWERTY, QWERTZ and AZERTY; other scripts go by the key's place.

const ANSWERS = {
  preference: { left: "1", equal: "2", right: "3", "cannot-tell": "4" },
  safe_left: { safe: "S", unsafe: "D", "cannot-tell": "F" },
  safe_right: { safe: "J", unsafe: "K", "cannot-tell": "L" },
};

export function keyOf(question, value) {
  return ANSWERS[question][value];
}

/** Where an answer stands among those of its question: in the order of the keys. */
export function placeOf(question, value) {
  return Object.keys(ANSWERS[question]).indexOf(value);
}

/** What a key press asks for: {question, value}, or {command}, or null. */
export function meaning(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return null;
  const commands = {
    Enter: "next", Backspace: "undo", " ": "play", ArrowLeft: "back", ArrowRight: "forward", ArrowUp: "faster", ArrowDown: "slower",
    Home: "start", End: "end",
  };
  if (commands[event.key]) return { command: commands[event.key] };
  const pressed = symbol(event);
  if (pressed === "R") return { command: "loop" };
  if (pressed === "V") return { command: "view" };
  for (const [question, values] of Object.entries(ANSWERS)) {
    for (const [value, key] of Object.entries(values)) if (key === pressed) return { question, value };
  }
  return null;
}

function symbol(event) {
  if (/^[a-z0-9]$/i.test(event.key)) return event.key.toUpperCase();
  return /^(?:Key|Digit|Numpad)([A-Z0-9])$/.exec(event.code)?.[1] ?? "";
}

/** Whether the key belongs to what has the focus: a field, a slider's arrows, a button that was reached with the keyboard. */
export function belongsToFocus(event) {
  const focused = document.activeElement;
  if (focused === null || focused === document.body) return false;
  if (focused.matches("input[type=text], textarea, select")) return true;
  if (focused.matches("input[type=range]")) return event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End";
  return focused.matches("button, summary, a, input") && (event.key === "Enter" || event.key === " ");
}
