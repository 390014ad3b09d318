// Frames of the simulator, cut from one image of all of them; beside them the curves of the drawing.

import { divide, drawChart, drawChartGround } from "./chart.js";

const GAP = 10;

/** frames: {width, height, columns, count}; images: [left, right], grids of frames, row by row; charts: of the drawing, by side. */
export function framesScene(frames, images, charts) {
  return {
    ground(context, size, side, colours) {
      const { box, boxes } = layout(size, frames, charts[side].length);
      context.fillStyle = colours.field;
      context.fillRect(box.x, box.y, box.width, box.height);
      boxes.forEach((place, index) => drawChartGround(context, place, charts[side][index], colours));
    },
    frame(context, size, side, position, colours) {
      const { box, boxes } = layout(size, frames, charts[side].length);
      const index = Math.min(Math.floor(position + 1e-6), frames.count - 1);
      const x = (index % frames.columns) * frames.width;
      const y = Math.floor(index / frames.columns) * frames.height;
      context.imageSmoothingQuality = "high";
      context.drawImage(images[side], x, y, frames.width, frames.height, box.x, box.y, box.width, box.height);
      boxes.forEach((place, chart) => drawChart(context, place, charts[side][chart], position, colours));
    },
  };
}

function layout(size, frames, count) {
  const scale = Math.min((size.width * 0.64) / frames.width, size.height / frames.height);
  const [width, height] = [frames.width * scale, frames.height * scale];
  const beside = { x: width + GAP, y: 0, width: size.width - width - GAP, height: size.height };
  return { box: { x: 0, y: (size.height - height) / 2, width, height }, boxes: divide(beside, count, false) };
}
