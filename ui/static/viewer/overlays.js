// What lies over the image: masks, heat maps, boxes, points and measured lines; each with its colour, its switch and its row in a list.
import { fixed } from "./geometry.js";
import { MaskPanel } from "./panel.js";

const MARK_COLOURS = ["#e69f00", "#56b4e9", "#f0e442", "#cc79a7", "#2fbf9b"]; // Okabe and Ito (2008), the first two theirs
const KINDS = ["boxes", "points", "lines"];

export class Overlays {
  constructor(viewer) {
    this.viewer = viewer;
    this.layers = [];
    this.hiddenMarks = new Set();
    this.panel = new MaskPanel({
      change: () => this.draw(),
      opacity: () => this.draw(),
      go: (region) => viewer.show({ volume: viewer.image.id, mask: region.id }),
      mark: (mark, isShown) => {
        if (isShown) this.hiddenMarks.delete(mark.id);
        else this.hiddenMarks.add(mark.id);
        this.drawMarks();
      },
      goMark: (mark) => viewer.show({ volume: viewer.image.id, voxel: placeOfMark(mark), mark: mark.id }),
    });
  }

  get regions() {
    return this.layers.flatMap((layer) => layer.regions);
  }

  clear() {
    this.layers = [];
    this.panel.show([]);
  }

  async refresh() {
    const { image, scene } = this.viewer;
    const steps = scene.masks.filter((mask) => mask.image === image.id);
    const known = new Map(this.regions.map((r) => [r.id, r.hidden]));
    const found = await Promise.all(steps.map((step) => this.#layersOf(step)));
    const layers = [...found.flat(), ...(await this.#heats(image, scene))];
    if (this.viewer.image !== image) return;
    this.layers = layers;
    for (const region of this.regions) region.hidden = known.get(region.id) ?? region.hidden ?? false;
    this.#list();
    await this.draw();
    this.drawMarks();
  }

  async #layersOf(step) {
    const { viewer } = this;
    const answer = await fetch(step.address);
    if (!answer.ok) {
      viewer.say(`Masks of ${step.id} cannot be shown: ${(await answer.json()).detail}`);
      return [];
    }
    const layers = await answer.json();
    for (const layer of layers) {
      layer.address = `view/${viewer.scene.reading}/labels/${layer.file}`;
      for (const region of layer.regions) Object.assign(region, { marks: step.marks, heading: step.heading });
    }
    return layers;
  }

  /** Of several heat maps the first is seen: two at once say nothing. */
  async #heats(image, scene) {
    const heats = scene.heats.filter((heat) => heat.image === image.id);
    const made = await Promise.all(heats.map(async (heat, n) => {
      const of = (kind) => `${heat.address}.${kind}?file=${encodeURIComponent(heat.file)}`;
      const answer = await fetch(of("json"));
      if (!answer.ok) return this.viewer.say(`${heat.name} cannot be shown: ${(await answer.json()).detail}`);
      const { range } = await answer.json();
      const region = { ...heat, range, colour: [255, 60, 0], voxels: 1, lower: heat.at, upper: heat.at, hidden: n > 0 };
      return { heat: heat.address, picture: of("png"), address: of("nii"), file: `${heat.id}.nii`, range, regions: [region] };
    }));
    return made.filter(Boolean);
  }

  #list() {
    this.panel.show(this.layers, KINDS.flatMap((kind) => this.#found(kind)));
  }

  /** Boxes, points or lines of the image. What is called the same has the same colour. */
  #found(kind) {
    const { image, scene } = this.viewer;
    const names = [...new Set(KINDS.flatMap((k) => scene[k]).filter((m) => m.image === image.id).map((m) => m.label))];
    return scene[kind].filter((mark) => mark.image === image.id).map((mark) =>
      Object.assign(mark, {
        colour: MARK_COLOURS[names.indexOf(mark.label) % MARK_COLOURS.length],
        words: mark.score == null ? [mark.label, mark.value].filter(Boolean).join(" ") : `${mark.label} ${fixed(mark.score, 2)}`,
        hidden: this.hiddenMarks.has(mark.id),
      }));
  }

  /** One drawing after the other, and none before the image itself is there. */
  draw() {
    this.drawn = Promise.all([this.viewer.ready, this.drawn]).then(() => this.#drawNow());
    return this.drawn;
  }

  async #drawNow() {
    const { viewer } = this;
    try {
      await viewer.pane?.setLayers(this.layers, this.panel.opacity);
      viewer.host.dataset.layers = this.layers.length;
    } catch (error) {
      viewer.say(`The masks cannot be drawn: ${error.message}`);
    }
  }

  drawMarks() {
    const { image, pane, pointing } = this.viewer;
    if (!image || !pane) return;
    const of = (kind) => this.#found(kind).filter((mark) => !mark.hidden).map((mark) => ({ ...mark, label: mark.value ?? mark.words }));
    pane.setMarks({
      boxes: [...of("boxes"), ...pointing.boxes(image.id)],
      points: [...of("points"), ...pointing.points(image.id)],
      lines: of("lines"),
    });
  }

  /** Make sure that what somebody wants to see is seen. */
  async reveal(what) {
    const ends = what.ends && JSON.stringify(what.ends);
    for (const mark of KINDS.flatMap((kind) => this.#found(kind))) {
      if (mark.id === what.mark || (ends && JSON.stringify(mark.ends) === ends)) this.hiddenMarks.delete(mark.id);
    }
    const meant = what.mask ? this.regions.filter((r) => isOf(r, what.mask)) : [];
    const isHidden = meant.some((r) => r.hidden);
    for (const region of meant) region.hidden = false;
    this.#list();
    this.drawMarks();
    if (isHidden) await this.draw();
  }

  toggleAll() {
    const hide = this.regions.some((r) => !r.hidden);
    for (const region of this.regions) region.hidden = hide;
    this.#list();
    this.draw();
  }
}

const isOf = (region, mask) => region.id === mask || region.id.startsWith(`${mask}/`);
const placeOfMark = ({ at, lower, upper }) => at ?? lower.map((n, axis) => (n + upper[axis]) / 2);
