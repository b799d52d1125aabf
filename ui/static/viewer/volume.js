// Volumes in three planes and 3-D, drawn by NiiVue. Loaded only where a browser has WebGL2.
import { clamp, toVoxel, toWorld, windowAfter } from "./geometry.js";
import { Marks } from "./marks.js";
import { colours, DRAGS, HEAT, HEAT_COLOURS, fracOf, LAYOUTS, load, OPTIONS, PLANES, PLANES_AND_RENDER } from "./niivue.js";

export class VolumePane {
  constructor(host, on, { isSlow }) {
    this.on = on;
    this.isSlow = isSlow;
    this.element = document.createElement("div");
    this.element.className = "rv-pane";
    this.canvas = document.createElement("canvas");
    this.#listen();
    this.canvas.setAttribute("aria-hidden", "true"); // the status line says where the crosshair is
    this.element.append(this.canvas);
    this.marks = new Marks(this.element);
    host.append(this.element);
    this.layers = new Map(); // file → {volume, regions}
    this.tool = "cross";
  }

  async open(image, info) {
    this.image = image;
    this.info = info;
    const { Niivue, NVImage } = await load();
    this.NVImage = NVImage;
    const nv = (this.nv = new Niivue({ ...OPTIONS, isOrientationTextVisible: info.orientation_known }));
    nv.addColormap(HEAT, HEAT_COLOURS);
    const first = this.isSlow ? await this.#firstSlice(image, info) : null;
    await nv.attachToCanvas(this.canvas, false);
    this.canvas.tabIndex = -1; // the group around it takes the focus: what is hidden from readers must not
    const answer = await fetch(`${image.address}/volume.nii`);
    if (!answer.ok) throw new Error((await answer.json()).detail);
    const buffer = await answer.arrayBuffer();
    this.arrived = performance.now();
    const volume = await NVImage.loadFromUrl({
      url: "volume.nii",
      name: "volume.nii",
      buffer,
      cal_min: info.window[0],
      cal_max: info.window[1],
    });
    if (this.closed) return;
    this.#arrange();
    nv.addVolume(volume);
    this.window = [volume.cal_min, volume.cal_max];
    nv.onLocationChange = (at) => this.#moved(at);
    nv.onDragRelease = (drag) => this.#dragged(drag);
    nv.onMouseUp = () => this.#released();
    this.setTool(this.tool);
    const drawn = nv.drawScene.bind(nv);
    nv.drawScene = () => {
      drawn();
      this.#drawMarks();
    };
    nv.drawScene();
    nv.gl.finish();
    this.drawn = performance.now();
    first?.remove();
  }

  /** A slice from the server, where a processor needs seconds for the planes: there is something to look at meanwhile. */
  async #firstSlice(image, info) {
    const [low, high] = info.window;
    const { across } = info.planes.axial;
    const asked = new URLSearchParams({ plane: "axial", index: Math.floor(info.shape[across] / 2), low, high });
    const picture = document.createElement("img");
    picture.className = "rv-first";
    picture.alt = "One slice; the planes follow";
    picture.src = `${image.address}/slice.png?${asked}`;
    if (this.layout === "planes") picture.style.width = `${100 * PLANES[0].position[2]}%`;
    try {
      await picture.decode();
    } catch {
      return null; // what is wrong with the image is said where its voxels are fetched
    }
    this.element.append(picture);
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    this.first = performance.now();
    return picture;
  }

  get voxel() {
    return this.at ? toVoxel(this.info.affine_ras, this.at) : null;
  }

  setLayout(name) {
    this.layout = name;
    if (!this.nv?.volumes.length) return;
    this.#arrange();
    this.nv.setSliceType(LAYOUTS[name]);
  }

  #arrange() {
    this.layout ??= "planes";
    const planes = this.isSlow ? PLANES : PLANES_AND_RENDER; // a processor draws a volume once a second at best
    this.nv.customLayout = this.layout === "planes" ? planes : null;
    this.nv.opts.sliceType = LAYOUTS[this.layout];
  }

  setTool(name) {
    this.tool = name;
    if (!this.nv) return;
    this.nv.opts.dragModePrimary = DRAGS[name] ?? DRAGS.cross;
    this.nv.opts.dragMode = DRAGS.window; // the right button always windows
  }

  /** NiiVue's own windowing takes the values under the drag when the button is released: not what a radiologist means. */
  #listen() {
    this.canvas.addEventListener("pointerdown", ({ button, clientX, clientY, offsetX, offsetY }) => {
      if (button === 0 && this.tool === "box") this.marks.band = [[offsetX, offsetY], [offsetX, offsetY]];
      if (button === 2 || (button === 0 && this.tool === "window")) this.drag = { x: clientX, y: clientY };
    });
    this.canvas.addEventListener("pointermove", ({ buttons, clientX, clientY, offsetX, offsetY }) => {
      if (this.marks.band) {
        this.marks.band = buttons ? [this.marks.band[0], [offsetX, offsetY]] : null;
        this.#drawMarks();
      }
      if (!buttons || !this.drag) return (this.drag = null);
      this.windowBy(clientX - this.drag.x, clientY - this.drag.y);
      this.drag = { x: clientX, y: clientY };
    });
  }

  windowBy(across, down) {
    if (this.info.is_colour) return;
    const [low, high] = windowAfter(this.window, this.info.range, across, down);
    this.window = [low, high];
    this.on.window(this.window);
    this.drawing ??= requestAnimationFrame(() => {
      this.drawing = null;
      if (!this.closed) this.setWindow(this.window);
    });
  }

  setWindow([low, high]) {
    this.window = [low, high];
    if (!this.nv?.volumes.length) return;
    const volume = this.nv.volumes[0];
    volume.cal_min = low;
    volume.cal_max = Math.max(high, low + 1e-6);
    this.nv.updateGLVolume();
  }

  goVoxel(voxel) {
    this.goMillimetres(toWorld(this.info.affine_ras, voxel));
  }

  goMillimetres(mm) {
    this.nv.scene.crosshairPos = fracOf(this.nv, mm).map((n) => clamp(n, 0, 1));
    this.nv.createOnLocationChange();
    this.nv.drawScene();
  }

  /** Move by slices across a plane: towards head, front or right where the number grows. */
  step(by, plane = "axial") {
    const [x, y, z] = { axial: [0, 0, by], coronal: [0, by, 0], sagittal: [by, 0, 0] }[plane];
    this.nv.moveCrosshairInVox(x, y, z);
  }

  zoom(factor) {
    const pan = this.nv.scene.pan2Dxyzmm;
    pan[3] = clamp(pan[3] * factor, 1, 10);
    this.nv.scene.volScaleMultiplier = pan[3];
    this.nv.drawScene();
    this.#lead();
  }

  reset() {
    this.nv.scene.pan2Dxyzmm = [0, 0, 0, 1];
    this.nv.scene.volScaleMultiplier = 1;
    this.nv.setRenderAzimuthElevation(110, 10);
    this.goVoxel(this.info.shape.map((n) => (n - 1) / 2));
  }

  /** Show label images; which of their regions are seen, and how strongly, is in `regions`. */
  async setLayers(layers, opacity) {
    if (!layers.length && !this.layers.size) return; // refreshing a volume takes a second without a graphics card
    const wanted = new Set(layers.map((layer) => layer.address));
    for (const [address, volume] of this.layers) {
      if (!wanted.has(address)) {
        this.layers.delete(address);
        this.nv.removeVolume(volume);
      }
    }
    for (const layer of layers) {
      let volume = this.layers.get(layer.address);
      const isNew = !volume;
      if (isNew) {
        volume = await this.NVImage.loadFromUrl({ url: layer.address, name: layer.file });
        if (this.closed) return;
        this.layers.set(layer.address, volume);
      }
      if (layer.heat) Object.assign(volume, { colormap: HEAT, cal_min: 0, cal_max: Math.max(layer.range[1], 1e-9) });
      else volume.setColormapLabel(colours(layer.regions));
      volume.opacity = layer.heat && layer.regions[0].hidden ? 0 : opacity;
      if (isNew) this.nv.addVolume(volume);
    }
    this.nv.updateGLVolume();
  }

  setMarks({ boxes, points, lines }) {
    Object.assign(this.marks, { boxes, points, lines });
    if (this.nv?.volumes.length) this.#drawMarks();
  }

  #drawMarks() {
    this.marks.draw(this.nv, this.info.affine_ras);
    this.element.dataset.marks = this.marks.count;
  }

  /** Let another volume follow this one: places by millimetres, zoom, turning. NiiVue links only what has the focus. */
  link(other) {
    this.linked = other instanceof VolumePane ? other : null;
    this.#lead();
  }

  #lead() {
    if (!this.follows && this.at) this.linked?.follow(this);
  }

  follow({ nv, at }) {
    if (!this.nv?.volumes.length) return;
    this.follows = true; // and does not lead meanwhile
    const { scene } = this.nv;
    scene.pan2Dxyzmm = Array.from(nv.scene.pan2Dxyzmm);
    scene.volScaleMultiplier = nv.scene.volScaleMultiplier;
    scene.renderAzimuth = nv.scene.renderAzimuth;
    scene.renderElevation = nv.scene.renderElevation;
    this.goMillimetres(at);
    this.follows = false;
  }

  async settled() {} // NiiVue draws at once, windows with the next frame

  close() {
    this.closed = true;
    this.nv?.gl?.getExtension("WEBGL_lose_context")?.loseContext();
    this.nv?.cleanup();
    this.element.remove();
  }

  #moved(at) {
    this.at = Array.from(at.mm).slice(0, 3);
    const value = at.values?.[0]?.value;
    this.on.place({ voxel: this.voxel, world: this.at, value });
    this.#lead();
  }

  #released() {
    this.#lead();
    if (this.tool === "point" && !this.drag && this.voxel) this.on.point(this.voxel);
  }

  #dragged(drag) {
    this.marks.band = null;
    if (this.tool !== "box" || this.drag || drag.tileIdx < 0 || drag.axCorSag > 2) return;
    const [one, other] = [drag.fracStart, drag.fracEnd].map((frac) => toVoxel(this.info.affine_ras, this.nv.frac2mm(frac, 0, true)));
    const lower = one.map((n, axis) => Math.min(n, other[axis]));
    const upper = one.map((n, axis) => Math.max(n, other[axis]));
    if (Math.max(...upper.map((n, axis) => n - lower[axis])) >= 1) this.on.box(lower, upper);
  }
}
