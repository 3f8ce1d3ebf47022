// Numbers as text.

export function percent(share, digits = 2) {
  return `${(100 * share).toFixed(digits)} %`;
}

// A number with a true minus sign; null is infinity.
export function fixed(value, digits = 2) {
  if (value === null) return "∞";
  return value.toFixed(digits).replace("-", "−");
}

// Four digits, and a power of ten where they are needed.
export function digits(value, count = 4) {
  if (value === null) return "∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e5) return value.toPrecision(count).replace("-", "−");
  const [mantissa, exponent] = value.toExponential(count - 1).split("e");
  const raised = String(Number(exponent)).replace(/./g, (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻");
  return `${mantissa.replace("-", "−")}\u00a0·\u00a010${raised}`;
}
