// One gradient by formula, by the formula with numbers, by backward, and by finite difference.

import { paintTiles } from "./layer_maps.js";
import { digits } from "./numbers.js";
import { ask, latestOnly } from "./server.js";

const element = (id) => document.getElementById(id);
let picture = null;
let found = null; // the last answer
let chosen = {};

export function startGradient() {
  element("true-class").replaceChildren(...Array.from({ length: 10 }, (_, k) => new Option(String(k), String(k))));
  element("parameter").addEventListener("change", () => {
    chosen = { parameter: element("parameter").value };
    refresh();
  });
  element("true-class").addEventListener("change", () => refresh());
  element("gradient-map").addEventListener("click", clicked);
  element("gradient-map").addEventListener("keydown", keyed);
}

export async function showGradient(next) {
  if (picture?.pixels !== next.pixels) {
    element("true-class").value = String(next.label);
    delete chosen.element;
  }
  picture = next;
  await refresh();
}

const refresh = latestOnly(async () => {
  const request = { pixels: picture.pixels, label: Number(element("true-class").value), ...chosen };
  try {
    show(await ask("gradient", request));
  } catch (error) {
    if (chosen.parameter) {
      chosen = {}; // another network has other parameters
      refresh();
    } else {
      element("ways").textContent = error.message;
    }
  }
});

function show(answer) {
  found = answer;
  chosen = { parameter: answer.parameter, element: answer.element };
  const names = answer.parameters.map(([name, shape]) => [name, `${name}  (${shape.join(" × ")})`]);
  const select = element("parameter");
  if (select.length !== names.length || names.some(([name], i) => select.options[i].value !== name)) {
    select.replaceChildren(...names.map(([name, text]) => new Option(text, name)));
  }
  select.value = answer.parameter;
  paintMap(answer);
  showWays(answer);
}

// The gradient as a matrix: filters and units one below the other, all that leads into them side by side.
function grid(shape) {
  if (shape.length === 1) {
    const across = Math.min(shape[0], 32);
    return [Math.ceil(shape[0] / across), across];
  }
  return [shape[0], shape.slice(1).reduce((a, b) => a * b, 1)];
}

function paintMap({ gradient, shape, element: index }) {
  const [rows, columns] = grid(shape);
  const largest = Math.max(...gradient.map((g) => Math.abs(g ?? 0))) || 1;
  const bytes = new Uint8Array(rows * columns).fill(128);
  gradient.forEach((g, i) => (bytes[i] = Math.round(128 + (127 * (g ?? 0)) / largest)));
  const canvas = element("gradient-map");
  paintTiles(canvas, { shape: [rows, columns], values: bytes });
  const context = canvas.getContext("2d");
  context.fillStyle = "#d0009b";
  context.fillRect(index % columns, Math.floor(index / columns), 1, 1);
  canvas.style.setProperty("--ratio", `${columns} / ${rows}`);
}

function clicked(event) {
  if (!found) return;
  const [rows, columns] = grid(found.shape);
  const box = event.target.getBoundingClientRect();
  const column = Math.min(Math.floor(((event.clientX - box.left) / box.width) * columns), columns - 1);
  const row = Math.min(Math.floor(((event.clientY - box.top) / box.height) * rows), rows - 1);
  pick(row * columns + column);
}

function keyed(event) {
  if (!found) return;
  const columns = grid(found.shape)[1];
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
  if (!step) return;
  event.preventDefault();
  pick(found.element + step);
}

function pick(index) {
  if (index < 0 || index >= found.gradient.length) return;
  chosen = { parameter: found.parameter, element: index };
  refresh();
}

function showWays(answer) {
  const place = `${answer.parameter}[${answer.place.join(", ")}]`;
  const heading = document.createElement("p");
  heading.textContent = `∂L/∂w for w = ${place} = ${digits(answer.weight)}; the loss is L = ${digits(answer.loss)}`;
  const list = document.createElement("dl");
  const way = (name, text, value) => {
    const title = document.createElement("dt");
    title.textContent = name;
    const line = document.createElement("dd");
    line.textContent = text;
    if (value !== undefined) {
      const number = document.createElement("b");
      number.textContent = digits(value, 7);
      line.append(number);
    }
    list.append(title, line);
  };
  way("formula", answer.formula ?? "a sum over all time steps; see the layer’s docstring");
  if (answer.sum !== null) way("with numbers", `${termsText(answer)} = `, answer.sum);
  way("backward", `${answer.parameter.split(".")[0]}.backward(dy, cache) gives `, answer.backward);
  way("finite difference", "(L(w + h) − L(w − h)) / 2h with h = 10⁻⁵ gives ", answer.difference);
  const gap = Math.abs(answer.backward - answer.difference);
  const verdict = document.createElement("p");
  verdict.className = "fine";
  const agree = gap <= 1e-5 * Math.abs(answer.backward) + 1e-9;
  verdict.textContent = agree
    ? `The numbers agree; backward and finite difference differ by ${digits(gap, 1)}.`
    : `backward and finite difference differ by ${digits(gap, 1)}: a kink of relu or of a maximum lies within h.`;
  element("ways").replaceChildren(heading, list, verdict);
}

function termsText({ terms, nonzero }) {
  if (!nonzero) return "no term differs from zero, sum";
  const shown = terms.map((factors) => factors.map((f) => (f < 0 ? `(${digits(f, 3)})` : digits(f, 3))).join(" × "));
  const rest = nonzero - terms.length;
  return shown.join(" + ") + (rest ? ` + ${rest} smaller term${rest > 1 ? "s" : ""}` : "");
}
