// The numbers of one segment: values of named channels at whole steps, and between them.

export class Segment {
  /** values: Float32Array [length * channels], step by step. */
  constructor(values, channels, length) {
    this.values = values;
    this.channels = channels;
    this.length = length;
  }

  has(name) {
    return this.channels.includes(name);
  }

  /** Float32Array [length] of one channel. */
  column(name) {
    const index = this.channels.indexOf(name);
    const column = new Float32Array(this.length);
    for (let step = 0; step < this.length; step++) column[step] = this.values[step * this.channels.length + index];
    return column;
  }
}

/** A column's value at a place between two steps. */
export function between(column, position) {
  const step = Math.min(Math.floor(position), column.length - 1);
  const next = Math.min(step + 1, column.length - 1);
  return column[step] + (column[next] - column[step]) * (position - step);
}

/** The same for an angle in radians, the short way round. */
export function angleBetween(column, position) {
  const step = Math.min(Math.floor(position), column.length - 1);
  const next = Math.min(step + 1, column.length - 1);
  const turn = Math.atan2(Math.sin(column[next] - column[step]), Math.cos(column[next] - column[step]));
  return column[step] + turn * (position - step);
}

/** [lowest, highest] over several columns. */
export function extent(columns) {
  let low = Infinity;
  let high = -Infinity;
  for (const column of columns) {
    for (const value of column) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return [low, high];
}

/** What GET /api/pair answers, as [left, right]. */
export function sidesOf(buffer, view, swapped) {
  const size = view.length * view.channels.length;
  const values = view.packing === "float16" ? unpacked(new Uint16Array(buffer)) : new Float32Array(buffer);
  if (values.length !== 2 * size) throw new Error("the numbers of this pair do not fit the drawing");
  const segments = [0, 1].map((index) => new Segment(values.subarray(index * size, (index + 1) * size), view.channels, view.length));
  return swapped ? segments.reverse() : segments;
}

/** Half-precision numbers (IEEE 754 binary16), given by their bits, as a Float32Array; not every browser has Float16Array. */
function unpacked(halves) {
  return Float32Array.from(halves, (half) => {
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
  });
}
