// Seen from above: the circle or the track, its lines, the way so far, and beside it speed, distance from the circle, altitude.

import { drawBody } from "./bodies.js";
import { divide, dot, drawChart, drawChartGround, line } from "./chart.js";
import { angleBetween, between, extent } from "./segment.js";

const GAP = 10;

/** A drawing of both sides to one scale: ground(context, size, side, colours), frame(context, size, side, position, colours). */
export function topScene(view, sides, cues) {
  const paths = sides.map((segment) => ({
    x: segment.column("x"),
    y: segment.column("y"),
    speed: segment.column("speed"),
    heading: segment.has("heading") ? segment.column("heading") : null,
    altitude: segment.has("altitude") ? segment.column("altitude") : null,
  }));
  const world = view.circle === null ? trackWorld(view, paths) : circleWorld(view, paths);
  const charts = chartsOf(view, paths);

  function ground(context, size, side, colours) {
    const { map, boxes } = layout(size, charts[side].length, world);
    const place = world.place(map, side);
    context.save();
    context.beginPath();
    context.roundRect(map.x, map.y, map.width, map.height, 6);
    context.clip();
    drawWorld(context, view, map, place, colours);
    context.strokeStyle = colours.ghost;
    context.lineWidth = 2;
    trace(context, paths[side], place, paths[side].x.length - 1);
    const [x, y] = place.at(paths[side].x[0], paths[side].y[0]);
    context.strokeStyle = colours.muted;
    context.lineWidth = 2;
    context.strokeRect(x - 4, y - 4, 8, 8); // where it starts
    context.restore();
    boxes.forEach((box, index) => drawChartGround(context, box, charts[side][index], colours));
  }

  function frame(context, size, side, position, colours) {
    const { map, boxes } = layout(size, charts[side].length, world);
    const place = world.place(map, side);
    const path = paths[side];
    context.save();
    context.beginPath();
    context.roundRect(map.x, map.y, map.width, map.height, 6);
    context.clip();
    context.strokeStyle = colours.trail;
    context.lineWidth = 2.5;
    trace(context, path, place, position);
    context.fillStyle = colours.trail;
    for (let step = 0; step <= position; step += 2) dot(context, ...place.at(path.x[step], path.y[step]), 2.6);
    if (cues) drawCues(context, view, path, place, position, colours);
    const [x, y] = place.at(between(path.x, position), between(path.y, position));
    const heading = path.heading === null ? 0 : angleBetween(path.heading, position);
    drawBody(context, view.body, x, y, heading, Math.max(10, place.scale * 0.35), colours);
    context.restore();
    boxes.forEach((box, index) => drawChart(context, box, charts[side][index], position, colours));
  }

  const place = (path) => [{ title: "x", unit: "m", column: path.x }, { title: "y", unit: "m", column: path.y }];
  return { ground, frame, charts, columns: charts.map((list, side) => [...place(paths[side]), ...list]) };
}

/** The map and, beside it, the charts; a long track has them below it, where that shows the track larger. */
function layout(size, count, world) {
  const wide = Math.round(Math.min(size.width * 0.64, Math.max(size.height, size.width * 0.56)));
  const high = Math.round(size.height * 0.6);
  const beside = { x: 0, y: 0, width: wide, height: size.height };
  const above = { x: 0, y: 0, width: size.width, height: high };
  if (world.scale(above) > 1.2 * world.scale(beside)) {
    return { map: above, boxes: divide({ x: 0, y: high + GAP, width: size.width, height: size.height - high - GAP }, count, true) };
  }
  return { map: beside, boxes: divide({ x: wide + GAP, y: 0, width: size.width - wide - GAP, height: size.height }, count, false) };
}

function circleWorld(view, paths) {
  const [low, high] = extent(paths.flatMap((path) => [path.x, path.y]));
  const reach = Math.max(1.16 * view.circle, 1.12 * Math.max(-low, high));
  const scale = (map) => Math.min(map.width, map.height) / (2 * reach);
  return { scale, place: (map) => placement(scale(map), map.x + map.width / 2, map.y + map.height / 2) };
}

/** Both ways begin at the left edge, wherever on the track they were, so that what each covers can be compared. */
function trackWorld(view, paths) {
  const lefts = paths.map((path) => extent([path.x])[0]);
  const longest = Math.max(...paths.map((path, side) => extent([path.x])[1] - lefts[side]));
  const [low, high] = extent(paths.map((path) => path.y));
  const reach = Math.max(1.28 * view.y_limit, 1.08 * Math.max(-low, high));
  const scale = (map) => Math.min(map.width / (longest + 2.2), map.height / (2 * reach));
  const place = (map, side) =>
    ({ ...placement(scale(map), map.x + scale(map) * (1.1 - lefts[side]), map.y + map.height / 2), start: lefts[side] });
  return { scale, place };
}

function placement(scale, originX, originY) {
  return { scale, at: (x, y) => [originX + scale * x, originY - scale * y] };
}

function drawWorld(context, view, map, place, colours) {
  context.fillStyle = colours.outside;
  context.fillRect(map.x, map.y, map.width, map.height);
  context.strokeStyle = colours.hatch;
  context.lineWidth = 1;
  for (let x = map.x - map.height; x < map.x + map.width; x += 9) line(context, x, map.y + map.height, x + map.height, map.y);
  const [left, top] = place.at(-(view.x_limit ?? 1e4), view.y_limit ?? 1e4);
  const [right, bottom] = place.at(view.x_limit ?? 1e4, -(view.y_limit ?? 1e4));
  const inside = {
    x: Math.max(left, map.x - 9),
    y: Math.max(top, map.y - 9),
    right: Math.min(right, map.x + map.width + 9),
    bottom: Math.min(bottom, map.y + map.height + 9),
  };
  context.fillStyle = colours.field;
  context.fillRect(inside.x, inside.y, inside.right - inside.x, inside.bottom - inside.y);
  drawScale(context, view, map, place, colours);
  context.strokeStyle = colours.bound;
  context.lineWidth = 1.5;
  context.setLineDash([7, 5]);
  context.strokeRect(inside.x, inside.y, inside.right - inside.x, inside.bottom - inside.y);
  context.setLineDash([]);
  if (view.circle !== null) drawCircle(context, view, place, colours);
}

/** Faint lines at whole metres; along a track, how far it is from the start. */
function drawScale(context, view, map, place, colours) {
  context.strokeStyle = colours.line;
  context.lineWidth = 0.5;
  const metres = view.circle !== null ? (view.circle > 3 ? 2 : 0.5) : place.scale > 40 ? 1 : place.scale > 20 ? 2 : 5;
  const [zeroX, zeroY] = place.at(place.start ?? 0, 0);
  const apart = metres * place.scale;
  for (let x = zeroX - Math.floor((zeroX - map.x) / apart) * apart; x < map.x + map.width; x += apart) line(context, x, map.y, x, map.y + map.height);
  if (view.circle !== null) {
    for (let y = zeroY - Math.floor((zeroY - map.y) / apart) * apart; y < map.y + map.height; y += apart) line(context, map.x, y, map.x + map.width, y);
    return;
  }
  context.font = `11px ${colours.font}`;
  context.fillStyle = colours.muted;
  context.textAlign = "center";
  context.textBaseline = "bottom";
  for (let index = 0; zeroX + index * apart < map.x + map.width - 12; index++) {
    context.fillText(`${index * metres} m`, zeroX + index * apart, map.y + map.height - 4);
  }
}

function drawCircle(context, view, place, colours) {
  const [x, y] = place.at(0, 0);
  const radius = view.circle * place.scale;
  context.strokeStyle = colours.circle;
  context.fillStyle = colours.circle;
  context.lineWidth = 3;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.stroke();
  const sense = view.direction === "clockwise" ? 1 : -1; // canvas angles grow clockwise
  for (let index = 0; index < 4; index++) {
    const angle = ((index + 0.5) * Math.PI) / 2;
    context.save();
    context.translate(x + radius * Math.cos(angle), y + radius * Math.sin(angle));
    context.rotate(angle + (sense * Math.PI) / 2);
    context.beginPath();
    context.moveTo(9, 0);
    context.lineTo(-5, -6.5);
    context.lineTo(-5, 6.5);
    context.closePath();
    context.fill();
    context.restore();
  }
}

/** The steps over a line or too fast: a cross on each. */
function drawCues(context, view, path, place, position, colours) {
  context.strokeStyle = colours.cost;
  context.lineWidth = 2.5;
  for (let step = 1; step <= position; step++) {
    const over = Math.abs(path.x[step]) > (view.x_limit ?? Infinity) || Math.abs(path.y[step]) > (view.y_limit ?? Infinity);
    if (!over && !(path.speed[step] > (view.speed_limit ?? Infinity))) continue;
    const [x, y] = place.at(path.x[step], path.y[step]);
    line(context, x - 5, y - 5, x + 5, y + 5);
    line(context, x - 5, y + 5, x + 5, y - 5);
  }
}

function trace(context, path, place, position) {
  context.lineJoin = "round";
  context.beginPath();
  for (let step = 0; step <= position; step++) context.lineTo(...place.at(path.x[step], path.y[step]));
  context.lineTo(...place.at(between(path.x, position), between(path.y, position)));
  context.stroke();
}

function chartsOf(view, paths) {
  const charts = paths.map(() => []);
  const add = (title, unit, columns, limit, least) => {
    const [lowest, highest] = extent(columns);
    const [low, high] = [Math.min(0, lowest), 1.08 * Math.max(highest, limit === null ? 0 : 1.25 * limit, least)];
    columns.forEach((column, side) => charts[side].push({ title, unit, column, low, high, limit }));
  };
  add("Speed", "m/s", paths.map((path) => path.speed), view.speed_limit, 0.1);
  if (view.circle !== null) {
    const off = (path) => path.x.map((x, step) => Math.abs(Math.hypot(x, path.y[step]) - view.circle));
    add("Off the circle", "m", paths.map(off), null, view.circle / 4);
  }
  else {
    add("Distance", "m", paths.map((path) => path.x.map((x) => x - path.x[0])), null, 1);
  }
  if (paths[0].altitude !== null) add("Altitude", "m", paths.map((path) => path.altitude), null, 1);
  return charts;
}
