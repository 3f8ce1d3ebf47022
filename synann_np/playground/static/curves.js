// Curves over the training steps.

import { colour, repaintWithTheme, sharpContext } from "./colours.js";

const LEFT = 44, RIGHT = 10, TOP = 8, BOTTOM = 22;

// Accuracies by their errors, on a logarithmic scale: from 99 % to 99.9 % is as far as from 90 % to 99 %.
export const accuracyScale = {
  low: 0,
  high: 2.7,
  ticks: [[0, "0"], [0.5, "50"], [0.9, "90"], [0.97, "97"], [0.99, "99"], [0.997, "99.7"]],
  place: (share) => -Math.log10(Math.max(1 - share, 1e-4)),
};

export const lossScale = {
  low: Math.log10(0.01),
  high: Math.log10(3),
  ticks: [[0.01, "0.01"], [0.03, "0.03"], [0.1, "0.1"], [0.3, "0.3"], [1, "1"], [3, "3"]],
  place: (loss) => Math.log10(Math.max(loss, 1e-3)),
};

export class Curves {
  constructor(canvas, scale) {
    this.canvas = canvas;
    this.scale = scale;
    this.content = [1, [], [], []];
    repaintWithTheme(() => this.paint());
    new ResizeObserver(() => this.paint()).observe(canvas);
  }

  // steps: of the whole run. line: [step, value] pairs; marks: dots with a value; before: lines of past runs.
  show(steps, line, marks, before) {
    this.content = [steps, line, marks, before];
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.paint());
  }

  paint() {
    const [steps, line, marks, before] = this.content;
    const { context: c, width, height } = sharpContext(this.canvas);
    const { low, high, ticks, place } = this.scale;
    const last = Math.max(steps, ...before.map((past) => past.at(-1)[0]));
    const x = (step) => LEFT + (step / last) * (width - LEFT - RIGHT);
    const y = (value) => {
      const share = (Math.min(Math.max(place(value), low), high) - low) / (high - low);
      return height - BOTTOM - share * (height - BOTTOM - TOP);
    };
    c.clearRect(0, 0, width, height);
    c.textBaseline = "middle";
    c.textAlign = "right";
    for (const [value, text] of ticks) {
      c.strokeStyle = colour("line");
      c.lineWidth = 1;
      segment(c, LEFT, y(value), width - RIGHT, y(value));
      c.fillStyle = colour("muted");
      c.fillText(text, LEFT - 7, y(value));
    }
    c.textBaseline = "top";
    c.fillText(last > 1 ? `${last.toLocaleString("en")} steps` : "steps", width - RIGHT, height - BOTTOM + 7);
    c.textAlign = "left";
    c.fillText("0", LEFT, height - BOTTOM + 7);
    c.setLineDash([4, 4]);
    for (const past of before) path(c, past, x, y, colour("muted"), 1.2);
    c.setLineDash([]);
    path(c, line, x, y, colour("positive"), 2);
    c.fillStyle = colour("negative");
    for (const [step, value] of marks) {
      c.beginPath();
      c.arc(x(step), y(value), 4.5, 0, 2 * Math.PI);
      c.fill();
    }
  }
}

function segment(c, x1, y1, x2, y2) {
  c.beginPath();
  c.moveTo(x1, Math.round(y1) + 0.5);
  c.lineTo(x2, Math.round(y2) + 0.5);
  c.stroke();
}

function path(c, points, x, y, stroke, width) {
  c.strokeStyle = stroke;
  c.lineWidth = width;
  c.lineJoin = "round";
  c.beginPath();
  points.forEach(([step, value], i) => (i ? c.lineTo(x(step), y(value)) : c.moveTo(x(step), y(value))));
  c.stroke();
}
