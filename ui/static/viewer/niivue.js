// The drawing library NiiVue: loaded where a browser has WebGL2, set up as a reading room wants it.

const NIIVUE = new URL("../vendor/niivue-0.69.0/niivue.umd.js", import.meta.url);
export const LAYOUTS = { axial: 0, coronal: 1, sagittal: 2, planes: 3, render: 4 }; // NiiVue's SLICE_TYPE
export const DRAGS = { cross: 8, window: 5, measure: 2, pan: 3, point: 8, box: 5 }; // NiiVue's DRAG_MODE; 5 leaves it to us
// left, top, width, height as shares of the canvas: the axial slices large, the others beside
export const PLANES = [
  { sliceType: 0, position: [0, 0, 0.62, 1] },
  { sliceType: 1, position: [0.62, 0, 0.38, 0.5] },
  { sliceType: 2, position: [0.62, 0.5, 0.38, 0.5] },
];
export const PLANES_AND_RENDER = [
  { sliceType: 0, position: [0, 0, 0.56, 1] },
  { sliceType: 1, position: [0.56, 0, 0.44, 0.34] },
  { sliceType: 2, position: [0.56, 0.34, 0.44, 0.33] },
  { sliceType: 4, position: [0.56, 0.67, 0.44, 0.33] },
];

export const HEAT = "rr-heat"; // as ui/viewing/heats.py has it: clear, yellow, red
export const HEAT_COLOURS = { R: [255, 255], G: [220, 0], B: [0, 0], A: [0, 255], I: [0, 255] };

let library;
export const load = () =>
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

export const OPTIONS = {
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
  isResizeCanvas: true,
  dragAndDropEnabled: false,
  show3Dcrosshair: true,
  isOrientCube: false,
  trustCalMinMax: true,
  clipPlaneHotKey: "",
  cycleClipPlaneHotKey: "",
  viewModeHotKey: "",
  tileMargin: 2,
};

/** A place in millimetres as shares of NiiVue's volume. By itself NiiVue takes an oblique volume for a straight one. */
export const fracOf = (nv, mm) => Array.from(nv.mm2frac(mm, 0, true));

/** NiiVue's colour map of a label image. */
export const colours = (regions) => {
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
