// What the car sees on its road: its lidar as a fan with the front upwards, the road's edges, and beside it speed and place.

import { drawBody } from "./bodies.js";
import { dot, drawChart, line } from "./chart.js";
import { angleBetween, between, extent } from "./segment.js";
import { drawSurroundings, layout } from "./surroundings.js";

const ROAD = 14; // metres of the road's edges that are drawn ahead of and behind the car

export function drivingScene(view, sides) {
  const drives = sides.map((segment) => ({
    ...Object.fromEntries(["speed", "left", "right", "heading", "offset"].map((name) => [name, segment.column(name)])),
    lasers: Array.from({ length: view.lasers }, (_, index) => segment.column(`laser ${index}`)),
  }));
  const charts = chartsOf(view, drives);

  function ground(context, size, side, colours) {
    const places = layout(size, charts[side].length);
    const { x, y, scale } = middle(places.map, view);
    const radii = [];
    for (let metres = 10; metres <= view.reach; metres += 20) radii.push([metres, metres * scale]);
    drawSurroundings(context, places, charts[side], x, y, radii, colours);
  }

  function frame(context, size, side, position, colours) {
    const { map, boxes } = layout(size, charts[side].length);
    const place = middle(map, view);
    const drive = drives[side];
    context.save();
    context.beginPath();
    context.roundRect(map.x, map.y, map.width, map.height, 6);
    context.clip();
    drawFan(context, view, drive, position, place, colours);
    drawRoad(context, drive, position, place, colours);
    drawBody(context, "Car", place.x, place.y, Math.PI / 2, 10, colours);
    context.restore();
    boxes.forEach((box, index) => drawChart(context, box, charts[side][index], position, colours));
  }

  return { ground, frame, charts, columns: charts };
}

/** How far each laser reaches; a dot where it meets something. Laser i looks i / lasers of a turn to the right of the front. */
function drawFan(context, view, drive, position, { x, y, scale }, colours) {
  const ends = drive.lasers.map((column, index) => {
    const far = between(column, position);
    const angle = ((index + 0.5 * (1 - 1 / view.bundle)) / view.lasers) * 2 * Math.PI;
    return [x + far * scale * Math.sin(angle), y - far * scale * Math.cos(angle), far < view.reach - 0.5];
  });
  context.fillStyle = colours.trail;
  context.globalAlpha = 0.13;
  context.beginPath();
  for (const [toX, toY] of ends) context.lineTo(toX, toY);
  context.closePath();
  context.fill();
  context.globalAlpha = 1;
  context.fillStyle = colours.hazards;
  for (const [toX, toY, met] of ends) if (met) dot(context, toX, toY, 3);
}

function drawRoad(context, drive, position, { x, y, scale }, colours) {
  const direction = -angleBetween(drive.heading, position); // of the road, to the right of the car's front
  const along = [Math.sin(direction) * ROAD * scale, -Math.cos(direction) * ROAD * scale];
  const across = [Math.cos(direction) * scale, Math.sin(direction) * scale];
  context.strokeStyle = colours.bound;
  context.lineWidth = 2.5;
  for (const away of [-between(drive.left, position), between(drive.right, position)]) {
    const [edgeX, edgeY] = [x + away * across[0], y + away * across[1]];
    line(context, edgeX - along[0], edgeY - along[1], edgeX + along[0], edgeY + along[1]);
  }
}

function middle(map, view) {
  return { x: map.x + map.width / 2, y: map.y + map.height / 2, scale: (Math.min(map.width, map.height) / 2 - 4) / view.reach };
}

function chartsOf(view, drives) {
  const fastest = 1.08 * Math.max(extent(drives.map((drive) => drive.speed))[1], 1.25 * view.speed_limit);
  const nearest = (drive) => drive.speed.map((_, step) => Math.min(...drive.lasers.map((column) => column[step])));
  const edge = (drive) => drive.left.map((left, step) => Math.min(left, drive.right[step]));
  const [, widest] = extent(drives.map(edge));
  return drives.map((drive) => [
    { title: "Speed", unit: "km/h", column: drive.speed, low: Math.min(0, extent([drive.speed])[0]), high: fastest, limit: view.speed_limit },
    { title: "Nearest thing", unit: "m", column: nearest(drive), low: 0, high: view.reach, limit: null },
    { title: "To the road's edge", unit: "m", column: edge(drive), low: Math.min(0, extent(drives.map(edge))[0]), high: 1.1 * Math.max(widest, 1), limit: null },
    { title: "Off the lane's middle", unit: "m", column: drive.offset, low: -2.5, high: 2.5, limit: null },
  ]);
}
