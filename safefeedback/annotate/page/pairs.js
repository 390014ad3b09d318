// The numbers, and frames if there are any, of the pairs to come: fetched before they are needed, kept a while.

import { curvesScene } from "./curves.js";
import { drivingScene } from "./driving.js";
import { framesScene } from "./frames.js";
import { lidarScene } from "./lidar.js";
import { sidesOf } from "./segment.js";
import { topScene } from "./top.js";

const SCENES = { top: topScene, lidar: lidarScene, driving: drivingScene, curves: curvesScene };
const KEPT = 12;

export class Pairs {
  constructor(api, session) {
    this.api = api;
    this.view = session.view;
    this.frames = session.frames;
    this.cues = session.study.cost_cues;
    this.waiting = new Map(); // pair_id -> promise of {buffer, images}
    this.ready = new Map();
  }

  prefetch(items) {
    for (const item of items) this.load(item).catch(() => this.waiting.delete(item.pair_id)); // asked for again when it is shown
  }

  /** {buffer, images} of an item's pair; images is null, or [of segment 0, of segment 1]. */
  load(item) {
    const id = item.pair_id;
    if (!this.waiting.has(id)) {
      if (this.waiting.size >= KEPT) this.forget(this.waiting.keys().next().value);
      this.waiting.set(id, this.fetch(id));
    }
    return this.waiting.get(id);
  }

  async fetch(id) {
    try {
      const images = this.frames === null ? null : Promise.all([0, 1].map((segment) => this.api.image(`/api/frames/${id}/${segment}`)));
      const data = { buffer: await this.api.bytes(`/api/pair/${id}`), images: await images };
      if (this.waiting.has(id)) this.ready.set(id, data);
      return data;
    } catch (error) {
      this.forget(id);
      throw error;
    }
  }

  forget(id) {
    for (const image of this.ready.get(id)?.images ?? []) image?.close();
    this.ready.delete(id);
    this.waiting.delete(id);
  }

  /** {sides, scenes}: the numbers as [left, right], and the ways to draw them, the best first. */
  scenes(data, item) {
    const sides = sidesOf(data.buffer, this.view, item.swapped);
    const drawing = SCENES[this.view.kind](this.view, sides, this.cues);
    if (data.images === null || data.images.includes(null)) return { sides, scenes: [drawing] };
    const images = item.swapped ? [...data.images].reverse() : data.images;
    return { sides, scenes: [framesScene(this.frames, images, drawing.charts), drawing] };
  }
}
