// Requests to the server of this page, and its stream of news.

const token = document.querySelector('meta[name="token"]').content;
let network = "trained"; // before any training the server answers with the ready-made one

export function useNetwork(name) {
  network = name;
}

// The answer to a request, or an Error with the server's words. `value` is sent as JSON, bytes and files as they are.
export async function ask(path, value = {}) {
  const raw = value instanceof Blob || ArrayBuffer.isView(value);
  let response;
  try {
    response = await fetch(`/api/${path}?network=${network}`, {
      method: "POST",
      headers: { "X-Synann-Token": token, "Content-Type": raw ? "application/octet-stream" : "application/json" },
      body: raw ? value : JSON.stringify(value),
    });
  } catch {
    throw new Error("The playground does not answer. Start it again, then reload this page.");
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

// One request at a time; of those that come meanwhile, only the last is sent.
export function latestOnly(send) {
  let busy = false;
  let waiting = null;
  return async function run(...args) {
    if (busy) {
      waiting = args;
      return;
    }
    busy = true;
    try {
      await send(...args);
    } finally {
      busy = false;
      if (waiting) {
        const next = waiting;
        waiting = null;
        run(...next);
      }
    }
  };
}

export function followNews(onNews, onSilence) {
  const source = new EventSource(`/events?token=${encodeURIComponent(token)}`);
  source.onmessage = (event) => onNews(JSON.parse(event.data));
  source.onerror = () => onSilence();
}

export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}
