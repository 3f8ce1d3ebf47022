// The confusion matrix as a table: right answers blue, mistakes orange, the more the stronger.

export function showConfusion(container, matrix) {
  const table = document.createElement("table");
  table.className = "confusion";
  const head = table.createTHead().insertRow();
  head.append(header("", "col"), ...matrix.map((_, k) => header(k, "col")));
  const body = table.createTBody();
  const worst = Math.max(1, ...matrix.flatMap((row, k) => row.filter((_, j) => j !== k)));
  matrix.forEach((row, truth) => {
    const line = body.insertRow();
    line.append(header(truth, "row"));
    const total = row.reduce((a, b) => a + b, 0) || 1;
    row.forEach((count, taken) => {
      const cell = line.insertCell();
      cell.textContent = count || "";
      cell.className = truth === taken ? "right" : "wrong";
      cell.style.setProperty("--strength", truth === taken ? 0.2 + (0.8 * count) / total : count ? 0.2 + (0.8 * count) / worst : 0);
      cell.title = `${count} of ${total} images of ${truth} taken for ${taken}`;
    });
  });
  container.replaceChildren(table);
}

function header(text, scope) {
  const cell = document.createElement("th");
  cell.scope = scope;
  cell.textContent = text;
  return cell;
}
