// One picture on a canvas: zoom, pan, windowing by mouse, boxes, points, distances. Films are drawn here, and slices
// that the server has rendered. Positions are pixels of the image (0-based centres).
import { clamp, fixed } from "./geometry.js";
import { stroke } from "./marks.js";

const COLOURS = { box: "#ffcc4d", point: "#ffcc4d", cross: "rgba(92,200,189,.8)", ruler: "#ffcc4d", found: "#e69f00" };

export class CanvasPane {
  constructor(host, on, label) {
    this.on = on;
    this.element = document.createElement("div");
    this.element.className = "rv-pane";
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", label);
    this.element.append(this.canvas);
    host.append(this.element);
    this.size = [1, 1]; // of the image, in its own pixels
    this.aspect = 1; // height of a pixel divided by its width
    this.scale = 1;
    this.shift = [0, 0];
    this.tool = "cross";
    this.boxes = [];
    this.points = [];
    this.lines = [];
    this.cross = null;
    this.ruler = null;
    this.source = null; // what is drawn: a canvas, an image
    this.overlays = []; // {source, opacity}
    this.#listen();
    this.resizing = new ResizeObserver(() => this.draw());
    this.resizing.observe(this.element);
  }

  close() {
    this.resizing.disconnect();
    this.element.remove();
  }

  setTool(name) {
    this.tool = name;
    this.canvas.style.cursor = { window: "ns-resize", pan: "grab" }[name] ?? "crosshair";
  }

  reset() {
    this.scale = 1;
    this.shift = [0, 0];
    this.draw();
  }

  zoom(factor, at) {
    const [x, y] = at ?? [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2];
    const before = this.toImage([x, y]);
    this.scale = clamp(this.scale * factor, 1, 40);
    const after = this.toScreen(before);
    this.shift = this.scale === 1 ? [0, 0] : [this.shift[0] + x - after[0], this.shift[1] + y - after[1]];
    this.draw();
  }

  get #frame() {
    const [width, height] = [this.size[0], this.size[1] * this.aspect];
    const { clientWidth, clientHeight } = this.canvas;
    const unit = Math.min(clientWidth / width, clientHeight / height) * this.scale;
    const left = (clientWidth - width * unit) / 2 + this.shift[0];
    const top = (clientHeight - height * unit) / 2 + this.shift[1];
    return { unit, left, top, width: width * unit, height: height * unit };
  }

  toScreen([x, y]) {
    const { unit, left, top } = this.#frame;
    return [left + (x + 0.5) * unit, top + (y + 0.5) * unit * this.aspect];
  }

  toImage([x, y]) {
    const { unit, left, top } = this.#frame;
    return [(x - left) / unit - 0.5, (y - top) / (unit * this.aspect) - 0.5];
  }

  draw() {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.canvas;
    if (!clientWidth || !this.source) return;
    this.canvas.width = clientWidth * ratio;
    this.canvas.height = clientHeight * ratio;
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, clientWidth, clientHeight);
    const { left, top, width, height, unit } = this.#frame;
    pen.imageSmoothingEnabled = unit < 4; // pixels are shown as they are once they are large
    pen.drawImage(this.source, left, top, width, height);
    for (const overlay of this.overlays) {
      pen.globalAlpha = overlay.opacity;
      pen.drawImage(overlay.source, left, top, width, height);
      pen.globalAlpha = 1;
    }
    for (const box of this.boxes) this.#box(pen, box);
    for (const point of this.points) this.#point(pen, point);
    for (const line of this.lines) this.#line(pen, line, line.colour ?? COLOURS.found);
    if (this.cross) this.#crosshair(pen, this.toScreen(this.cross));
    if (this.ruler) this.#line(pen, this.ruler, COLOURS.ruler);
  }

  #crosshair(pen, [x, y]) {
    pen.strokeStyle = COLOURS.cross;
    pen.lineWidth = 1;
    pen.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      pen.moveTo(x + dx * 6, y + dy * 6);
      pen.lineTo(x + dx * 4000, y + dy * 4000);
    }
    pen.stroke();
  }

  #box(pen, { lower, upper, label, mine, colour }) {
    const [x0, y0] = this.toScreen([lower[0] - 0.5, lower[1] - 0.5]);
    const [x1, y1] = this.toScreen([upper[0] + 0.5, upper[1] + 0.5]);
    pen.strokeStyle = mine ? COLOURS.box : (colour ?? COLOURS.found);
    pen.lineWidth = 2;
    pen.setLineDash(mine ? [5, 4] : []);
    pen.strokeRect(x0, y0, x1 - x0, y1 - y0);
    pen.setLineDash([]);
    this.#words(pen, label, x0, y0 - 5, pen.strokeStyle);
  }

  #point(pen, { at, label, mine, colour }) {
    const [x, y] = this.toScreen(at);
    pen.strokeStyle = mine ? COLOURS.point : (colour ?? COLOURS.found);
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(x, y, 5, 0, 2 * Math.PI);
    pen.stroke();
    this.#words(pen, label, x + 9, y + 4, pen.strokeStyle);
  }

  #line(pen, { ends, label }, colour) {
    const [from, to] = ends.map((at) => this.toScreen(at));
    pen.strokeStyle = colour;
    pen.lineWidth = 2;
    stroke(pen, from, to, 4);
    this.#words(pen, label, to[0] + 8, to[1] - 6, colour);
  }

  #words(pen, words, x, y, colour) {
    if (!words) return;
    pen.font = "12px system-ui, sans-serif";
    pen.lineWidth = 3;
    pen.strokeStyle = "#000";
    pen.strokeText(words, x, y);
    pen.fillStyle = colour;
    pen.fillText(words, x, y);
  }

  #listen() {
    const position = (event) => {
      const frame = this.canvas.getBoundingClientRect();
      return [event.clientX - frame.left, event.clientY - frame.top];
    };
    this.canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (this.on.wheel && !event.ctrlKey) this.on.wheel(event.deltaY > 0 ? -1 : 1);
      else this.zoom(event.deltaY > 0 ? 1 / 1.15 : 1.15, position(event));
    }, { passive: false });
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      const tool = event.button === 2 ? "window" : event.button === 1 ? "pan" : this.tool;
      const start = position(event);
      this.drag = { tool, start, last: start, from: this.toImage(start) };
      if (tool === "cross" || tool === "point") this.on.click(this.drag.from);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      const here = position(event);
      if (!this.drag) return this.on.hover?.(this.toImage(here));
      const [dx, dy] = [here[0] - this.drag.last[0], here[1] - this.drag.last[1]];
      this.drag.last = here;
      this.#dragged(this.drag, this.toImage(here), dx, dy);
    });
    const end = (event) => {
      if (this.drag?.tool === "point") this.on.point(this.drag.from);
      if (this.drag?.tool === "box") this.#boxed(this.drag.from, this.toImage(position(event)));
      this.drag = null;
    };
    this.canvas.addEventListener("pointerup", end);
    this.canvas.addEventListener("pointercancel", () => (this.drag = null));
  }

  #dragged(drag, here, dx, dy) {
    if (drag.tool === "window") this.on.windowBy(dx, dy);
    else if (drag.tool === "pan") {
      this.shift = [this.shift[0] + dx, this.shift[1] + dy];
      this.draw();
    } else if (drag.tool === "cross") this.on.click(here);
    else if (drag.tool === "measure") {
      this.ruler = { ends: [drag.from, here], label: this.on.length(drag.from, here) };
      this.draw();
    } else if (drag.tool === "box") {
      const kept = this.boxes;
      this.boxes = [...kept, { ...corners(drag.from, here), label: "", mine: true }];
      this.draw();
      this.boxes = kept;
    }
  }

  #boxed(from, to) {
    const { lower, upper } = corners(from, to);
    if (upper[0] - lower[0] >= 2 && upper[1] - lower[1] >= 2) this.on.box(lower, upper);
    else this.draw();
  }
}

const corners = (one, other) => ({
  lower: [Math.min(one[0], other[0]), Math.min(one[1], other[1])],
  upper: [Math.max(one[0], other[0]), Math.max(one[1], other[1])],
});

/** Words for the distance of two pixels; only where the image carries millimetres. */
export const distance = (from, to, [across, down]) => {
  const mm = Math.hypot((to[0] - from[0]) * across, (to[1] - from[1]) * down);
  return mm >= 100 ? `${fixed(mm / 10, 1)} cm` : `${fixed(mm, 1)} mm`;
};
