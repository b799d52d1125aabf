// The viewer's frame: which image is open, which tool is in hand, what is said below the picture.
import { Choice, element } from "./dom.js";
import { FilmPane } from "./film.js";
import { FlatPane } from "./flat.js";
import { fixed, inside, placeOf } from "./geometry.js";
import { MaskPanel } from "./panel.js";
import { Pointing } from "./pointing.js";
import { VolumePane, webGL2 } from "./volume.js";

const room = window.readingroom;
const LAYOUTS = [
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
const NO_WEBGL = "This browser cannot draw volumes (no WebGL2): slices are rendered by the server instead";
const MARK_COLOURS = ["#e69f00", "#56b4e9", "#f0e442", "#cc79a7", "#2fbf9b"]; // Okabe and Ito (2008), the first two theirs
const drawing = webGL2();
const canDraw = drawing.works;

class Viewer {
  constructor(host) {
    this.host = host;
    this.layout = "planes";
    this.tool = "cross";
    this.infos = new Map();
    this.layers = [];
    this.hiddenMarks = new Set();
    this.#build();
    this.pointing = new Pointing(this.chips, () => this.#marks());
    host.addEventListener("keydown", (event) => this.#key(event), { capture: true });
    room.on("show", (what) => this.show(what));
  }

  #build() {
    this.images = element("select", { class: "rv-images", "aria-label": "Image" });
    this.images.addEventListener("change", () => this.open(this.images.value));
    this.layouts = new Choice("Layout", LAYOUTS, (id) => this.setLayout(id));
    this.presets = new Choice("Window", [], (id) => this.setPreset(id));
    this.tools = new Choice("Tool", TOOLS, (id) => this.setTool(id));
    const button = (words, title, action) => {
      const made = element("button", { type: "button", title }, words);
      made.addEventListener("click", action);
      return made;
    };
    this.compare = button("Compare", "Show an earlier or another image beside, linked (L)", () => this.toggleCompare());
    this.compare.setAttribute("aria-pressed", "false");
    const more = element("div", { class: "rv-group" }, [
      this.compare,
      button("Reset", "Whole picture, first window (R)", () => this.reset()),
      button("Keys", "Shortcuts (?)", () => this.help()),
    ]);
    this.bar = element("div", { class: "rv-bar", role: "toolbar", "aria-label": "Viewer" }, [
      this.images, this.layouts.element, this.presets.element, this.tools.element, more,
    ]);
    this.panes = element("div", { class: "rv-panes", tabindex: 0, role: "group", "aria-label": "Image. Arrow keys move through slices." });
    this.said = element("p", { class: "rv-said", role: "status" });
    this.stage = element("div", { class: "rv-stage" }, [this.panes, this.said]);
    this.panel = new MaskPanel(this.stage, {
      change: () => this.#drawLayers(),
      opacity: () => this.#drawLayers(),
      go: (region) => this.show({ volume: this.image.id, mask: region.id }),
      mark: (mark, isShown) => {
        if (isShown) this.hiddenMarks.delete(mark.id);
        else this.hiddenMarks.add(mark.id);
        this.#marks();
      },
      goMark: (mark) => this.show({ volume: this.image.id, voxel: placeOfMark(mark) }),
    });
    this.place = element("span", { class: "rv-place" });
    this.windowed = element("span", { class: "rv-window" });
    this.status = element("div", { class: "rv-status" }, [this.place, this.windowed]);
    this.chips = element("div", { class: "rv-chips", hidden: "" });
    this.host.replaceChildren(this.bar, this.stage, this.chips, this.status);
    this.say("No image is open. Attach a study or take a sample case.");
  }

  say(words) {
    this.said.textContent = words;
    this.said.hidden = !words;
  }

  // --- what there is

  async refresh(reading) {
    if (!reading) return this.#empty();
    const answer = await fetch(`/view/${reading}/scene.json`);
    if (!answer.ok) return;
    const before = this.scene;
    this.scene = await answer.json();
    if (before && before.reading !== reading) this.#empty(this.scene);
    const { images } = this.scene;
    this.images.replaceChildren(...images.map((image) => element("option", { value: image.id }, label(image))));
    this.host.classList.toggle("rv-has-image", images.length > 0);
    if (!images.length) return this.#empty(this.scene);
    const open = this.image && images.find((image) => image.id === this.image.id);
    const isNew = (image) => !before?.images.some((known) => known.id === image.id);
    const fresh = images.find((image) => isNew(image) && !image.of && !image.prior);
    if (this.wanted && images.some((image) => image.id === this.wanted.volume)) return this.show(this.wanted);
    if (!open || (fresh && !this.holds)) await this.open((fresh ?? images[0]).id);
    else await this.#refreshLayers();
    this.compare.disabled = images.length < 2;
    this.compare.title = images.length < 2 ? "There is only one image: attach another, for instance an earlier study" : "Show an earlier or another image beside, linked (L)";
  }

  #empty(scene = null) {
    this.#close();
    this.scene = scene;
    this.image = null;
    this.infos.clear();
    this.layers = [];
    this.panel.show([]);
    this.place.textContent = this.windowed.textContent = "";
    this.host.classList.remove("rv-has-image");
    this.say("No image is open. Attach a study or take a sample case.");
  }

  #close() {
    this.pane?.close();
    this.second?.close();
    this.pane = this.second = null;
    this.compare.setAttribute("aria-pressed", "false");
  }

  async #info(image) {
    if (!this.infos.has(image.address)) {
      const answer = await fetch(`${image.address}/info.json`);
      if (!answer.ok) throw new Error((await answer.json()).detail ?? "the image cannot be read");
      this.infos.set(image.address, await answer.json());
    }
    return this.infos.get(image.address);
  }

  async open(id) {
    const image = this.scene?.images.find((found) => found.id === id);
    if (!image) return;
    const opening = (this.opening = Symbol(id));
    this.image = image;
    this.images.value = id;
    this.host.dataset.open = "";
    this.say(`Opening ${image.name} …`);
    const started = performance.now();
    try {
      const info = await this.#info(image);
      if (this.opening !== opening) return;
      this.#close();
      this.info = info;
      this.#controls(info);
      this.pane = this.#paneFor(info);
      this.pane.setLayout(this.layout);
      const opened = this.pane.open(image, info);
      this.ready = opened.catch(() => {});
      await opened;
      if (this.opening !== opening) return;
      this.say(info.kind === "volume" && !canDraw ? NO_WEBGL : "");
      this.pane.setTool(this.tool);
      this.pane.goVoxel(info.shape.map((n) => Math.floor(n / 2)));
      this.#windowWords(this.pane.window);
      await this.#refreshLayers();
      this.host.dataset.open = id;
      const seconds = (from, to) => ((to - from) / 1000).toFixed(2);
      this.host.dataset.seconds = seconds(started, performance.now());
      if (this.pane.drawn) this.host.dataset.drawnAfter = seconds(this.pane.arrived, this.pane.drawn);
    } catch (error) {
      if (this.opening === opening) this.say(`${image.name} cannot be shown: ${error.message}`);
    }
  }

  #paneFor(info, on = this.#listeners()) {
    if (info.kind === "film") return new FilmPane(this.panes, on);
    return canDraw ? new VolumePane(this.panes, on, drawing) : new FlatPane(this.panes, on);
  }

  #listeners() {
    return {
      place: (at) => this.#placeWords(at),
      window: (window) => {
        this.#windowWords(window);
        if (this.second?.info.units === this.info.units) this.second.setWindow(window); // the same values look the same
      },
      point: (voxel) => this.#pointed((image) => this.pointing.addPoint(image, inside(voxel, this.info.shape))),
      box: (lower, upper) => this.#pointed((image) =>
        this.pointing.addBox(image, inside(lower, this.info.shape), inside(upper, this.info.shape))),
    };
  }

  #pointed(action) {
    action({ id: this.image.id, name: this.image.name });
    this.#marks();
  }

  #controls(info) {
    const isFilm = info.kind === "film";
    this.layouts.element.hidden = isFilm;
    for (const id of ["planes", "render"]) this.layouts.forbid(id, canDraw ? "" : NO_WEBGL);
    if (!canDraw && ["planes", "render"].includes(this.layout)) this.layout = "axial";
    this.layouts.mark(this.layout);
    this.presets.set(info.presets.map((p) => ({ id: p.name, words: p.name, title: `${fixed(p.window[0], 0)} to ${fixed(p.window[1], 0)} ${info.units}` })));
    this.tools.forbid("measure", info.spacing_mm ? "" : NO_SPACING);
    this.tools.forbid("window", info.is_colour ? "A colour image has no window" : "");
    if (this.tool === "measure" && !info.spacing_mm) this.tool = "cross";
    this.tools.mark(this.tool);
  }

  // --- masks, boxes, points

  async #refreshLayers() {
    const { image, scene } = this;
    const steps = scene.masks.filter((mask) => mask.image === image.id);
    const known = new Map(this.layers.flatMap((layer) => layer.regions.map((r) => [r.id, r.hidden])));
    const found = await Promise.all(steps.map((step) => this.#layersOf(step)));
    if (this.image !== image) return;
    this.layers = [...found.flat(), ...(await this.#heats())];
    if (this.image !== image) return;
    for (const layer of this.layers)
      for (const region of layer.regions) region.hidden = known.get(region.id) ?? region.hidden ?? false;
    this.#list();
    await this.#drawLayers();
    this.#marks();
  }

  /** Of several heat maps the first is seen: two at once say nothing. */
  async #heats() {
    const { image, scene } = this;
    const heats = scene.heats.filter((heat) => heat.image === image.id);
    const made = await Promise.all(heats.map(async (heat, n) => {
      const of = (kind) => `${heat.address}.${kind}?file=${encodeURIComponent(heat.file)}`;
      const answer = await fetch(of("json"));
      if (!answer.ok) return this.say(`${heat.name} cannot be shown: ${(await answer.json()).detail}`);
      const { range } = await answer.json();
      const region = { ...heat, range, colour: [255, 60, 0], voxels: 1, lower: heat.at, upper: heat.at, hidden: n > 0 };
      return { heat: heat.address, picture: of("png"), address: of("nii"), file: `${heat.id}.nii`, range, regions: [region] };
    }));
    return made.filter(Boolean);
  }

  /** What lies over the image: masks, heat maps, boxes and points, each with its colour and its switch. */
  #list() {
    this.panel.show(this.layers, [...this.#found("boxes"), ...this.#found("points")]);
  }

  /** Boxes or points of the image. What is called the same has the same colour. */
  #found(kind) {
    const { boxes, points } = this.scene;
    const names = [...new Set([...boxes, ...points].filter((m) => m.image === this.image.id).map((m) => m.label))];
    return this.scene[kind].filter((mark) => mark.image === this.image.id).map((mark) =>
      Object.assign(mark, {
        colour: MARK_COLOURS[names.indexOf(mark.label) % MARK_COLOURS.length],
        words: mark.score == null ? mark.label : `${mark.label} ${fixed(mark.score, 2)}`,
        hidden: this.hiddenMarks.has(mark.id),
      }));
  }

  async #layersOf(step) {
    const answer = await fetch(step.address);
    if (!answer.ok) {
      this.say(`Masks of ${step.id} cannot be shown: ${(await answer.json()).detail}`);
      return [];
    }
    const layers = await answer.json();
    for (const layer of layers) {
      layer.address = `/view/${this.scene.reading}/labels/${layer.file}`;
      for (const region of layer.regions) region.marks = step.marks;
    }
    return layers;
  }

  /** One drawing after the other, and none before the image itself is there. */
  #drawLayers() {
    this.drawn = Promise.all([this.ready, this.drawn]).then(() => this.#drawLayersNow());
    return this.drawn;
  }

  async #drawLayersNow() {
    try {
      await this.pane?.setLayers(this.layers, this.panel.opacity);
      this.host.dataset.layers = this.layers.length;
    } catch (error) {
      this.say(`The masks cannot be drawn: ${error.message}`);
    }
  }

  #marks() {
    if (!this.image || !this.pane) return;
    const of = (kind) => this.#found(kind).filter((mark) => !mark.hidden).map((mark) => ({ ...mark, label: mark.words }));
    this.pane.setMarks({
      boxes: [...of("boxes"), ...this.pointing.boxes(this.image.id)],
      points: [...of("points"), ...this.pointing.points(this.image.id)],
    });
  }

  // --- showing

  async show(what) {
    const image = this.scene?.images.find((found) => found.id === what.volume);
    this.wanted = image ? null : what; // it may be there once the run has ended
    if (!image) return;
    this.holds = true;
    if (this.image?.id !== image.id || !this.pane) await this.open(image.id);
    await this.ready;
    const regions = this.layers.flatMap((layer) => layer.regions);
    const meant = what.mask ? regions.filter((r) => r.id === what.mask || r.id.startsWith(`${what.mask}/`)) : [];
    if (meant.some((r) => r.hidden)) {
      for (const region of meant) region.hidden = false;
      this.#list();
      await this.#drawLayers();
    }
    await this.ready;
    const voxel = placeOf(what, this.info, regions);
    if (voxel) this.pane.goVoxel(voxel);
    this.host.dataset.shown = JSON.stringify(what);
  }

  setLayout(id) {
    this.layout = id;
    this.layouts.mark(id);
    this.pane?.setLayout(id);
    this.second?.setLayout(id);
  }

  setTool(id) {
    this.tool = id;
    this.tools.mark(id);
    this.pane?.setTool(id);
    this.second?.setTool(["point", "box"].includes(id) ? "cross" : id); // prompts are for the image that is open
  }

  setPreset(name) {
    const preset = this.info?.presets.find((p) => p.name === name);
    if (!preset) return;
    this.pane.setWindow(preset.window);
    this.#listeners().window(preset.window);
  }

  async toggleCompare() {
    if (this.second) {
      this.pane.link(null);
      this.second.close();
      this.second = null;
    } else {
      const others = this.scene.images.filter((image) => image.id !== this.image.id);
      const other = others.find((image) => image.prior !== this.image.prior) ?? others[0];
      if (!other) return;
      try {
        const info = await this.#info(other);
        const window = (range) => info.units === this.info.units && (this.pane.setWindow(range), this.#windowWords(range));
        this.second = this.#paneFor(info, { place() {}, window, point() {}, box() {} });
        this.second.setLayout(this.layout);
        await this.second.open(other, info);
        const words = `${label(other)}${other.of === this.image.id ? "" : " · linked by scanner position, not aligned"}`;
        this.second.element.append(element("span", { class: "rv-caption" }, words));
        if (info.units === this.info.units) this.second.setWindow(this.pane.window);
        this.setTool(this.tool);
        this.second.link(this.pane);
        this.pane.link(this.second);
      } catch (error) {
        this.say(`${other.name} cannot be shown: ${error.message}`);
      }
    }
    this.compare.setAttribute("aria-pressed", String(Boolean(this.second)));
    window.dispatchEvent(new Event("resize"));
  }

  reset() {
    this.pane?.reset();
    if (this.info) {
      this.pane.setWindow(this.info.window);
      this.#windowWords(this.info.window);
    }
  }

  // --- words

  #placeWords({ voxel, world, value }) {
    if (!voxel) return;
    const { info } = this;
    const indices = inside(voxel, info.shape);
    this.host.dataset.voxel = indices.join(",");
    const parts = [];
    if (world && info.spacing_mm && info.orientation_known) {
      const [x, y, z] = world.map((n) => fixed(Math.abs(n)));
      parts.push(`${world[0] < 0 ? "L" : "R"} ${x}  ${world[1] < 0 ? "P" : "A"} ${y}  ${world[2] < 0 ? "I" : "S"} ${z} mm`);
    }
    const shown = info.kind === "film" ? indices.slice(0, 2) : indices;
    parts.push(`${info.kind === "film" ? "pixel" : "voxel"} ${shown.join(", ")}`);
    if (value !== undefined && value !== null && !info.is_colour)
      parts.push(`value ${Number.isInteger(value) ? String(value).replace("-", "−") : fixed(value, 2)} ${info.units || "(unit unknown)"}`);
    else if (info.is_colour && value) parts.push(`red, green, blue ${value}`);
    this.place.textContent = parts.join("   ·   ");
  }

  #windowWords([low, high]) {
    if (!this.info || this.info.is_colour) return (this.windowed.textContent = "");
    const near = (a, b) => Math.abs(a - b) < 0.5;
    const named = this.info.presets.find((p) => near(p.window[0], low) && near(p.window[1], high));
    this.presets.mark(named?.name);
    const spacing = this.info.spacing_mm ? "" : "   ·   no spacing: no millimetres";
    this.windowed.textContent = `window ${fixed(high - low, 0)}, level ${fixed((low + high) / 2, 0)}${spacing}`;
  }

  // --- keys

  help() {
    const rows = [
      ["↑ ↓", "next and previous axial slice (Page: ten)"], ["← →", "sagittal slices"], ["Shift ↑ ↓", "coronal slices"],
      ["1 – 5", "planes, axial, coronal, sagittal, 3-D"], ["C W M D P B", "crosshair, window, move, measure, point, box"],
      ["+ −", "zoom"], ["H", "masks on and off"], ["L", "compare"], ["R", "reset"],
      ["Enter", "point at the crosshair, with the Point tool"],
    ];
    const list = rows.flatMap(([key, words]) => [element("dt", {}, key), element("dd", {}, words)]);
    const close = element("button", { type: "button" }, "Close");
    const dialog = element("dialog", { class: "rv-help", "aria-label": "Shortcuts of the viewer" }, [element("dl", {}, list), close]);
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    this.host.append(dialog);
    dialog.showModal();
  }

  #key(event) {
    if (!this.pane || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, select, dialog *")) return;
    const onPanes = this.panes.contains(event.target);
    if (this.#slices(event, onPanes) || this.#letters(event, onPanes)) {
      event.preventDefault();
      event.stopPropagation();
    }
  }

  #slices({ key, shiftKey }, onPanes) {
    if (!onPanes) return false;
    const plane = shiftKey ? "coronal" : "axial";
    const across = this.layout === "coronal" || this.layout === "sagittal" ? this.layout : plane;
    const moves = {
      ArrowUp: [1, across], ArrowDown: [-1, across], ArrowRight: [1, "sagittal"], ArrowLeft: [-1, "sagittal"],
      PageUp: [10, across], PageDown: [-10, across],
    };
    if (!moves[key]) return false;
    this.pane.step(...moves[key]);
    return true;
  }

  #letters({ key, target }, onPanes) {
    const layout = LAYOUTS[Number(key) - 1];
    const tool = { c: "cross", w: "window", m: "pan", d: "measure", p: "point", b: "box" }[key.toLowerCase()];
    const actions = {
      "+": () => this.pane.zoom(1.2), "-": () => this.pane.zoom(1 / 1.2), r: () => this.reset(), l: () => this.toggleCompare(),
      h: () => this.#toggleMasks(), "?": () => this.help(),
    };
    if (layout && !this.layouts.element.hidden) this.layouts.buttons.get(layout.id).click();
    else if (tool) this.tools.buttons.get(tool).click();
    else if (actions[key]) actions[key]();
    else if (key === "Enter" && onPanes && this.tool === "point" && this.pane.voxel) this.#listeners().point(this.pane.voxel);
    else return false;
    if (target === document.body) this.panes.focus();
    return true;
  }

  #toggleMasks() {
    const regions = this.layers.flatMap((layer) => layer.regions);
    const hide = regions.some((r) => !r.hidden);
    for (const region of regions) region.hidden = hide;
    this.#list();
    this.#drawLayers();
  }
}

const placeOfMark = ({ at, lower, upper }) => at ?? lower.map((n, axis) => (n + upper[axis]) / 2);

const label = (image) => {
  const facts = [image.modality, image.prior ? "prior" : "", image.waits ? "not attached yet" : "", ...image.marks];
  return [image.id.startsWith("new") ? "" : image.id, image.name, ...facts].filter(Boolean).join(" · ");
};

/** Gradio may build its parts late and again: the viewer follows what the page says of its reading. */
const start = () => {
  const host = document.getElementById("rr-stage");
  const scene = document.getElementById("rr-scene");
  if (!host || !scene) return false;
  const viewer = (room.viewer = new Viewer(host));
  let last = "";
  let asked = scene.querySelector("[data-scene]")?.dataset.asked;
  const look = () => {
    const said = scene.querySelector("[data-scene]")?.dataset;
    const now = said ? `${said.scene} ${said.version} ${said.asked}` : "";
    if (now === last) return;
    last = now;
    viewer.refresh(said?.scene ?? "");
    if (said && said.asked !== asked) room.say("asked", (asked = said.asked));
  };
  new MutationObserver(look).observe(scene, { childList: true, subtree: true, attributes: true });
  look();
  return true;
};
if (!start()) {
  const waiting = setInterval(() => start() && clearInterval(waiting), 100);
}
