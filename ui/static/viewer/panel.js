// The list of overlays beside the picture: names, colours, on and off, how strong.
import { element } from "./dom.js";

export class MaskPanel {
  constructor(on) {
    this.on = on;
    this.list = element("ul", { class: "rv-regions" });
    this.slider = element("input", { type: "range", min: 0, max: 100, value: 45, "aria-label": "Opacity of masks and heat maps" });
    this.slider.addEventListener("input", () => on.opacity(Number(this.slider.value) / 100));
    this.toggle = element("button", { type: "button", "aria-expanded": "true", hidden: "", title: "List of what lies over the picture (O)" });
    this.toggle.addEventListener("click", () => this.#fold(!this.isFolded));
    this.element = element("aside", { class: "rv-panel", "aria-label": "Overlays", hidden: "" }, [
      element("label", { class: "rv-opacity" }, [element("span", {}, "Opacity"), this.slider]),
      this.list,
    ]);
    this.isFolded = false;
    this.count = 0;
  }

  get opacity() {
    return Number(this.slider.value) / 100;
  }

  #fold(isFolded) {
    this.isFolded = isFolded;
    this.element.hidden = isFolded || this.count === 0;
    this.toggle.setAttribute("aria-expanded", String(!isFolded));
  }

  /** `layers` are masks and heat maps, `marks` boxes, points and lines. */
  show(layers, marks = []) {
    const regions = layers.flatMap((layer) => layer.regions);
    this.count = regions.length + marks.length;
    this.toggle.hidden = this.count === 0;
    this.toggle.textContent = `Overlays (${this.count})`;
    this.#fold(this.isFolded);
    const rows = [...regions.flatMap((region, n) => this.#headed(region, regions[n - 1])), ...marks.map((mark) => this.#markRow(mark))];
    const focused = this.list.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
    this.list.replaceChildren(...rows);
    if (focused) this.list.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
  }

  #markRow(mark) {
    const box = element("input", { type: "checkbox", "aria-label": `Show ${mark.words} (${mark.id})` });
    box.checked = !mark.hidden;
    box.addEventListener("change", () => this.on.mark(mark, box.checked));
    const name = element("button", { type: "button", class: "rv-region", title: `Go to ${mark.words}` }, mark.words || mark.id);
    name.addEventListener("click", () => this.on.goMark(mark));
    const kind = mark.ends ? "rv-line" : "rv-outline";
    const swatch = element("i", { class: `rv-swatch ${kind}`, style: `border-color: ${mark.colour}` });
    return element("li", { "data-mark": mark.id }, [box, swatch, element("div", {}, name)]);
  }

  /** What several rows have in common stands above the first. */
  #headed(region, before) {
    const row = this.#row(region);
    if (!region.heading || region.heading === before?.heading) return [row];
    return [element("li", { class: "rv-heading" }, region.heading), row];
  }

  #row(region) {
    const box = element("input", { type: "checkbox", "aria-label": `Show ${region.name}` });
    box.checked = !region.hidden;
    box.addEventListener("change", () => {
      region.hidden = !box.checked;
      this.on.change();
    });
    const name = element("button", { type: "button", class: "rv-region", title: `Go to ${region.name}` }, region.name);
    name.disabled = region.voxels === 0;
    if (name.disabled) name.title = "Nothing was found: the mask is empty";
    name.addEventListener("click", () => this.on.go(region));
    const swatch = element("i", { class: "rv-swatch", style: `background: rgb(${region.colour.join(",")})` });
    const marks = (region.marks ?? []).map((mark) => element("em", { class: "rr-mark" }, mark));
    const legend = region.range ? [this.#legend(region.range)] : [];
    const words = element("div", {}, [name, ...marks, ...legend]);
    return element("li", { "data-region": region.id }, region.range ? [box, words] : [box, swatch, words]);
  }

  /** The colours of a heat map, and the values that they stand for. */
  #legend([low, high]) {
    const words = [low, (low + high) / 2, high].map((n) => element("span", {}, n === 0 ? "0" : n.toPrecision(2)));
    const bar = element("i", { class: "rv-heat" });
    return element("div", { class: "rv-legend", role: "img", "aria-label": `From clear at ${low} to red at ${high.toPrecision(3)}` }, [
      bar, element("div", {}, words),
    ]);
  }
}
