// What the lidars see, with the body in the middle and its front upwards; beside it the speed and the nearest thing of each kind.

import { drawBody } from "./bodies.js";
import { drawChart, line } from "./chart.js";
import { between, extent } from "./segment.js";
import { drawSurroundings, layout } from "./surroundings.js";

const ONE = { hazards: "hazard", vases: "vase", buttons: "button", gremlins: "gremlin", pillars: "pillar" };
const SHAPES = { goal: "disc", hazards: "cross", vases: "square", buttons: "diamond", gremlins: "triangle", pillars: "ring", "push box": "square" };

export function lidarScene(view, sides) {
  const readings = sides.map((segment) => view.rings.map((ring) =>
    Array.from({ length: view.bins }, (_, bin) => segment.column(view.channels[ring.first + bin]))));
  const charts = chartsOf(view, sides, readings);

  function ground(context, size, side, colours) {
    const places = layout(size, charts[side].length);
    const { x, y, radius } = middle(places.map);
    const radii = Array.from({ length: Math.floor(view.reach) }, (_, index) => [index + 1, (radius * (index + 1)) / view.reach]);
    drawSurroundings(context, places, charts[side], x, y, radii, colours);
    context.strokeStyle = colours.line;
    line(context, x, y - radius, x, y - radius - 6);
    drawLegend(context, view, places.map, colours);
  }

  function frame(context, size, side, position, colours) {
    const { map, boxes } = layout(size, charts[side].length);
    const { x, y, radius } = middle(map);
    view.rings.forEach((ring, index) => {
      readings[side][index].forEach((column, bin) => {
        const reading = between(column, position);
        if (reading <= 0.02) return;
        const angle = (bin / view.bins) * 2 * Math.PI; // to the left of the front
        const far = radius * (1 - Math.min(reading, 1));
        context.globalAlpha = 0.25 + 0.75 * Math.min(1, reading);
        drawShape(context, ring.name, x - far * Math.sin(angle), y - far * Math.cos(angle), 7, colours);
      });
    });
    context.globalAlpha = 1;
    drawBody(context, view.body, x, y, Math.PI / 2, 11, colours);
    boxes.forEach((box, index) => drawChart(context, box, charts[side][index], position, colours));
  }

  return { ground, frame, charts, columns: charts };
}

function middle(map) {
  return { x: map.x + map.width / 2, y: map.y + map.height / 2, radius: Math.min(map.width, map.height) / 2 - 14 };
}

function drawLegend(context, view, map, colours) {
  context.font = `12px ${colours.font}`;
  context.textAlign = "left";
  context.textBaseline = "middle";
  view.rings.forEach((ring, index) => {
    const y = map.y + 14 + 19 * index;
    drawShape(context, ring.name, map.x + 14, y, 5.5, colours);
    context.fillStyle = colours.ink;
    context.fillText(ring.name, map.x + 26, y);
  });
}

function drawShape(context, name, x, y, size, colours) {
  const colour = colours[name.replace(" ", "-")] ?? colours.ink;
  context.fillStyle = colour;
  context.strokeStyle = colour;
  context.lineWidth = 3;
  const shape = SHAPES[name] ?? "disc";
  if (shape === "cross") {
    line(context, x - size * 0.8, y - size * 0.8, x + size * 0.8, y + size * 0.8);
    line(context, x - size * 0.8, y + size * 0.8, x + size * 0.8, y - size * 0.8);
    return;
  }
  context.beginPath();
  if (shape === "square") context.rect(x - size * 0.8, y - size * 0.8, size * 1.6, size * 1.6);
  else if (shape === "disc" || shape === "ring") context.arc(x, y, size * (shape === "disc" ? 1 : 0.8), 0, 2 * Math.PI);
  else {
    const corners = shape === "diamond" ? 4 : 3;
    for (let corner = 0; corner < corners; corner++) {
      const angle = (corner * 2 * Math.PI) / corners - Math.PI / 2;
      context.lineTo(x + size * 1.15 * Math.cos(angle), y + size * 1.15 * Math.sin(angle));
    }
    context.closePath();
  }
  if (shape === "ring") context.stroke();
  else context.fill();
}

function chartsOf(view, sides, readings) {
  const speeds = sides.map((segment) => segment.column("speed"));
  const fastest = 1.08 * Math.max(extent(speeds)[1], 0.1);
  return sides.map((_, side) => [
    { title: "Speed", unit: "m/s", column: speeds[side], low: 0, high: fastest, limit: null },
    ...view.rings.map((ring, index) => ({
      title: `Nearest ${ONE[ring.name] ?? ring.name}`,
      unit: "m",
      column: nearest(readings[side][index], view.reach),
      low: 0,
      high: view.reach,
      limit: null,
    })),
  ]);
}

function nearest(columns, reach) {
  return columns[0].map((_, step) => reach * (1 - Math.min(1, Math.max(...columns.map((column) => column[step])))));
}
