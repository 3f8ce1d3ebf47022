// Colours that can be told apart without red and green, for light and dark; painters run again when the theme changes.

const dark = matchMedia("(prefers-color-scheme: dark)");
const painters = new Set();
dark.addEventListener("change", () => painters.forEach((paint) => paint()));

export function repaintWithTheme(paint) {
  painters.add(paint);
}

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

const ENDS = {
  light: { negative: [200, 85, 0], zero: [247, 246, 243], positive: [0, 90, 160] },
  dark: { negative: [240, 165, 40], zero: [29, 35, 43], positive: [95, 185, 245] },
};

// [r, g, b] of a value in −1..1.
export function diverging(value) {
  const { negative, zero, positive } = ENDS[dark.matches ? "dark" : "light"];
  const end = value < 0 ? negative : positive;
  const share = Math.min(Math.abs(value), 1) ** 0.8;
  return zero.map((z, i) => Math.round(z + (end[i] - z) * share));
}

const RAMP = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]]; // viridis

// CSS colour of a value in 0..1.
export function ramp(value) {
  const place = Math.min(Math.max(value, 0), 1) * (RAMP.length - 1);
  const i = Math.min(Math.floor(place), RAMP.length - 2);
  const mixed = RAMP[i].map((c, k) => Math.round(c + (RAMP[i + 1][k] - c) * (place - i)));
  return `rgb(${mixed.join(" ")})`;
}

// The 2D context of a canvas whose pixels are the screen's, in CSS units.
export function sharpContext(canvas) {
  const ratio = devicePixelRatio || 1;
  const { width, height } = canvas.getBoundingClientRect();
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  return { context, width, height };
}
