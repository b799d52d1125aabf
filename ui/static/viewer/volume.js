// Volumes in three planes and 3-D, drawn by NiiVue. Loaded only where a browser has WebGL2.
import { clamp, toVoxel, toWorld } from "./geometry.js";

const NIIVUE = new URL("../vendor/niivue-0.69.0/niivue.umd.js", import.meta.url);
const LAYOUTS = { axial: 0, coronal: 1, sagittal: 2, planes: 3, render: 4 }; // NiiVue's SLICE_TYPE
const DRAGS = { cross: 8, window: 9, measure: 2, pan: 3, point: 8, box: 5 }; // NiiVue's DRAG_MODE
// left, top, width, height as shares of the canvas: the axial slices large, the others beside
const PLANES = [
  { sliceType: 0, position: [0, 0, 0.62, 1] },
  { sliceType: 1, position: [0.62, 0, 0.38, 0.5] },
  { sliceType: 2, position: [0.62, 0.5, 0.38, 0.5] },
];
const PLANES_AND_RENDER = [
  { sliceType: 0, position: [0, 0, 0.56, 1] },
  { sliceType: 1, position: [0.56, 0, 0.44, 0.34] },
  { sliceType: 2, position: [0.56, 0.34, 0.44, 0.33] },
  { sliceType: 4, position: [0.56, 0.67, 0.44, 0.33] },
];

let library;
const load = () =>
  (library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = NIIVUE.href;
    script.onload = () => resolve(window.niivue);
    script.onerror = () => reject(new Error("the viewer's drawing code could not be loaded: reload the page"));
    document.head.append(script);
  }));

/** Whether volumes can be drawn here, and whether a processor must stand in for a graphics card. */
export const webGL2 = () => {
  const context = document.createElement("canvas").getContext("webgl2");
  if (!context) return { works: false, isSlow: true };
  const named = context.getExtension("WEBGL_debug_renderer_info");
  const renderer = named ? context.getParameter(named.UNMASKED_RENDERER_WEBGL) : "";
  context.getExtension("WEBGL_lose_context")?.loseContext();
  return { works: true, isSlow: /swiftshader|llvmpipe|software|basic render/i.test(renderer) };
};

export class VolumePane {
  constructor(host, on, { isSlow }) {
    this.on = on;
    this.isSlow = isSlow;
    this.element = document.createElement("div");
    this.element.className = "rv-pane";
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("aria-hidden", "true"); // the status line says where the crosshair is
    this.element.append(this.canvas);
    host.append(this.element);
    this.layers = new Map(); // file → {volume, regions}
    this.tool = "cross";
  }

  async open(image, info) {
    this.image = image;
    this.info = info;
    const { Niivue, NVImage } = await load();
    this.NVImage = NVImage;
    const nv = (this.nv = new Niivue({
      logLevel: "error",
      backColor: [0.02, 0.027, 0.039, 1],
      crosshairColor: [0.36, 0.78, 0.74, 0.75],
      crosshairWidth: 0.7,
      crosshairWidthUnit: "mm", // thin whatever the size of a voxel
      crosshairGap: 6,
      rulerColor: [1, 0.8, 0.3, 1],
      measureLineColor: [1, 0.8, 0.3, 1],
      measureTextColor: [1, 0.88, 0.5, 1],
      selectionBoxColor: [1, 0.8, 0.3, 0.35],
      fontMinPx: 12,
      fontColor: [0.72, 0.78, 0.83, 1],
      isRadiologicalConvention: true,
      sagittalNoseLeft: true,
      isOrientationTextVisible: info.orientation_known,
      isResizeCanvas: true,
      dragAndDropEnabled: false,
      show3Dcrosshair: true,
      isOrientCube: false,
      trustCalMinMax: true,
      clipPlaneHotKey: "",
      cycleClipPlaneHotKey: "",
      viewModeHotKey: "",
      tileMargin: 2,
    }));
    await nv.attachToCanvas(this.canvas, false);
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
    nv.onIntensityChange = () => this.#windowed();
    nv.onDragRelease = (drag) => this.#dragged(drag);
    nv.onMouseUp = () => this.#released();
    this.setTool(this.tool);
    nv.drawScene();
    nv.gl.finish();
    this.drawn = performance.now();
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

  setWindow([low, high]) {
    this.window = [low, high];
    if (!this.nv?.volumes.length) return;
    const volume = this.nv.volumes[0];
    volume.cal_min = low;
    volume.cal_max = Math.max(high, low + 1e-6);
    this.nv.updateGLVolume();
  }

  goVoxel(voxel) {
    const mm = toWorld(this.info.affine_ras, voxel);
    this.nv.scene.crosshairPos = this.nv.mm2frac(mm).map((n) => clamp(n, 0, 1));
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
      volume.setColormapLabel(colours(layer.regions));
      volume.opacity = opacity;
      if (isNew) this.nv.addVolume(volume);
    }
    this.nv.updateGLVolume();
  }

  setMarks() {} // boxes and points of films only: in a volume a click goes to their place

  link(other) {
    this.nv.broadcastTo(other ? [other.nv] : [], { "2d": true, "3d": true });
  }

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
  }

  #windowed() {
    const { cal_min: low, cal_max: high } = this.nv.volumes[0];
    this.window = [low, high];
    this.on.window([low, high]);
  }

  #released() {
    if (this.tool === "window" || this.nv.volumes[0].cal_min !== this.window[0]) this.#windowed();
    if (this.tool === "point" && this.voxel) this.on.point(this.voxel);
  }

  #dragged(drag) {
    if (this.tool !== "box" || drag.tileIdx < 0 || drag.axCorSag > 2) return;
    const [one, other] = [drag.mmStart, drag.mmEnd].map((mm) => toVoxel(this.info.affine_ras, mm));
    const lower = one.map((n, axis) => Math.min(n, other[axis]));
    const upper = one.map((n, axis) => Math.max(n, other[axis]));
    if (Math.max(...upper.map((n, axis) => n - lower[axis])) >= 1) this.on.box(lower, upper);
  }
}

const colours = (regions) => {
  const map = { R: [0], G: [0], B: [0], A: [0], I: [0], labels: [""] };
  for (const region of regions) {
    const [red, green, blue] = region.colour;
    map.R.push(red);
    map.G.push(green);
    map.B.push(blue);
    map.A.push(region.hidden ? 0 : 255);
    map.I.push(region.label);
    map.labels.push(region.name);
  }
  return map;
};
