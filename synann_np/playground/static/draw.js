// The view Draw: pad, answer, probabilities, layers.

import { whenSeen } from "./attention.js";
import { colour, repaintWithTheme } from "./colours.js";
import { DrawingPad } from "./drawing_pad.js";
import { showLayers } from "./layer_maps.js";
import { percent } from "./numbers.js";
import { ask, bytesOf, latestOnly } from "./server.js";

const element = (id) => document.getElementById(id);
const SIDE = 140; // of the drawing that is sent
let pad;
let question = null; // asks the server about what is on the pad; null while the pad is empty
let picture = null; // base64 of what the network sees
let onPicture = () => {};

export function startDraw(tellPicture) {
  onPicture = tellPicture;
  pad = new DrawingPad(element("draw"), element("pad-pen"), () => drawn(), () => forget());
  element("clear").addEventListener("click", () => pad.clear());
  element("example").addEventListener("click", showTestImage);
  element("choose-photo").addEventListener("click", () => element("photo").click());
  element("photo").addEventListener("change", (event) => event.target.files[0] && showPhoto(event.target.files[0]));
  const target = element("draw-view");
  target.addEventListener("dragover", (event) => event.preventDefault());
  target.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files[0]) showPhoto(event.dataTransfer.files[0]);
  });
  element("probabilities").replaceChildren(...Array.from({ length: 10 }, (_, k) => makeBar(k)));
  repaintWithTheme(() => {
    if (picture) paintGrey(element("seen"), picture);
    if (!pad.isEmpty && !pad.isPicture) recolour();
  });
}

// Ask about what is on the pad. An answer about something that has left it meanwhile is not shown.
const askNow = latestOnly(async () => {
  const asked = question;
  if (!asked) return;
  element("draw-view").ariaBusy = "true";
  try {
    const look = await asked();
    if (asked === question) show(look);
  } catch (error) {
    if (asked !== question) return;
    question = null; // a photo that was refused is not sent again
    element("sure").textContent = error.message;
  } finally {
    element("draw-view").ariaBusy = "false";
  }
});

// The network has changed.
export const refreshDraw = whenSeen(element("draw-view"), askNow);

function drawn() {
  element("pad-hint").hidden = true;
  question ??= () => ask("draw", pad.ink(SIDE));
  askNow();
}

function forget() {
  question = picture = null;
  element("pad-hint").hidden = false;
  element("answer").textContent = "";
  element("sure").textContent = "\u00a0";
  element("seen").getContext("2d").clearRect(0, 0, 28, 28);
  element("probabilities").querySelectorAll("li").forEach((bar) => setBar(bar, 0, false));
  element("layers").replaceChildren(note("Every layer’s output appears here as soon as you draw."));
}

function showTestImage() {
  const index = Math.floor(Math.random() * 10000);
  pad.clear();
  element("pad-hint").hidden = true;
  question = () => ask("test-image", { index });
  askNow();
}

async function showPhoto(file) {
  element("photo").value = "";
  pad.clear();
  element("pad-hint").hidden = true;
  let seen = null;
  const about = async () => {
    const look = await (seen ? ask("picture", { pixels: seen }) : ask("photo", file));
    seen = look.seen;
    return look;
  };
  question = about;
  try {
    const bitmap = await createImageBitmap(file);
    if (question !== about) return;
    pad.show(bitmap);
    askNow();
  } catch {
    if (question !== about) return;
    question = null;
    element("sure").textContent = "This file is not a picture.";
  }
}

function show(look) {
  picture = look.seen;
  element("answer").textContent = String(look.answer);
  const truth = look.label === undefined ? "" : `; it is a ${look.label}`;
  element("sure").textContent = `${percent(look.probabilities[look.answer], 1)} sure${truth}`;
  paintGrey(element("seen"), look.seen);
  if (pad.isEmpty) pad.show(element("seen")); // a test image
  element("probabilities").querySelectorAll("li").forEach((bar, k) => {
    setBar(bar, look.probabilities[k], k === look.answer);
  });
  showLayers(element("layers"), look.layers);
  onPicture({ pixels: look.seen, answer: look.answer });
}

// 28×28 bytes of ink in the colour of text.
export function paintGrey(canvas, base64) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(28, 28);
  const ink = colour("ink-rgb").split(/[\s,]+/).map(Number);
  bytesOf(base64).forEach((byte, i) => image.data.set([...ink, byte], 4 * i));
  context.putImageData(image, 0, 0);
}

function recolour() {
  const context = pad.context;
  context.globalCompositeOperation = "source-in";
  context.fillStyle = getComputedStyle(pad.canvas).color;
  context.fillRect(0, 0, 280, 280);
  context.globalCompositeOperation = "source-over";
}

function makeBar(k) {
  const bar = document.createElement("li");
  const digit = document.createElement("span");
  digit.textContent = String(k);
  const track = document.createElement("i");
  track.append(document.createElement("b"));
  bar.append(digit, track, document.createElement("em"));
  return bar;
}

function setBar(bar, share, best) {
  bar.classList.toggle("best", best);
  bar.querySelector("b").style.width = `${100 * share}%`;
  bar.querySelector("em").textContent = share ? percent(share, 1) : "";
}

export function note(text) {
  const paragraph = document.createElement("p");
  paragraph.className = "empty";
  paragraph.textContent = text;
  return paragraph;
}
