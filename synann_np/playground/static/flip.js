// The flip circuit: states come from the server's simulator, this shows them step by step.

import { colour, repaintWithTheme, sharpContext } from "./colours.js";
import { digits, fixed } from "./numbers.js";
import { ask, latestOnly } from "./server.js";

const STEPS = 60;
const PACE = 140; // milliseconds a step while playing

export class FlipCircuit {
  constructor(element, makeSliders) {
    this.element = element;
    this.step = 0;
    const numbers = [["alpha", "α", 0.5, 1.5, 1], ["beta", "β", 0, 1, 0.3], ["x", "x at the start", 0, 1, 0.95], ["y", "y at the start", 0, 1, 0.85]];
    this.read = makeSliders(element("flip-sliders"), numbers, () => this.load());
    this.load = latestOnly(async () => {
      try {
        this.answer = await ask("flip", { ...this.read(), steps: STEPS });
        this.last = this.answer.states.length - 1;
        this.step = Math.min(this.step, this.last);
        this.show();
      } catch (error) {
        element("flip-note").textContent = error.message;
      }
    });
    element("flip-step").addEventListener("click", () => this.advance());
    element("flip-play").addEventListener("click", () => (this.timer ? this.halt() : this.play()));
    element("flip-restart").addEventListener("click", () => {
      this.halt();
      this.step = 0;
      this.show();
    });
    repaintWithTheme(() => this.show());
    new ResizeObserver(() => this.show()).observe(element("flip-plane"));
    this.load();
  }

  play() {
    if (this.step === this.last) this.step = 0;
    this.timer = setInterval(() => this.advance(), PACE);
    this.element("flip-play").textContent = "Pause";
  }

  halt() {
    clearInterval(this.timer);
    this.timer = null;
    this.element("flip-play").textContent = "Play";
  }

  advance() {
    if (!this.answer) return;
    this.step = Math.min(this.step + 1, this.last);
    if (this.step === this.last && this.timer) this.halt();
    this.show();
  }

  show() {
    if (!this.answer) return;
    const { states, fixed_points: points, leaves } = this.answer;
    const past = states.slice(0, this.step + 1);
    const [x, y] = past.at(-1);
    const end = this.step === this.last && leaves ? " It has left the square: with α > 1 the values are no longer probabilities." : "";
    this.element("flip-note").textContent = `Step ${this.step}: x = ${fixed(x, 4)}, y = ${fixed(y, 4)}.${end} ${describe(points)}`;
    this.paintPlane(past, points);
    this.paintTime(past);
  }

  paintPlane(past, points) {
    const { context: c, width, height } = sharpContext(this.element("flip-plane"));
    const side = Math.min(width, height) - 28;
    const x = (value) => 20 + Math.min(value, 1.02) * side;
    const y = (value) => 6 + side - Math.min(value, 1.02) * side;
    c.clearRect(0, 0, width, height);
    c.strokeStyle = colour("line");
    c.strokeRect(x(0) + 0.5, y(1) + 0.5, side, side);
    c.strokeStyle = colour("muted");
    c.setLineDash([3, 4]);
    line(c, [[x(0), y(0)], [x(1), y(1)]]);
    c.setLineDash([]);
    c.fillStyle = colour("muted");
    c.fillText("x", x(1) - 4, y(0) + 16);
    c.fillText("y", x(0) - 14, y(1) + 10);
    for (const [px, py] of points) {
      line(c, [[x(px) - 5, y(py) - 5], [x(px) + 5, y(py) + 5]]);
      line(c, [[x(px) - 5, y(py) + 5], [x(px) + 5, y(py) - 5]]);
    }
    c.strokeStyle = colour("positive");
    c.lineWidth = 1.5;
    line(c, past.map(([a, b]) => [x(a), y(b)]));
    past.forEach(([a, b], i) => dot(c, x(a), y(b), i === past.length - 1 ? 5 : 2.2, colour(i === past.length - 1 ? "negative" : "positive")));
  }

  paintTime(past) {
    const { context: c, width, height } = sharpContext(this.element("flip-time"));
    const x = (step) => 20 + (step / STEPS) * (width - 40);
    const y = (value) => height - 22 - Math.min(value, 1.05) * (height - 34);
    c.clearRect(0, 0, width, height);
    c.strokeStyle = colour("line");
    for (const value of [0, 0.5, 1]) line(c, [[x(0), y(value)], [x(STEPS), y(value)]]);
    c.fillStyle = colour("muted");
    c.textAlign = "right";
    c.fillText(`${STEPS} steps`, x(STEPS), height - 5);
    c.textAlign = "left";
    for (const value of [0, 0.5, 1]) c.fillText(String(value), 0, y(value) + 4);
    [["positive", "x"], ["negative", "y"]].forEach(([name, text], k) => {
      c.strokeStyle = c.fillStyle = colour(name);
      c.lineWidth = 2;
      line(c, past.map((state, step) => [x(step), y(state[k])]));
      c.fillText(text, Math.min(x(past.length - 1) + 5, width - 12), y(past.at(-1)[k]) + 4);
    });
  }
}

// The list is empty for α = 1, where every point of the axes is fixed.
function describe(points) {
  if (!points.length) return "With α = 1 every point on the axes is a fixed point: the stronger input wins.";
  const [px, , first, second] = points.at(-1);
  if (!px) return first < 1 ? "With α < 1 everything dies away to (0, 0)." : "(0, 0) is unstable.";
  return `The cross off the corner is a saddle at x = y = ${fixed(px)}: eigenvalues ${digits(first, 3)} and ${digits(second, 3)}.`;
}

function line(c, points) {
  c.beginPath();
  points.forEach(([x, y], i) => (i ? c.lineTo(x, y) : c.moveTo(x, y)));
  c.stroke();
}

function dot(c, x, y, radius, fill) {
  c.fillStyle = fill;
  c.beginPath();
  c.arc(x, y, radius, 0, 2 * Math.PI);
  c.fill();
}
