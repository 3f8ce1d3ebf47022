// The view Train: the form, and what the news tell.

import { showConfusion } from "./confusion.js";
import { Curves, accuracyScale, lossScale } from "./curves.js";
import { paintTiles } from "./layer_maps.js";
import { digits, percent } from "./numbers.js";
import { ask, latestOnly } from "./server.js";

const MODELS = {
  lenet: "SynaNN with batch-norm, without dropout",
  synann: "SynaNN, as published",
  mlp: "perceptron",
  rnn: "recurrent synapses",
  tanh_rnn: "recurrent tanh units",
  small_cnn: "three convolutions with batch-norm",
  cnn: "five convolutions",
};
const STATES = {
  idle: "Not trained yet.",
  preparing: "Loading the images and preparing the compiled layers…",
  running: "Training…",
  paused: "Paused.",
  done: "Done. Draw a digit: your network answers.",
  stopped: "Stopped. The network keeps its weights.",
  failed: "The training failed.",
};
const ACTIVE = ["preparing", "running", "paused"];

const element = (id) => document.getElementById(id);
let recipes, complain, accuracyCurve, lossCurve;
let run = 0;
let records = [];
let state = "idle";
let rate; // the slider is rounded, a recipe is not

export function startTrain(about, say) {
  recipes = about.recipes;
  complain = say;
  fill(element("recipe"), recipes.map(({ recipe }) => [recipe, recipe]));
  fill(element("model"), Object.entries(MODELS));
  accuracyCurve = new Curves(element("accuracy-curve"), accuracyScale);
  lossCurve = new Curves(element("loss-curve"), lossScale);
  element("recipe").addEventListener("change", takeRecipe);
  element("model").addEventListener("change", nameSynapse);
  element("rate").addEventListener("input", rateMoved);
  element("settings").addEventListener("submit", (event) => {
    event.preventDefault();
    act("start", choice());
  });
  element("pause").addEventListener("click", () => act(state === "paused" ? "continue" : "pause"));
  element("stop").addEventListener("click", () => act("stop"));
  element("reset").addEventListener("click", () => act("reset"));
  takeRecipe();
}

function fill(select, options) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
}

function takeRecipe() {
  const settings = recipes.find(({ recipe }) => recipe === element("recipe").value);
  element("about-recipe").textContent = settings.about;
  element("model").value = settings.model;
  element("epochs").value = settings.epochs;
  element("seed").value = settings.seed;
  rate = settings.lr;
  element("rate").value = Math.log10(rate);
  showRate();
  nameSynapse();
}

function nameSynapse() {
  const model = element("model").value;
  element("synapse").disabled = model === "tanh_rnn";
  element("synapse").nextElementSibling.textContent =
    model === "rnn" ? "with synapses (off: tanh units)" : "with its synapse";
}

function showRate() {
  element("rate-shown").textContent = rate;
  element("rate").setAttribute("aria-valuetext", String(rate));
}

const sendRate = latestOnly(() => act("learning-rate", { lr: rate }));

function rateMoved() {
  rate = Number((10 ** Number(element("rate").value)).toPrecision(2));
  showRate();
  if (ACTIVE.includes(state)) sendRate();
}

function choice() {
  return {
    recipe: element("recipe").value,
    model: element("model").value,
    synapse: element("synapse").checked,
    epochs: Number(element("epochs").value),
    seed: Number(element("seed").value),
    lr: rate,
  };
}

async function act(action, more = {}) {
  try {
    await ask("train", { action, ...more });
    complain("");
  } catch (error) {
    complain(error.message);
  }
}

export function showNews(news) {
  const isNew = news.run !== run;
  if (isNew) {
    run = news.run;
    records = [];
    forgetRun(news);
  }
  records.push(...news.records);
  state = news.state;
  showState(news);
  if (news.records.length || isNew) showRecords(news);
  if (news.latest.filters) {
    element("filters-title").textContent = `First layer’s weights: ${news.latest.filters.name}`;
    paintTiles(filterCanvas(), { ...news.latest.filters, across: 5 });
  }
  showRuns(news.history);
}

function showState(news) {
  const active = ACTIVE.includes(state);
  element("train").disabled = active;
  element("pause").disabled = !["running", "paused"].includes(state);
  element("pause").textContent = state === "paused" ? "Continue" : "Pause";
  element("stop").disabled = !active;
  for (const id of ["recipe", "model", "epochs", "seed"]) element(id).disabled = active;
  element("synapse").disabled = active || element("model").value === "tanh_rnn";
  const { step = 0, steps = 1, epoch } = news.latest;
  element("progress").value = step / steps;
  const place = active && epoch ? ` Epoch ${epoch} of ${news.choice.epochs}, step ${step} of ${steps}.` : "";
  setText("train-state", (news.message || STATES[state]) + place);
  element("seconds").textContent = news.seconds ? `${news.seconds.toFixed(1)} s` : "–";
}

// Only a changed text is set, since every change is read aloud.
function setText(id, text) {
  if (element(id).textContent !== text) element(id).textContent = text;
}

function showRecords(news) {
  const newest = (...kinds) => records.findLast((record) => kinds.includes(record.kind));
  const [epoch, estimate, batch] = [newest("epoch"), newest("estimate"), newest("batch")];
  setText("accuracy", epoch ? percent(epoch.accuracy) : "–");
  setText("estimate", estimate ? percent(estimate.accuracy, 1) : "–");
  setText("loss", batch ? digits(batch.loss, 3) : "–");
  if (epoch) {
    const images = epoch.total.toLocaleString("en");
    setText("accuracy-note", `${epoch.correct.toLocaleString("en")} of ${images} test images, after epoch ${epoch.epoch}`);
    if (news.records.includes(epoch)) showConfusion(element("confusion"), epoch.confusion);
  }
  const points = (kind, field) => records.filter((record) => record.kind === kind).map((r) => [r.step, r[field]]);
  const steps = news.latest.steps ?? 1;
  const before = news.history.filter((past) => past.points.length > 1);
  element("past-key").hidden = !before.length;
  accuracyCurve.show(steps, points("estimate", "accuracy"), points("epoch", "accuracy"), before.map((past) => past.points));
  lossCurve.show(steps, points("batch", "loss"), points("epoch", "loss"), []);
}

function forgetRun(news) {
  element("confusion").replaceChildren(empty("It appears after the first epoch: one pass through all training images."));
  if (news.state === "idle") {
    element("filters-title").textContent = "First layer’s weights";
    element("filters").replaceChildren(empty("They change before your eyes while the network learns."));
    setText("accuracy-note", "on 10,000 images never trained on, after each epoch");
  }
}

function filterCanvas() {
  const box = element("filters");
  let canvas = box.querySelector("canvas");
  if (!canvas) {
    canvas = document.createElement("canvas");
    canvas.className = "pixels tiles";
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "Weights of the first layer");
    box.replaceChildren(canvas);
  }
  return canvas;
}

function empty(text) {
  const paragraph = document.createElement("p");
  paragraph.className = "empty";
  paragraph.textContent = text;
  return paragraph;
}

let runsShown = "";

function showRuns(history) {
  const text = JSON.stringify(history.map(({ points, ...line }) => line));
  if (text === runsShown) return;
  runsShown = text;
  if (!history.length) {
    element("runs").replaceChildren(empty("Train twice, with the synapse and without it, and compare."));
    return;
  }
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const title of ["recipe", "network", "synapse", "seed", "epochs", "time", "accuracy"]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = title;
    head.append(cell);
  }
  const body = table.createTBody();
  for (const r of history) {
    const row = body.insertRow();
    const cells = [r.recipe, r.model, r.synapse ? "yes" : "no", r.seed, r.epochs, `${r.seconds.toFixed(1)} s`, percent(r.accuracy)];
    for (const cell of cells) row.insertCell().textContent = cell;
  }
  element("runs").replaceChildren(table);
}
