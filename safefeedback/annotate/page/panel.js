// One clip's canvas: sharp on any screen; what does not move is drawn once.

import { theme } from "./theme.js";

export class Panel {
  constructor(canvas, side) {
    this.canvas = canvas;
    this.side = side;
    this.context = canvas.getContext("2d");
    this.ground = document.createElement("canvas");
    this.size = { width: 0, height: 0 };
    this.scene = null;
    this.position = 0;
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement);
  }

  show(scene) {
    this.scene = scene;
    if (this.size.width === 0) this.resize();
    else this.paintGround();
  }

  resize() {
    const box = this.canvas.parentElement.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    this.size = { width: Math.floor(box.width), height: Math.floor(box.height) };
    for (const canvas of [this.canvas, this.ground]) {
      canvas.width = Math.max(1, Math.round(this.size.width * ratio));
      canvas.height = Math.max(1, Math.round(this.size.height * ratio));
    }
    this.canvas.style.width = `${this.size.width}px`;
    this.canvas.style.height = `${this.size.height}px`;
    this.ratio = ratio;
    this.paintGround();
  }

  paintGround() {
    if (this.scene === null || this.size.width === 0) return;
    const context = this.ground.getContext("2d");
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.size.width, this.size.height);
    this.scene.ground(context, this.size, this.side, theme());
    this.paint(this.position);
  }

  paint(position) {
    this.position = position;
    if (this.scene === null || this.size.width === 0) return;
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.context.drawImage(this.ground, 0, 0);
    this.context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    this.scene.frame(this.context, this.size, this.side, position, theme());
  }
}
