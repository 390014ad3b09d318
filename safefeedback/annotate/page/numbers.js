// The numbers behind the drawing, as tables and as words: for who cannot see the canvas, and for scripts.

import { number } from "./chart.js";
import { element } from "./elements.js";

const SIDES = ["Left", "Right"];

/** scene.columns: [left, right], lists of {title, unit, column}. */
export function showNumbers(holder, scene) {
  holder.replaceChildren(...scene.columns.map((columns, side) => {
    const heads = columns.map(({ title, unit }) => element("th", { scope: "col" }, unit ? `${title} (${unit})` : title));
    const rows = Array.from(columns[0].column, (_, step) => element("tr", {}, element("th", { scope: "row" }, String(step + 1)),
      ...columns.map(({ column }) => element("td", {}, column[step].toFixed(3)))));
    return element("table", { id: `numbers-${SIDES[side].toLowerCase()}` }, element("caption", {}, SIDES[side]),
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Step"), ...heads)), element("tbody", {}, ...rows));
  }));
}

/** The same of one step, as the canvas's description. */
export function sayNumbers(panels, scene, step) {
  for (const panel of panels) {
    const columns = scene.columns[panel.side];
    const said = columns.map(({ title, unit, column }) => `${title} ${number(column[step])} ${unit}`.trim()).join(", ");
    panel.canvas.setAttribute("aria-label", `${SIDES[panel.side]} clip, step ${step + 1} of ${columns[0].column.length}: ${said}`);
  }
}
