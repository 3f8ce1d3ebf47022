// Starts the views, follows the news of the training, and keeps the choice of the network.

import { refreshDraw, startDraw } from "./draw.js";
import { percent } from "./numbers.js";
import { ask, followNews, useNetwork } from "./server.js";
import { startSynapse } from "./synapse.js";
import { showNews, startTrain } from "./train.js";
import { explainDrawing, refreshUnderstand, startUnderstand } from "./understand.js";

const network = document.getElementById("network");
const notice = document.getElementById("notice");
let shownRun = 0;
let shownStep = -1;

function say(text) {
  notice.textContent = text;
  notice.hidden = !text;
}

function networkChanged() {
  useNetwork(network.value);
  refreshDraw();
  refreshUnderstand();
}

function onNews(news) {
  say("");
  showNews(news);
  const yours = network.querySelector('[value="trained"]');
  const has = news.state !== "idle" && "step" in news.latest;
  if (!has && !yours.disabled) network.value = "shipped";
  if (has && news.run !== shownRun) {
    network.value = "trained"; // a new run answers from its first steps on
    shownRun = news.run;
    shownStep = -1;
  }
  yours.disabled = !has;
  const best = news.records.findLast?.((record) => record.kind !== "batch");
  if (!has) yours.textContent = "yours (not trained yet)";
  else if (best) yours.textContent = `yours (${percent(best.accuracy, 1)})`;
  const step = has ? news.latest.step : -1;
  if (step !== shownStep) {
    shownStep = step;
    if (network.value === "trained" || !has) networkChanged();
  }
}

// The link of the view in the middle of the window is marked.
function markViews() {
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const watcher = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) links.get(target.id).setAttribute("aria-current", "true");
        else links.get(target.id).removeAttribute("aria-current");
      }
    },
    { rootMargin: "-45% 0px -54% 0px" },
  );
  document.querySelectorAll(".view").forEach((view) => watcher.observe(view));
}

try {
  startDraw(explainDrawing); // first: whoever opens the page draws at once
  startTrain(await ask("about"), say);
  startUnderstand();
  startSynapse();
  network.addEventListener("change", networkChanged);
  followNews(onNews, () => say("No contact with the playground: it has ended, or is being started again."));
  markViews();
  document.documentElement.dataset.ready = "true";
} catch (error) {
  say(error.message);
}
