// The viewer's frame: which image is open, which layout and tool are in hand, what is said about it.
import { Beside } from "./beside.js";
import { Controls, NO_WEBGL } from "./controls.js";
import { element } from "./dom.js";
import { FilmPane } from "./film.js";
import { FlatPane } from "./flat.js";
import { inside, isSamePicture, placeOf } from "./geometry.js";
import { help, listen } from "./keys.js";
import { webGL2 } from "./niivue.js";
import { Overlays } from "./overlays.js";
import { Pointing } from "./pointing.js";
import { VolumePane } from "./volume.js";
import { placeWords, windowWords } from "./words.js";

const NOTHING = "No image is open. Attach a study or take a sample case.";
const drawing = webGL2();
const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));

export class Viewer {
  constructor(host) {
    this.host = host;
    this.layout = "planes";
    this.tool = "cross";
    this.infos = new Map();
    this.#build();
    this.pointing = new Pointing(this.chips, () => this.overlays.drawMarks());
    this.beside = new Beside(this);
    listen(this);
    window.readingroom.on("show", (what) => this.show(what));
  }

  #build() {
    this.controls = new Controls({
      open: (id) => this.open(id),
      layout: (id) => this.setLayout(id),
      preset: (id) => this.setPreset(id),
      tool: (id) => this.setTool(id),
      compare: () => this.beside.toggle(),
      reset: () => this.reset(),
      help: () => help(this.host),
    });
    this.panes = element("div", { class: "rv-panes", tabindex: 0, role: "group", "aria-label": "Image. Arrow keys move through slices." });
    this.said = element("p", { class: "rv-said", role: "status" });
    this.stage = element("div", { class: "rv-stage" }, [this.panes]);
    this.overlays = new Overlays(this);
    this.controls.more.prepend(this.overlays.panel.toggle);
    this.stage.append(this.overlays.panel.element);
    this.place = element("span", { class: "rv-place" });
    this.windowed = element("span", { class: "rv-window" });
    this.status = element("div", { class: "rv-status" }, [this.place, this.windowed]);
    this.chips = element("div", { class: "rv-chips", hidden: "" });
    this.host.replaceChildren(this.controls.element, this.stage, this.said, this.chips, this.status);
    this.say(NOTHING);
  }

  /** The pane of the image beside. */
  get second() {
    return this.beside.pane;
  }

  say(words) {
    this.said.textContent = words;
    this.said.hidden = !words;
  }

  // --- what there is

  async refresh(reading) {
    const asked = (this.asked = Symbol(reading));
    if (this.scene && this.scene.reading !== reading) this.pointing.clear();
    if (!reading) return this.#empty();
    const answer = await fetch(`view/${reading}/scene.json`);
    if (!answer.ok) return;
    const scene = await answer.json();
    if (this.asked !== asked) return; // an older answer may come after a newer one
    const before = this.scene;
    this.scene = scene;
    if (before && before.reading !== reading) this.#empty(this.scene);
    const { images } = this.scene;
    this.controls.list(images);
    this.pointing.know(images);
    this.host.classList.toggle("rv-has-image", images.length > 0);
    if (!images.length) return this.#empty(this.scene);
    await this.#attached(images);
    await this.beside.attached(images);
    const open = this.image && images.find((image) => image.id === this.image.id);
    const isNew = (image) => !before?.images.some((known) => known.id === image.id || known.id === image.was);
    const fresh = images.find((image) => isNew(image) && !image.of && !image.prior);
    if (this.wanted && images.some((image) => image.id === this.wanted.volume)) return this.show(this.wanted);
    if (!open || (fresh && !this.holds)) await this.open((fresh ?? images[0]).id);
    else {
      this.controls.images.value = open.id;
      await this.overlays.refresh();
    }
  }

  /** What waited has an id of the reading now: the same picture stays as it is, with place, zoom and window. */
  async #attached(images) {
    const heir = images.find(({ was }) => was && was === this.image?.id);
    if (!heir) return;
    await this.opened;
    if (heir.was !== this.image?.id) return; // another was chosen meanwhile, or this one has come already
    const info = this.pane && (await this.infoOf(heir));
    if (!info || !isSamePicture(info, this.info)) return this.open(heir.id);
    this.image = heir;
    this.controls.images.value = heir.id;
    this.#suit(info);
    Object.assign(this.pane, { image: heir, info });
    if (this.pane.voxel) this.pane.goVoxel(this.pane.voxel);
    this.#windowWords(this.pane.window);
    this.host.dataset.open = heir.id;
  }

  #empty(scene = null) {
    this.#close();
    this.scene = scene;
    this.image = null;
    this.infos.clear();
    this.overlays.clear();
    this.place.textContent = this.windowed.textContent = "";
    this.host.classList.remove("rv-has-image");
    this.say(NOTHING);
  }

  #close() {
    this.beside.close();
    this.pane?.close();
    this.pane = null;
  }

  async infoOf(image) {
    if (this.infos.has(image.address)) return this.infos.get(image.address);
    const answer = await fetch(`${image.address}/info.json`);
    if (!answer.ok) throw new Error((await answer.json()).detail ?? "the image cannot be read");
    const info = await answer.json();
    if (!image.waits) this.infos.set(image.address, info); // what a person says of it may change until then
    return info;
  }

  open(id) {
    return (this.opened = this.#open(id));
  }

  async #open(id) {
    const image = this.scene?.images.find((found) => found.id === id);
    if (!image) return;
    const opening = (this.opening = Symbol(id));
    this.image = image;
    this.controls.images.value = id;
    this.host.dataset.open = "";
    this.say(`Opening ${image.name} …`);
    const started = performance.now();
    try {
      const info = await this.infoOf(image);
      if (this.opening !== opening) return;
      this.#close();
      this.#suit(info);
      this.#windowWords(info.window);
      this.pane = this.paneFor(info);
      this.pane.setLayout(this.layout);
      const opened = this.pane.open(image, info);
      this.ready = opened.catch(() => {});
      await opened;
      if (this.opening !== opening) return;
      this.say(info.kind === "volume" && !drawing.works ? NO_WEBGL : "");
      this.pane.setTool(this.tool);
      this.pane.goVoxel(info.shape.map((n) => Math.floor(n / 2)));
      this.#windowWords(this.pane.window);
      await this.overlays.refresh();
      this.host.dataset.open = id;
      const seconds = (from, to) => ((to - from) / 1000).toFixed(2);
      this.host.dataset.seconds = seconds(started, performance.now());
      if (this.pane.first) this.host.dataset.firstAfter = seconds(started, this.pane.first);
      if (this.pane.drawn) this.host.dataset.drawnAfter = seconds(this.pane.arrived, this.pane.drawn);
    } catch (error) {
      if (this.opening !== opening) return;
      this.#close(); // so that the next click on it opens it anew
      this.say(`${image.name} cannot be shown: ${error.message}`);
    }
  }

  paneFor(info, on = this.#listeners()) {
    if (info.kind === "film") return new FilmPane(this.panes, on);
    return drawing.works ? new VolumePane(this.panes, on, drawing) : new FlatPane(this.panes, on);
  }

  #listeners() {
    return {
      place: (at) => this.#placeWords(at),
      window: (window) => {
        this.#windowWords(window);
        this.beside.setWindow(window);
      },
      point: (voxel) => this.pointAt(voxel),
      box: (lower, upper) =>
        this.pointing.addBox(this.image, inside(lower, this.info.shape), inside(upper, this.info.shape)),
    };
  }

  pointAt(voxel) {
    this.pointing.addPoint(this.image, inside(voxel, this.info.shape));
  }

  #suit(info) {
    this.info = info;
    this.controls.suit(info, drawing.works);
    if (!drawing.works && ["planes", "render"].includes(this.layout)) this.layout = "axial";
    if (this.tool === "measure" && !info.spacing_mm) this.tool = "cross";
    this.controls.layouts.mark(this.layout);
    this.controls.tools.mark(this.tool);
  }

  // --- showing

  async show(what) {
    const image = this.scene?.images.find((found) => found.id === what.volume);
    this.wanted = image ? null : what; // it may be there once the run has ended
    if (!image) return;
    this.holds = true;
    if (this.image?.id !== image.id || !this.pane) await this.open(image.id);
    await this.ready;
    await this.overlays.reveal(what);
    const voxel = placeOf(what, this.info, this.overlays.regions);
    if (voxel) this.pane.goVoxel(voxel);
    await this.settled();
    this.host.dataset.shown = JSON.stringify(what);
  }

  /** Resolves once everything that was asked for is on the screen. */
  async settled() {
    await this.ready;
    await this.overlays.drawn;
    await this.pane?.settled();
    await frame();
    await frame(); // the first is the one that draws
  }

  setLayout(id) {
    this.layout = id;
    this.controls.layouts.mark(id);
    this.pane?.setLayout(id);
    this.second?.setLayout(id);
  }

  setTool(id) {
    this.tool = id;
    this.controls.tools.mark(id);
    this.pane?.setTool(id);
    this.second?.setTool(["point", "box"].includes(id) ? "cross" : id); // prompts are for the image that is open
  }

  setWindow(window) {
    this.pane.setWindow(window);
    this.#windowWords(window);
  }

  setPreset(name) {
    const preset = this.info?.presets.find((p) => p.name === name);
    if (!preset) return;
    this.setWindow(preset.window);
    this.beside.setWindow(preset.window);
  }

  reset() {
    this.pane?.reset();
    if (this.info) this.setWindow(this.info.window);
  }

  // --- words

  #placeWords(at) {
    if (!at.voxel) return;
    const { indices, words } = placeWords(this.info, at);
    this.host.dataset.voxel = indices.join(",");
    this.place.textContent = words;
  }

  #windowWords(window) {
    if (!this.info || this.info.is_colour) return (this.windowed.textContent = "");
    const { preset, words } = windowWords(this.info, window);
    this.controls.presets.mark(preset);
    this.windowed.textContent = words;
  }
}
