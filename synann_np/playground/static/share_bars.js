// Rows with a bar to the left (negative) or right (positive), of which one can be chosen by click or arrow keys.

import { fixed } from "./numbers.js";

// rows: [{label, values: [[value, kind], ...], text, key}]. kind: positive, negative, base. onChoose gets a row's key.
export function showBars(container, rows, { chosen = null, onChoose = null } = {}) {
  const largest = Math.max(1e-9, ...rows.flatMap(({ values }) => extent(values)));
  const focused = container.contains(document.activeElement);
  container.replaceChildren(
    ...rows.map((row) => {
      const line = document.createElement("div");
      line.className = "row";
      const label = document.createElement("span");
      label.className = "row-label";
      label.textContent = row.label;
      const text = document.createElement("span");
      text.className = "row-text";
      text.textContent = row.text;
      line.append(label, track(row.values, largest), text);
      if (onChoose) {
        line.setAttribute("role", "option");
        line.setAttribute("aria-selected", String(row.key === chosen));
        line.tabIndex = row.key === chosen ? 0 : -1;
        line.addEventListener("click", () => onChoose(row.key));
        line.addEventListener("keydown", (event) => move(event, container, rows, row, onChoose));
      }
      return line;
    }),
  );
  if (onChoose && !rows.some(({ key }) => key === chosen) && container.firstChild) container.firstChild.tabIndex = 0;
  if (focused) container.querySelector('[tabindex="0"]')?.focus({ preventScroll: true });
}

function extent(values) {
  const sums = [0, 0];
  for (const [value] of values) sums[value < 0 ? 0 : 1] += Math.abs(value);
  return sums;
}

// Positive parts are stacked to the right of the middle, negative ones to the left.
function track(values, largest) {
  const box = document.createElement("span");
  box.className = "track";
  const at = { left: 0, right: 0 };
  for (const [value, kind] of values) {
    const side = value < 0 ? "left" : "right";
    const part = document.createElement("i");
    const width = (50 * Math.abs(value)) / largest;
    part.className = kind;
    part.style.width = `${width}%`;
    part.style[side === "left" ? "right" : "left"] = `${50 + at[side]}%`;
    part.title = `${kind}: ${fixed(value)}`;
    at[side] += width;
    box.append(part);
  }
  return box;
}

function move(event, container, rows, row, onChoose) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key] ?? 0;
  if (!step && event.key !== "Enter" && event.key !== " ") return;
  event.preventDefault();
  const next = rows[(rows.indexOf(row) + step + rows.length) % rows.length];
  onChoose(next.key);
}

// The indices of the values of largest size, that size first.
export function largestOf(values, count) {
  const size = (i) => Math.abs(values[i] ?? Infinity);
  return values.map((_, i) => i).sort((a, b) => size(b) - size(a)).slice(0, count);
}
