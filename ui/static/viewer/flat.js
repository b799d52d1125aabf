// Volumes without WebGL2: slices that the server renders, one plane at a time, with a slider.
import { CanvasPane, distance } from "./canvas.js";
import { clamp, inside, toWorld, windowAfter } from "./geometry.js";

export class FlatPane {
  constructor(host, on) {
    this.on = on;
    this.pane = new CanvasPane(host, {
      click: (at) => this.#clicked(at),
      point: (at) => this.on.point(this.#voxelAt(at)),
      box: (lower, upper) => this.#boxed(lower, upper),
      windowBy: (dx, dy) => this.#windowBy(dx, dy),
      length: (from, to) => distance(from, to, this.#steps),
      wheel: (by) => this.step(by),
    }, "Picture of one slice; the line below says the position of the crosshair");
    this.element = this.pane.element;
    this.element.classList.add("rv-flat");
    this.slider = document.createElement("input");
    this.slider.type = "range";
    this.slider.min = 0;
    this.slider.setAttribute("aria-label", "Slice");
    this.slider.addEventListener("input", () => this.#go(Number(this.slider.value)));
    this.element.append(this.slider);
    this.plane = "axial";
    this.shown = [];
    this.heats = [];
    this.opacity = 0.45;
    this.marks = { boxes: [], points: [], lines: [] };
  }

  async open(image, info) {
    this.image = image;
    this.info = info;
    this.window = info.window;
    this.voxel = info.shape.map((n) => Math.floor(n / 2));
    await this.#render();
  }

  get #axes() {
    return this.info.planes[this.plane];
  }

  get #steps() {
    return [this.info.spacing_mm[this.#axes.right], this.info.spacing_mm[this.#axes.down]];
  }

  setLayout(name) {
    this.plane = ["axial", "coronal", "sagittal"].includes(name) ? name : "axial";
    if (this.info) this.#render();
  }

  setTool(name) {
    this.pane.setTool(name);
  }

  setWindow(window) {
    this.window = window;
    this.#render();
  }

  goVoxel(voxel) {
    this.voxel = inside(voxel, this.info.shape);
    this.#render();
    this.#say();
  }

  step(by, plane = this.plane) {
    if (plane !== this.plane) this.plane = plane;
    const { across, flip_across: flips } = this.#axes;
    this.#go(clamp(this.voxel[across] + (flips ? -by : by), 0, this.info.shape[across] - 1));
  }

  zoom(factor) {
    this.pane.zoom(factor);
  }

  reset() {
    this.pane.ruler = null;
    this.pane.reset();
    this.goVoxel(this.info.shape.map((n) => Math.floor(n / 2)));
  }

  setMarks(marks) {
    this.marks = marks;
    this.#drawMarks();
  }

  /** Boxes that this slice cuts, points and lines that lie on it, in pixels of the picture. */
  #drawMarks() {
    if (!this.info) return;
    const { across } = this.#axes;
    const at = this.voxel[across];
    this.pane.boxes = this.marks.boxes
      .filter(({ lower, upper }) => at >= lower[across] - 0.5 && at <= upper[across] + 0.5)
      .map((box) => {
        const [one, other] = [this.#pixelOf(box.lower), this.#pixelOf(box.upper)];
        const corner = (pick) => one.map((n, axis) => pick(n, other[axis]));
        return { ...box, lower: corner(Math.min), upper: corner(Math.max) };
      });
    const isNear = (place) => Math.abs(place[across] - at) <= 0.75; // between two slices: on both
    this.pane.lines = this.marks.lines
      .filter(({ ends }) => ends.every(isNear))
      .map((line) => ({ ...line, ends: line.ends.map((end) => this.#pixelOf(end)) }));
    this.pane.points = this.marks.points
      .filter((point) => isNear(point.at))
      .map((point) => ({ ...point, at: this.#pixelOf(point.at) }));
    this.element.dataset.marks = this.pane.boxes.length + this.pane.points.length + this.pane.lines.length;
    this.pane.draw();
  }

  async setLayers(layers, opacity) {
    const seen = layers.flatMap((layer) => layer.regions.filter((r) => !r.hidden).map((r) => [layer.heat, r.id]));
    this.shown = seen.filter(([heat]) => !heat).map(([, id]) => id);
    this.heats = seen.filter(([heat]) => heat).map(([, id]) => id);
    this.opacity = opacity;
    await this.#render();
  }

  link() {}

  close() {
    this.closed = true;
    this.pane.close();
  }

  #go(index) {
    this.voxel[this.#axes.across] = index;
    this.#render();
    this.#say();
  }

  async settled() {
    while (this.rendering) await this.rendering;
    await this.saying;
  }

  /** Render what is wanted last; while a picture is under way, only the newest wish is kept. */
  #render() {
    if (this.rendering) this.wanted = true;
    else this.rendering = this.#rendered();
    return this.rendering;
  }

  async #rendered() {
    try {
      do {
        this.wanted = false;
        await this.#picture();
      } while (this.wanted && !this.closed);
    } finally {
      this.rendering = null;
    }
  }

  async #picture() {
    const { across, right, down } = this.#axes;
    const asked = new URLSearchParams({
      plane: this.plane, index: this.voxel[across], low: this.window[0], high: this.window[1],
      show: this.shown.join(","), heats: this.heats.join(","), opacity: this.opacity,
    });
    const picture = new Image();
    picture.src = `${this.image.address}/slice.png?${asked}`;
    await picture.decode();
    if (this.closed) return;
    this.pane.source = picture;
    const [width, height] = [this.info.shape[right], this.info.shape[down]];
    this.pane.size = [width, height];
    this.pane.aspect = (picture.naturalHeight / height) * (width / picture.naturalWidth);
    this.pane.cross = this.#pixelOf(this.voxel);
    this.slider.max = this.info.shape[across] - 1;
    this.slider.value = this.voxel[across];
    this.slider.setAttribute("aria-valuetext", `${this.plane} slice ${this.voxel[across] + 1} of ${this.info.shape[across]}`);
    this.#drawMarks();
  }

  #pixelOf(voxel) {
    const { right, down, flip_right: flipRight, flip_down: flipDown } = this.#axes;
    const x = flipRight ? this.info.shape[right] - 1 - voxel[right] : voxel[right];
    const y = flipDown ? this.info.shape[down] - 1 - voxel[down] : voxel[down];
    return [x, y];
  }

  #voxelAt([x, y]) {
    const { right, down, flip_right: flipRight, flip_down: flipDown } = this.#axes;
    const voxel = [...this.voxel];
    voxel[right] = flipRight ? this.info.shape[right] - 1 - x : x;
    voxel[down] = flipDown ? this.info.shape[down] - 1 - y : y;
    return voxel;
  }

  #clicked(at) {
    this.voxel = inside(this.#voxelAt(at), this.info.shape);
    this.pane.cross = this.#pixelOf(this.voxel);
    this.pane.draw();
    this.#say();
  }

  #boxed(one, other) {
    const [a, b] = [this.#voxelAt(one), this.#voxelAt(other)];
    this.on.box(a.map((n, axis) => Math.min(n, b[axis])), a.map((n, axis) => Math.max(n, b[axis])));
  }

  #windowBy(dx, dy) {
    this.window = windowAfter(this.window, this.info.range, dx, dy);
    this.on.window(this.window);
    this.#render();
  }

  #say() {
    this.saying = this.#saidOf();
  }

  async #saidOf() {
    const voxel = this.voxel.map(Math.round);
    const asked = (this.asked = (this.asked ?? 0) + 1);
    this.on.place({ voxel, world: toWorld(this.info.affine_ras, voxel), value: undefined });
    const answer = await fetch(`${this.image.address}/value.json?at=${voxel.join(",")}`);
    if (answer.ok && asked === this.asked)
      this.on.place({ voxel, world: toWorld(this.info.affine_ras, voxel), value: (await answer.json()).value });
  }
}
