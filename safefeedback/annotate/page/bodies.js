// The bodies seen from above, at the origin and looking along +x of the canvas; the size is a radius in pixels.

export const BODIES = { Ball: ball, Car: car, Ant: ant, Drone: drone, Point: point };

export function drawBody(context, kind, x, y, heading, size, colours) {
  context.save();
  context.translate(x, y);
  context.rotate(-heading); // canvas y grows downwards
  context.fillStyle = colours.body;
  context.strokeStyle = colours["body-edge"];
  context.lineWidth = 2;
  context.lineJoin = "round";
  (BODIES[kind] ?? ball)(context, size, colours);
  context.restore();
}

function disc(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
}

function ball(context, size) {
  disc(context, 0, 0, size * 0.85);
}

function point(context, size) {
  disc(context, 0, 0, size * 0.8);
  context.beginPath();
  context.moveTo(size * 1.35, 0);
  context.lineTo(size * 0.75, -size * 0.45);
  context.lineTo(size * 0.75, size * 0.45);
  context.closePath();
  context.fill();
}

function car(context, size, colours) {
  context.fillStyle = colours["body-edge"];
  for (const along of [-0.62, 0.62]) {
    for (const across of [-0.72, 0.72]) {
      context.fillRect((along - 0.26) * size, (across - 0.15) * size, 0.52 * size, 0.3 * size);
    }
  }
  context.fillStyle = colours.body;
  context.beginPath();
  context.roundRect(-1.1 * size, -0.6 * size, 2.2 * size, 1.2 * size, 0.35 * size);
  context.fill();
  context.stroke();
  context.fillStyle = colours["body-edge"];
  context.beginPath();
  context.roundRect(0.15 * size, -0.4 * size, 0.4 * size, 0.8 * size, 0.12 * size); // the windscreen: where the front is
  context.fill();
}

function ant(context, size, colours) {
  context.strokeStyle = colours.body;
  context.lineWidth = Math.max(2, size * 0.24);
  for (const [along, across] of [[1, 1], [1, -1], [-1, 1], [-1, -1]]) {
    context.beginPath();
    context.moveTo(0, 0);
    context.lineTo(along * size * 0.65, across * size * 0.65);
    context.lineTo(along * size * 1.25, across * size * 0.8);
    context.stroke();
  }
  context.strokeStyle = colours["body-edge"];
  context.lineWidth = 2;
  disc(context, 0, 0, size * 0.6);
  context.fillStyle = colours["body-edge"];
  context.beginPath();
  context.arc(size * 0.28, 0, size * 0.16, 0, 2 * Math.PI);
  context.fill();
}

function drone(context, size, colours) {
  context.strokeStyle = colours.body;
  context.lineWidth = Math.max(2, size * 0.25);
  context.beginPath();
  for (const across of [-0.75, 0.75]) {
    context.moveTo(-0.75 * size, across * size);
    context.lineTo(0.75 * size, -across * size);
  }
  context.stroke();
  context.strokeStyle = colours["body-edge"];
  context.lineWidth = 1.5;
  for (const along of [-0.8, 0.8]) for (const across of [-0.8, 0.8]) disc(context, along * size, across * size, size * 0.42);
  disc(context, 0, 0, size * 0.36);
  context.fillStyle = colours["body-edge"];
  context.beginPath();
  context.arc(size * 0.16, 0, size * 0.13, 0, 2 * Math.PI);
  context.fill();
}
