// The bar above the picture: which image, layout, window and tool; what cannot be used says why.
import { Choice, element } from "./dom.js";
import { fixed } from "./geometry.js";
import { label } from "./words.js";

export const LAYOUTS = [
  { id: "planes", words: "Planes", title: "Three planes and 3-D (1)" },
  { id: "axial", words: "Axial", title: "Axial slices (2)" },
  { id: "coronal", words: "Coronal", title: "Coronal slices (3)" },
  { id: "sagittal", words: "Sagittal", title: "Sagittal slices (4)" },
  { id: "render", words: "3-D", title: "The volume from outside (5)" },
];
const TOOLS = [
  { id: "cross", words: "Crosshair", title: "Click for position and value (C)" },
  { id: "window", words: "Window", title: "Drag to change brightness and contrast; the right button always does (W)" },
  { id: "pan", words: "Move", title: "Drag to move the picture; wheel with Ctrl zooms (M)" },
  { id: "measure", words: "Measure", title: "Drag to measure a distance (D)" },
  { id: "point", words: "Point", title: "Click into what the next request is about (P)" },
  { id: "box", words: "Box", title: "Draw a box around what the next request is about (B)" },
];
const NO_SPACING = "This image carries no spacing: distances would be in no known unit";
export const NO_WEBGL = "This browser cannot draw volumes (no WebGL2): slices are rendered by the server instead";
const COMPARE = "Show an earlier or another image beside, linked (L)";
const NOTHING_BESIDE = "There is only one image: attach another, for instance an earlier study";

export class Controls {
  /** `on`: open, layout, preset, tool with what was chosen; compare, reset, help. */
  constructor(on) {
    this.images = element("select", { class: "rv-images", "aria-label": "Image" });
    this.images.addEventListener("change", () => on.open(this.images.value));
    this.layouts = new Choice("Layout", LAYOUTS, on.layout);
    this.presets = new Choice("Window", [], on.preset);
    this.tools = new Choice("Tool", TOOLS, on.tool);
    this.compare = button("Compare", COMPARE, on.compare);
    this.more = element("div", { class: "rv-group" }, [
      this.compare,
      button("Reset", "Whole picture, first window (R)", on.reset),
      button("Keys", "Shortcuts (?)", on.help),
    ]);
    this.element = element("div", { class: "rv-bar", role: "toolbar", "aria-label": "Viewer" }, [
      this.images, this.layouts.element, this.presets.element, this.tools.element, this.more,
    ]);
    this.comparing(false);
  }

  /** The images that there are. */
  list(images) {
    this.images.replaceChildren(...images.map((image) => element("option", { value: image.id }, label(image))));
    this.compare.disabled = images.length < 2;
    this.compare.title = images.length < 2 ? NOTHING_BESIDE : COMPARE;
  }

  /** What can be done with an image. */
  suit(info, canDraw) {
    this.layouts.element.hidden = info.kind === "film";
    for (const id of ["planes", "render"]) this.layouts.forbid(id, canDraw ? "" : NO_WEBGL);
    const range = (p) => `${fixed(p.window[0], 0)} to ${fixed(p.window[1], 0)} ${info.units}`;
    this.presets.set(info.presets.map((p) => ({ id: p.name, words: p.name, title: range(p) })));
    this.tools.forbid("measure", info.spacing_mm ? "" : NO_SPACING);
    this.tools.forbid("window", info.is_colour ? "A colour image has no window" : "");
  }

  comparing(isOn) {
    this.compare.setAttribute("aria-pressed", String(isOn));
  }
}

const button = (words, title, action) => {
  const made = element("button", { type: "button", title }, words);
  made.addEventListener("click", action);
  return made;
};
