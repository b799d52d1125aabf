// The list of masks beside the picture: names, colours, on and off, how strong.
import { element } from "./dom.js";

export class MaskPanel {
  constructor(host, on) {
    this.on = on;
    this.list = element("ul", { class: "rv-regions" });
    this.slider = element("input", { type: "range", min: 0, max: 100, value: 45, "aria-label": "Opacity of masks and heat maps" });
    this.slider.addEventListener("input", () => on.opacity(Number(this.slider.value) / 100));
    this.toggle = element("button", { class: "rv-fold", type: "button", "aria-expanded": "true" }, "Overlays");
    this.body = element("div", { class: "rv-panel-body" }, [
      element("label", { class: "rv-opacity" }, [element("span", {}, "Opacity"), this.slider]),
      this.list,
    ]);
    this.toggle.addEventListener("click", () => this.fold(!this.body.hidden));
    this.element = element("aside", { class: "rv-panel", "aria-label": "Overlays", hidden: "" }, [this.toggle, this.body]);
    host.append(this.element);
  }

  get opacity() {
    return Number(this.slider.value) / 100;
  }

  fold(hidden) {
    this.body.hidden = hidden;
    this.toggle.setAttribute("aria-expanded", String(!hidden));
  }

  /** `layers` are masks and heat maps, `marks` boxes and points. */
  show(layers, marks = []) {
    const regions = layers.flatMap((layer) => layer.regions);
    const count = regions.length + marks.length;
    this.element.hidden = count === 0;
    this.toggle.textContent = `Overlays (${count})`;
    const rows = [...regions.map((region) => this.#row(region)), ...marks.map((mark) => this.#markRow(mark))];
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
    const swatch = element("i", { class: "rv-swatch rv-outline", style: `border-color: ${mark.colour}` });
    return element("li", { "data-mark": mark.id }, [box, swatch, name]);
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
    return element("li", { "data-region": region.id }, [box, region.range ? "" : swatch, name, ...marks, ...legend]);
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
