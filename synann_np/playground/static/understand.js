// The view Understand: the shares of classes and units, for a test image or the drawing.

import { whenSeen } from "./attention.js";
import { repaintWithTheme } from "./colours.js";
import { paintGrey } from "./draw.js";
import { showGradient, startGradient } from "./gradient.js";
import { fixed, percent } from "./numbers.js";
import { largestOf, showBars } from "./share_bars.js";
import { ask, latestOnly } from "./server.js";

const SHOWN = 8;
const element = (id) => document.getElementById(id);
let picture = null; // {pixels, label, note}
let drawing = null;
let mistakes = null;
let chosen = {};
let index = 0;
const explainSoon = whenSeen(element("understand-view"), () => (picture ? explain() : showImage(0)));

export function startUnderstand() {
  startGradient();
  element("next-image").addEventListener("click", () => showImage(index + 1));
  element("previous-image").addEventListener("click", () => showImage(index + 9999));
  element("mistake").addEventListener("click", showMistake);
  element("my-drawing").addEventListener("click", () => setPicture(drawing));
  repaintWithTheme(() => picture && paintGrey(element("explained"), picture.pixels));
  explainSoon();
}

export function explainDrawing({ pixels, answer }) {
  drawing = { pixels, label: answer, note: "your drawing" };
  element("my-drawing").disabled = false;
  if (picture?.pixels !== pixels) setPicture(drawing, explainSoon);
}

export function refreshUnderstand() {
  mistakes = null;
  explainSoon();
}

async function showImage(number) {
  index = number % 10000;
  try {
    const { seen, label } = await ask("test-image", { index });
    setPicture({ pixels: seen, label, note: `test image ${index}, a ${label}` });
  } catch (error) {
    element("explained-note").textContent = error.message;
  }
}

async function showMistake() {
  const button = element("mistake");
  button.disabled = true;
  try {
    mistakes ??= (await ask("mistakes")).indices;
    if (mistakes.length) await showImage(mistakes[(mistakes.indexOf(index) + 1) % mistakes.length]);
    else element("explained-note").textContent = "This network makes no mistake on the test set.";
  } catch (error) {
    element("explained-note").textContent = error.message;
  } finally {
    button.disabled = false;
  }
}

function setPicture(next, explainIt = explain) {
  picture = next;
  chosen = {};
  paintGrey(element("explained"), picture.pixels);
  explainIt();
}

const explain = latestOnly(async () => {
  const shown = picture;
  try {
    const shares = await ask("shares", { pixels: shown.pixels, ...chosen });
    if (picture !== shown) return; // another picture was chosen meanwhile, and comes next
    if (shares.reason) showNothing(shares.reason, shown);
    else show(shares, shown);
  } catch (error) {
    if (picture === shown) showNothing(error.message, shown);
  }
  await showGradient(shown);
});

function showNothing(reason, { note }) {
  chosen = {};
  element("explained-note").textContent = note;
  for (const id of ["classes", "units", "channels", "unit-channels", "unit-sum"]) element(id).replaceChildren();
  element("class-title").textContent = "Why?";
  element("unit-title").textContent = "Unit";
  element("class-sum").textContent = reason;
}

function choose(part) {
  chosen = { ...chosen, ...part };
  explain();
}

function show(shares, { note, label }) {
  const answer = largestOf(shares.classes.map((c) => c.probability), 1)[0];
  const verdict = note === "your drawing" || answer === label ? "" : " (wrong)";
  element("explained-note").textContent = `${note}; the network says ${answer}${verdict}`;
  const k = shares.class;
  chosen.class = k;
  const rows = shares.classes.map((c, key) => ({
    key,
    label: String(key),
    values: [[c.base, "base"], [c.excitation, "positive"], [c.inhibition, "negative"], [c.unsplit, "unsplit"]],
    text: `${fixed(c.logit)} · ${percent(c.probability, 1)}`,
  }));
  showBars(element("classes"), rows, { chosen: k, onChoose: (key) => choose({ class: key, unit: undefined }) });

  const c = shares.classes[k];
  element("class-title").textContent = `Why ${k === answer ? "" : "not "}${k}?`;
  const unsplit = Math.abs(c.unsplit) < 5e-4 ? [] : [[c.unsplit, "through units with a negative factor"]];
  element("class-sum").replaceChildren(
    sum(`score of ${k}`, [[c.base, "base"], [c.excitation, "excitation"], [c.inhibition, "inhibition"], ...unsplit], c.logit, 3),
  );
  const unit = shares.unit.number;
  showBars(element("units"), bars(shares.by_unit, "unit", "positive"), {
    chosen: unit,
    onChoose: (key) => choose({ unit: key }),
  });
  showBars(element("channels"), bars(shares.by_channel, "channel", "negative"));
  showUnit(shares.unit);
}

function bars(values, name, kind, count = SHOWN) {
  return largestOf(values, count).map((i) => ({
    key: i,
    label: `${name} ${i}`,
    values: [[values[i] ?? 0, kind]],
    text: fixed(values[i], 3),
  }));
}

function showUnit(unit) {
  element("unit-title").textContent = `Unit ${unit.number}: output ${unit.output.toPrecision(3)}`;
  const inhibition = unit.channels.reduce((a, b) => (a === null || b === null ? null : a + b), 0);
  element("unit-sum").replaceChildren(
    sum("surprisal", [[unit.alpha, "−log α"], [unit.own, "−log x, its own input"], [inhibition, "inhibition"]], unit.surprisal, 3),
  );
  showBars(element("unit-channels"), bars(unit.channels, "channel", "negative", SHOWN + 2));
}

// "name = part + part + …" with each part's name below its number.
function sum(name, parts, total, places) {
  const line = document.createElement("span");
  line.className = "equation";
  const term = (value, text) => {
    const box = document.createElement("span");
    const number = document.createElement("b");
    number.textContent = fixed(value, places);
    const label = document.createElement("small");
    label.textContent = text;
    box.append(number, label);
    return box;
  };
  line.append(term(total, name));
  parts.forEach(([value, text], i) => line.append(i ? " + " : " = ", term(value, text)));
  return line;
}
