// The pad: strokes by mouse, pen, finger or keyboard, and dropped pictures.

const PEN = 20; // width of the stroke, of 280
const STEP = 8;

export class DrawingPad {
  // onInk is called after every piece of a stroke, onClear after the pad was emptied.
  constructor(canvas, pen, onInk, onClear) {
    this.canvas = canvas;
    this.pen = pen;
    this.onInk = onInk;
    this.onClear = onClear;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.small = document.createElement("canvas");
    this.at = { x: 140, y: 60 };
    this.isEmpty = true;
    this.isPicture = false;
    canvas.addEventListener("pointerdown", (event) => this.pointerDown(event));
    canvas.addEventListener("pointermove", (event) => this.pointerMove(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (this.last = null));
    canvas.addEventListener("keydown", (event) => this.keyDown(event));
    canvas.addEventListener("focus", () => this.showPen());
    canvas.addEventListener("blur", () => {
      this.isDown = false;
      this.pen.hidden = true;
    });
  }

  clear() {
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.isEmpty = true;
    this.isPicture = false;
    this.onClear();
  }

  // A picture in the place of a drawing: the next stroke begins anew.
  show(image) {
    const { width, height } = this.canvas;
    const scale = Math.min(width / image.width, height / image.height);
    const [w, h] = [image.width * scale, image.height * scale];
    this.context.clearRect(0, 0, width, height);
    this.context.imageSmoothingEnabled = image.width > 28;
    this.context.drawImage(image, (width - w) / 2, (height - h) / 2, w, h);
    this.isEmpty = false;
    this.isPicture = true;
  }

  // The ink as side × side bytes.
  ink(side) {
    this.small.width = this.small.height = side;
    const context = this.small.getContext("2d", { willReadFrequently: true });
    context.drawImage(this.canvas, 0, 0, side, side);
    const { data } = context.getImageData(0, 0, side, side);
    return Uint8Array.from({ length: side * side }, (_, i) => data[4 * i + 3]);
  }

  line(from, to) {
    if (this.isPicture) this.clear();
    const c = this.context;
    c.strokeStyle = getComputedStyle(this.canvas).color;
    c.lineWidth = PEN;
    c.lineCap = c.lineJoin = "round";
    c.beginPath();
    c.moveTo(from.x, from.y);
    c.lineTo(to.x + 0.01, to.y);
    c.stroke();
    this.isEmpty = false;
    this.onInk();
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = this.canvas.width / box.width;
    return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
  }

  pointerDown(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    this.pen.hidden = true;
    try {
      this.canvas.setPointerCapture(event.pointerId);
    } catch {
      // a pointer made by a program has no id to capture
    }
    this.last = this.place(event);
    this.line(this.last, this.last);
  }

  pointerMove(event) {
    if (!this.last) return;
    const steps = event.getCoalescedEvents?.() ?? [];
    for (const step of steps.length ? steps : [event]) {
      const next = this.place(step);
      this.line(this.last, next);
      this.last = next;
    }
  }

  keyDown(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key in moves) {
      const [dx, dy] = moves[event.key].map((d) => d * (event.shiftKey ? STEP / 4 : STEP));
      const before = this.at;
      this.at = { x: clamp(before.x + dx), y: clamp(before.y + dy) };
      if (this.isDown) this.line(before, this.at);
    } else if (event.key === " ") {
      this.isDown = !this.isDown;
      if (this.isDown) this.line(this.at, this.at);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.isDown = false;
      this.clear();
    } else {
      return;
    }
    event.preventDefault();
    this.showPen();
  }

  showPen() {
    const scale = this.canvas.getBoundingClientRect().width / this.canvas.width;
    this.pen.hidden = !this.canvas.matches(":focus-visible");
    this.pen.classList.toggle("down", Boolean(this.isDown));
    this.pen.style.left = `${this.at.x * scale}px`;
    this.pen.style.top = `${this.at.y * scale}px`;
  }
}

function clamp(value) {
  return Math.min(Math.max(value, 14), 266);
}
