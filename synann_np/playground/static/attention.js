// Work for a part of the page: at once while it is in the window, otherwise when nothing has been asked for a while.

const IDLE = 600; // milliseconds

export function whenSeen(element, work) {
  let seen = false;
  let waiting = null;
  const run = () => {
    clearTimeout(waiting);
    waiting = null;
    work();
  };
  new IntersectionObserver(([entry]) => {
    seen = entry.isIntersecting;
    if (seen && waiting) run();
  }).observe(element);
  return () => {
    if (seen) return run();
    clearTimeout(waiting);
    waiting = setTimeout(run, IDLE);
  };
}
