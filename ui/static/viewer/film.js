// Radiographs and colour images: the pixels are here, so that windowing needs no server.
import { CanvasPane, distance } from "./canvas.js";
import { clamp, windowAfter } from "./geometry.js";

const ARRAYS = { uint8: Uint8Array, int16: Int16Array, float32: Float32Array };

export class FilmPane {
  constructor(host, on) {
    this.on = on;
    this.pane = new CanvasPane(host, {
      click: (at) => this.#at(at),
      hover: (at) => this.#at(at, false),
      point: (at) => this.on.point([at[0], at[1], 0]),
      box: (lower, upper) => this.on.box([...lower, 0], [...upper, 0]),
      windowBy: (dx, dy) => this.#windowBy(dx, dy),
      length: (from, to) => distance(from, to, this.info.spacing_mm),
    }, "Picture of the image; the line below says the position and value under the pointer");
    this.element = this.pane.element;
  }

  async open(image, info) {
    this.image = image;
    this.info = info;
    const answer = await fetch(`${image.address}/pixels`);
    if (!answer.ok) throw new Error((await answer.json()).detail);
    const [columns, rows] = info.shape;
    this.values = new (ARRAYS[info.dtype])(await answer.arrayBuffer());
    this.picture = new OffscreenCanvas(columns, rows);
    this.pane.size = [columns, rows];
    this.pane.aspect = info.spacing_mm ? info.spacing_mm[1] / info.spacing_mm[0] : 1;
    this.pane.source = this.picture;
    this.setWindow(info.window);
  }

  get voxel() {
    return this.pane.cross ? [...this.pane.cross, 0] : null;
  }

  setWindow([low, high]) {
    this.window = [low, high];
    const [columns, rows] = this.info.shape;
    const pixels = new ImageData(columns, rows);
    const out = new Uint32Array(pixels.data.buffer);
    const values = this.values;
    if (this.info.is_colour) {
      for (let n = 0, v = 0; n < out.length; n++, v += 3)
        out[n] = 0xff000000 | (values[v + 2] << 16) | (values[v + 1] << 8) | values[v];
    } else {
      const scale = 255 / Math.max(high - low, 1e-6);
      for (let n = 0; n < out.length; n++) {
        const gray = clamp((values[n] - low) * scale, 0, 255) | 0;
        out[n] = 0xff000000 | (gray << 16) | (gray << 8) | gray;
      }
    }
    this.picture.getContext("2d").putImageData(pixels, 0, 0);
    this.pane.draw();
  }

  setTool(name) {
    this.pane.setTool(name);
  }

  setLayout() {}

  goVoxel(voxel) {
    this.pane.cross = [voxel[0], voxel[1]];
    this.pane.draw();
    this.#at(this.pane.cross, false);
  }

  step() {}

  zoom(factor) {
    this.pane.zoom(factor);
  }

  reset() {
    this.pane.ruler = null;
    this.pane.cross = null;
    this.pane.reset();
    this.setWindow(this.info.window);
    this.on.window(this.window);
  }

  setMarks({ boxes, points, lines }) {
    Object.assign(this.pane, { boxes, points, lines });
    this.pane.draw();
  }

  /** Masks and heat maps come as pictures of the server, in the image's own pixels. */
  async setLayers(layers, opacity) {
    const shown = layers.flatMap((layer) => (layer.heat ? [] : layer.regions.filter((r) => !r.hidden).map((r) => r.id)));
    const addresses = layers.filter((layer) => layer.heat && !layer.regions[0].hidden).map((layer) => layer.picture);
    if (shown.length) addresses.push(`${this.image.address}/overlay.png?show=${encodeURIComponent(shown.join(","))}`);
    this.pane.overlays = await Promise.all(addresses.map(async (address) => {
      const picture = new Image();
      picture.src = address;
      await picture.decode();
      return { source: picture, opacity };
    }));
    this.pane.draw();
  }

  link() {}

  async settled() {}

  close() {
    this.pane.close();
  }

  #at(at, moves = true) {
    const [columns, rows] = this.info.shape;
    const [x, y] = [Math.round(at[0]), Math.round(at[1])];
    if (x < 0 || y < 0 || x >= columns || y >= rows) return;
    const n = y * columns + x;
    const value = this.info.is_colour ? Array.from(this.values.slice(3 * n, 3 * n + 3)).join(", ") : this.values[n];
    if (moves) {
      this.pane.cross = [x, y];
      this.pane.draw();
    }
    this.on.place({ voxel: [x, y, 0], world: null, value });
  }

  #windowBy(dx, dy) {
    if (this.info.is_colour) return;
    this.setWindow(windowAfter(this.window, this.info.range, dx, dy));
    this.on.window(this.window);
  }
}
