// The view The synapse: sliders, the surface and its values, the flip circuit.

import { FlipCircuit } from "./flip.js";
import { digits, fixed } from "./numbers.js";
import { ask, latestOnly } from "./server.js";
import { Surface } from "./surface.js";

const element = (id) => document.getElementById(id);

// Sliders into a container. numbers: [[name, text, low, high, value]]. Returns a function that reads them all.
export function makeSliders(container, numbers, onInput) {
  const inputs = {};
  for (const [name, text, low, high, value] of numbers) {
    const label = document.createElement("label");
    const input = document.createElement("input");
    Object.assign(input, { type: "range", min: low, max: high, step: 0.01, value });
    input.id = `${container.id}-${name}`;
    const output = document.createElement("output");
    const showValue = () => (output.textContent = fixed(Number(input.value)));
    input.addEventListener("input", () => {
      showValue();
      onInput(name);
    });
    showValue();
    label.append(`${text} `, output, input);
    container.append(label);
    inputs[name] = input;
  }
  return () => Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, Number(input.value)]));
}

export function startSynapse() {
  const surface = new Surface(element("surface"));
  const numbers = [["x", "x, excitatory", 0, 1, 0.8], ["y", "y, inhibitory", 0, 1, 0.4], ["alpha", "α", 0.01, 1, 1], ["beta", "β", 0, 1, 1]];
  const read = makeSliders(element("surface-sliders"), numbers, () => refresh());
  const refresh = latestOnly(async () => {
    const space = document.querySelector('input[name="space"]:checked').value;
    try {
      const numbersNow = read();
      const answer = await ask("surface", { ...numbersNow, space });
      surface.show(answer, numbersNow);
      showValues(answer, numbersNow);
    } catch (error) {
      element("surface-values").textContent = error.message;
    }
  });
  document.querySelectorAll('input[name="space"]').forEach((input) => input.addEventListener("change", () => refresh()));
  refresh();
  new FlipCircuit(element, makeSliders);
}

function showValues(answer, { x, y, alpha, beta }) {
  const f = (value) => fixed(value, 3);
  const [dx, dy] = answer.gradient;
  const lines = [
    ["S", `= ${f(alpha)} · ${f(x)} · (1 − ${f(beta)} · ${f(y)}) = `, f(answer.value)],
    ["∂S/∂x, ∂S/∂y", "= ", `${f(dx)}, ${f(dy)}`],
    ["−log S", `= θ + u + G(γ + v) = ${f(answer.theta)} + ${f(answer.u)} + ${digitsOfG(answer)} = `, f(answer.surprisal)],
  ];
  element("surface-values").replaceChildren(
    ...lines.map(([name, text, value]) => {
      const line = document.createElement("p");
      const bold = document.createElement("b");
      bold.textContent = value;
      line.append(`${name} ${text}`, bold);
      return line;
    }),
  );
}

function digitsOfG({ surprisal, theta, u }) {
  return surprisal === null || u === null ? "…" : digits(surprisal - theta - u, 3);
}
