// The colours of the drawing, from the style sheet: one set for light, one for dark.

const NAMES = ["ink", "muted", "line", "card", "field", "outside", "hatch", "circle", "bound", "trail", "ghost", "cost", "body", "body-edge",
  "goal", "hazards", "vases", "buttons", "gremlins", "pillars", "push-box"];
let colours = null;
const listeners = [];

export function theme() {
  if (colours === null) {
    const style = getComputedStyle(document.documentElement);
    colours = Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    colours.font = style.getPropertyValue("--font").trim();
  }
  return colours;
}

export function onThemeChange(listener) {
  listeners.push(listener);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  colours = null;
  for (const listener of listeners) listener();
});
