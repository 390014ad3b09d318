// A small curve over time: the whole of it pale, what has been shown in full colour, a limit as a dashed line.

import { between } from "./segment.js";

const PAD = { top: 20, right: 6, bottom: 4, left: 6 };

/** {title, unit, column, low, high, limit} drawn into {x, y, width, height}; what does not move. */
export function drawChartGround(context, box, chart, colours) {
  const plot = plotOf(box);
  context.fillStyle = colours.field;
  context.beginPath();
  context.roundRect(box.x, box.y, box.width, box.height, 6);
  context.fill();
  if (chart.limit != null) {
    const y = heightOf(plot, chart, chart.limit);
    context.fillStyle = colours.outside;
    context.fillRect(plot.x, plot.y, plot.width, Math.max(0, y - plot.y));
    context.strokeStyle = colours.bound;
    context.lineWidth = 1;
    context.setLineDash([4, 3]);
    line(context, plot.x, y, plot.x + plot.width, y);
    context.setLineDash([]);
  } else if (chart.low < 0 && chart.high > 0) {
    context.strokeStyle = colours.line;
    context.lineWidth = 1;
    const zero = heightOf(plot, chart, 0);
    line(context, plot.x, zero, plot.x + plot.width, zero);
  }
  context.font = `600 12px ${colours.font}`;
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillStyle = colours.ink;
  context.fillText(chart.title, box.x + 8, box.y + 11);
  if (chart.limit != null && box.width > 210) {
    const width = context.measureText(chart.title).width;
    context.font = `12px ${colours.font}`;
    context.fillStyle = colours.muted;
    context.fillText(`limit ${chart.limit} ${chart.unit}`, box.x + 16 + width, box.y + 11);
  }
  context.strokeStyle = colours.ghost;
  context.lineWidth = 1.5;
  trace(context, plot, chart, chart.column.length - 1);
}

/** What moves: the curve so far, its end, and the value there. */
export function drawChart(context, box, chart, position, colours) {
  const plot = plotOf(box);
  context.strokeStyle = colours.trail;
  context.lineWidth = 2;
  trace(context, plot, chart, position);
  const value = between(chart.column, position);
  const x = plot.x + (plot.width * position) / Math.max(1, chart.column.length - 1);
  context.fillStyle = colours.trail;
  dot(context, x, heightOf(plot, chart, value), 3.5);
  context.font = `12px ${colours.font}`;
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.fillStyle = colours.ink;
  context.fillText(`${number(value)} ${chart.unit}`.trim(), box.x + box.width - 8, box.y + 11);
}

/** Boxes of equal size under one another, or beside one another. */
export function divide(box, count, across, gap = 8) {
  const size = ((across ? box.width : box.height) - gap * (count - 1)) / count;
  return Array.from({ length: count }, (_, index) =>
    across
      ? { ...box, x: box.x + index * (size + gap), width: size }
      : { ...box, y: box.y + index * (size + gap), height: size });
}

export function number(value) {
  return Math.abs(value) >= 99.5 ? value.toFixed(0) : Math.abs(value) >= 9.95 ? value.toFixed(1) : value.toFixed(2);
}

export function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

export function dot(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function plotOf(box) {
  return {
    x: box.x + PAD.left,
    y: box.y + PAD.top,
    width: box.width - PAD.left - PAD.right,
    height: Math.max(4, box.height - PAD.top - PAD.bottom),
  };
}

function heightOf(plot, chart, value) {
  const range = chart.high - chart.low || 1;
  const share = Math.min(Math.max((value - chart.low) / range, 0), 1);
  return plot.y + 3 + (plot.height - 6) * (1 - share);
}

function trace(context, plot, chart, position) {
  const wide = plot.width / Math.max(1, chart.column.length - 1);
  context.lineJoin = "round";
  context.beginPath();
  for (let step = 0; step <= position; step++) context.lineTo(plot.x + step * wide, heightOf(plot, chart, chart.column[step]));
  context.lineTo(plot.x + position * wide, heightOf(plot, chart, between(chart.column, position)));
  context.stroke();
}
