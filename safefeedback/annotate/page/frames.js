// Frames of the simulator, cut from one image of all of them.

/** frames: {width, height, columns, count}; images: [left, right], grids of frames, row by row. */
export function framesScene(frames, images) {
  return {
    ground(context, size, side, colours) {
      const box = fit(size, frames);
      context.fillStyle = colours.field;
      context.fillRect(box.x, box.y, box.width, box.height);
    },
    frame(context, size, side, position) {
      const index = Math.min(Math.floor(position + 1e-6), frames.count - 1);
      const x = (index % frames.columns) * frames.width;
      const y = Math.floor(index / frames.columns) * frames.height;
      const box = fit(size, frames);
      context.imageSmoothingQuality = "high";
      context.drawImage(images[side], x, y, frames.width, frames.height, box.x, box.y, box.width, box.height);
    },
  };
}

function fit(size, frames) {
  const scale = Math.min(size.width / frames.width, size.height / frames.height);
  const [width, height] = [frames.width * scale, frames.height * scale];
  return { x: (size.width - width) / 2, y: (size.height - height) / 2, width, height };
}
