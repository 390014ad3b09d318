// Observations whose meaning is not known, as small curves; a limit where the task has one.

import { divide, drawChart, drawChartGround } from "./chart.js";

export function curvesScene(view, sides) {
  const charts = sides.map((segment) => view.channels.map((name, index) => {
    const space = 0.08 * (view.high[index] - view.low[index] || 1);
    return {
      title: name[0].toUpperCase() + name.slice(1),
      unit: view.units[index],
      column: segment.column(name),
      low: view.low[index] - space,
      high: view.high[index] + space,
      limit: view.limits[index],
    };
  }));

  function boxes(size) {
    const across = view.channels.length > 3 ? 2 : 1;
    const columns = divide({ x: 0, y: 0, width: size.width, height: size.height }, across, true);
    return columns.flatMap((box) => divide(box, Math.ceil(view.channels.length / across), false));
  }

  return {
    charts,
    columns: charts,
    ground: (context, size, side, colours) => charts[side].forEach((chart, index) => drawChartGround(context, boxes(size)[index], chart, colours)),
    frame: (context, size, side, position, colours) =>
      charts[side].forEach((chart, index) => drawChart(context, boxes(size)[index], chart, position, colours)),
  };
}
