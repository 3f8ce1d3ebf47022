// The values of a layer as coloured tiles.

import { diverging, repaintWithTheme } from "./colours.js";
import { bytesOf } from "./server.js";

const KINDS = { 3: "maps", 2: "steps", 1: "units" };
const painted = new WeakMap(); // canvas -> picture
const known = new Set();
repaintWithTheme(() => known.forEach((canvas) => canvas.isConnected && paint(canvas, painted.get(canvas))));

// Paint a picture {shape, values, across}: `across` tiles side by side, a vector as a strip.
export function paintTiles(canvas, picture) {
  painted.set(canvas, picture);
  known.add(canvas);
  paint(canvas, picture);
}

function paint(canvas, { shape, values, across = null }) {
  const bytes = typeof values === "string" ? bytesOf(values) : values;
  const [tiles, height, width] = shape.length === 3 ? shape : shape.length === 2 ? [1, ...shape] : [1, ...strip(shape[0])];
  across ??= columns(tiles, width);
  const gap = tiles > 1 ? 1 : 0;
  canvas.width = across * (width + gap) - gap;
  canvas.height = Math.ceil(tiles / across) * (height + gap) - gap;
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  bytes.forEach((byte, index) => {
    const tile = Math.floor(index / (height * width));
    const row = Math.floor(tile / across) * (height + gap) + Math.floor((index % (height * width)) / width);
    const column = (tile % across) * (width + gap) + (index % width);
    const at = 4 * (row * canvas.width + column);
    image.data.set([...diverging((byte - 128) / 127), 255], at);
  });
  context.putImageData(image, 0, 0);
}

function strip(units) {
  const width = units <= 80 ? units : Math.ceil(units / Math.ceil(units / 80));
  return [Math.ceil(units / width), width];
}

function columns(tiles, width) {
  const most = width > 16 ? 10 : width > 6 ? 20 : 40;
  return Math.ceil(tiles / Math.ceil(tiles / most));
}

// All layers, one row each. Rows are kept while the network is the same, so that nothing flickers.
export function showLayers(container, layers) {
  const rows = [...container.querySelectorAll(".layer")];
  if (rows.length !== layers.length || rows.some((row, i) => row.dataset.layer !== key(layers[i]))) {
    container.replaceChildren(...layers.map(makeRow));
  }
  container.querySelectorAll(".layer canvas").forEach((canvas, i) => paintTiles(canvas, layers[i]));
}

function key(layer) {
  return `${layer.name} ${layer.shape.join()}`;
}

function makeRow(layer) {
  const row = document.createElement("div");
  row.className = "layer";
  row.dataset.layer = key(layer);
  const label = document.createElement("p");
  const name = document.createElement("b");
  name.textContent = layer.name;
  const [first, ...rest] = layer.shape;
  const what = layer.shape.length === 3 ? `${first} ${KINDS[3]} of ${rest.join(" × ")}` : layer.shape.length === 2 ? layer.shape.join(" × ") : `${first} ${KINDS[1]}`;
  label.append(name, ` ${layer.layer.split("(")[0]}, ${what}`);
  row.title = layer.layer;
  const canvas = document.createElement("canvas");
  canvas.className = `pixels ${layer.shape.length === 1 ? "strip" : "tiles"}`;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Output of ${layer.name}, ${what}`);
  row.append(label, canvas);
  return row;
}
