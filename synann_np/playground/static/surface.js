// A surface over a square in perspective, turned by dragging or with the arrow keys.

import { colour, ramp, repaintWithTheme, sharpContext } from "./colours.js";

export class Surface {
  constructor(canvas) {
    this.canvas = canvas;
    this.turn = 0.7;
    this.tilt = 0.55;
    repaintWithTheme(() => this.paint());
    new ResizeObserver(() => this.paint()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => {
      this.from = [event.clientX, event.clientY];
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.from) return;
      this.rotate((event.clientX - this.from[0]) / 150, (event.clientY - this.from[1]) / 200);
      this.from = [event.clientX, event.clientY];
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (this.from = null));
    canvas.addEventListener("keydown", (event) => {
      const [turn, tilt] = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.08], ArrowDown: [0, -0.08] }[event.key] ?? [];
      if (turn === undefined) return;
      event.preventDefault();
      this.rotate(turn, tilt);
    });
  }

  rotate(turn, tilt) {
    this.turn += turn;
    this.tilt = Math.min(Math.max(this.tilt + tilt, 0.1), 1.4);
    this.paint();
  }

  // answer: of /api/surface. at: {x, y}, the point to mark.
  show(answer, at) {
    this.answer = answer;
    this.at = at;
    this.paint();
  }

  paint() {
    if (!this.answer) return;
    const { context: c, width, height } = sharpContext(this.canvas);
    const { axis, heights, space } = this.answer;
    const end = axis.at(-1);
    const top = space === "probability" ? 1 : 10;
    const size = Math.min(width * 0.9, height * 1.2) * 0.43;
    const [sin, cos] = [Math.sin(this.turn), Math.cos(this.turn)];
    // a, b in 0..1 along the axes, z in 0..1 up -> x and y on the canvas, and how near.
    const project = (a, b, z) => {
      const [p, q] = [a - 0.5, b - 0.5];
      const [across, depth] = [p * cos - q * sin, p * sin + q * cos];
      return [width / 2 + across * size * 1.25, height * 0.5 + (depth * Math.sin(this.tilt) * 1.25 - (z - 0.5) * Math.cos(this.tilt)) * size, depth];
    };
    const z = (value) => Math.min(Math.max((value ?? top) / top, 0), 1);
    c.clearRect(0, 0, width, height);
    this.paintFloor(c, project, end, space);
    const quads = [];
    for (let i = 0; i + 1 < axis.length; i++) {
      for (let j = 0; j + 1 < axis.length; j++) {
        const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
        const points = corners.map(([k, l]) => project(axis[k] / end, axis[l] / end, z(heights[k][l])));
        const mean = corners.reduce((sum, [k, l]) => sum + z(heights[k][l]), 0) / 4;
        quads.push([Math.max(...points.map((point) => point[2])), points, mean]);
      }
    }
    quads.sort((a, b) => a[0] - b[0]);
    c.lineWidth = 0.6;
    for (const [, points, mean] of quads) {
      c.beginPath();
      points.forEach(([x, y], k) => (k ? c.lineTo(x, y) : c.moveTo(x, y)));
      c.closePath();
      c.fillStyle = ramp(mean);
      c.strokeStyle = "rgb(0 0 0 / 0.22)";
      c.fill();
      c.stroke();
    }
    this.paintPoint(c, project, z, end);
  }

  paintFloor(c, project, end, space) {
    c.strokeStyle = colour("muted");
    c.fillStyle = colour("muted");
    c.lineWidth = 1;
    const corners = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]].map(([a, b]) => project(a, b, 0));
    c.beginPath();
    corners.forEach(([x, y], k) => (k ? c.lineTo(x, y) : c.moveTo(x, y)));
    c.stroke();
    const names = space === "probability" ? ["x", "y", "S"] : ["u = −log x", "v = −log y", "−log S"];
    c.textAlign = "center";
    c.textBaseline = "middle";
    for (const [text, a, b, height] of [[`${names[0]} → ${end}`, 0.5, 1.14, 0], [`${names[1]} → ${end}`, 1.14, 0.5, 0]]) {
      const [x, y] = project(a, b, height);
      c.fillText(text, x, y);
    }
    const [x, y] = project(0, 0, 0);
    const [, high] = project(0, 0, 1);
    c.beginPath();
    c.moveTo(x, y);
    c.lineTo(x, high);
    c.stroke();
    c.fillText(`${names[2]} → ${space === "probability" ? 1 : 10}`, x, high - 10);
  }

  paintPoint(c, project, z, end) {
    const { space, value, surprisal, u, v } = this.answer;
    const [a, b, height] = space === "probability" ? [this.at.x, this.at.y, value] : [(u ?? end) / end, (v ?? end) / end, surprisal];
    if (a > 1 || b > 1) return;
    const [x, y] = project(a, b, z(height));
    const [footX, footY] = project(a, b, 0);
    c.strokeStyle = "#d0009b";
    c.lineWidth = 1.5;
    c.beginPath();
    c.moveTo(footX, footY);
    c.lineTo(x, y);
    c.stroke();
    c.fillStyle = "#d0009b";
    c.beginPath();
    c.arc(x, y, 5.5, 0, 2 * Math.PI);
    c.fill();
    c.strokeStyle = "#fff";
    c.stroke();
  }
}
