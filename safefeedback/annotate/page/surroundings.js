// What a body sees around it: a map with the body in the middle and circles at known distances, and charts beside the map.

import { divide, drawChartGround } from "./chart.js";

const GAP = 10;

/** Where the map and `count` charts stand. */
export function layout(size, count) {
  const wide = Math.round(Math.min(size.width * 0.64, Math.max(size.height, size.width * 0.5)));
  const beside = { x: wide + GAP, y: 0, width: size.width - wide - GAP, height: size.height };
  return { map: { x: 0, y: 0, width: wide, height: size.height }, boxes: divide(beside, count, false) };
}

/** The map and its circles, `radii` as [metres, pixels], around (x, y), and the ground of the charts. */
export function drawSurroundings(context, { map, boxes }, charts, x, y, radii, colours) {
  context.fillStyle = colours.field;
  context.beginPath();
  context.roundRect(map.x, map.y, map.width, map.height, 6);
  context.fill();
  context.strokeStyle = colours.line;
  context.fillStyle = colours.muted;
  context.font = `11px ${colours.font}`;
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.lineWidth = 1;
  for (const [metres, radius] of radii) {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.stroke();
    context.fillText(`${metres} m`, x + radius * Math.SQRT1_2 + 3, y - radius * Math.SQRT1_2 - 5);
  }
  boxes.forEach((box, index) => drawChartGround(context, box, charts[index], colours));
}
