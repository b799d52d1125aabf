// The list of masks beside the picture: names, colours, on and off, how strong.
import { element } from "./dom.js";

export class MaskPanel {
  constructor(host, on) {
    this.on = on;
    this.list = element("ul", { class: "rv-regions" });
    this.slider = element("input", { type: "range", min: 0, max: 100, value: 45, "aria-label": "Opacity of masks" });
    this.slider.addEventListener("input", () => on.opacity(Number(this.slider.value) / 100));
    this.toggle = element("button", { class: "rv-fold", type: "button", "aria-expanded": "true" }, "Masks");
    this.body = element("div", { class: "rv-panel-body" }, [
      element("label", { class: "rv-opacity" }, [element("span", {}, "Opacity"), this.slider]),
      this.list,
    ]);
    this.toggle.addEventListener("click", () => this.fold(!this.body.hidden));
    this.element = element("aside", { class: "rv-panel", "aria-label": "Masks", hidden: "" }, [this.toggle, this.body]);
    host.append(this.element);
  }

  get opacity() {
    return Number(this.slider.value) / 100;
  }

  fold(hidden) {
    this.body.hidden = hidden;
    this.toggle.setAttribute("aria-expanded", String(!hidden));
  }

  show(layers) {
    const regions = layers.flatMap((layer) => layer.regions);
    this.element.hidden = regions.length === 0;
    this.toggle.textContent = `Masks (${regions.length})`;
    this.list.replaceChildren(...regions.map((region) => this.#row(region)));
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
    return element("li", { "data-region": region.id }, [box, swatch, name, ...marks]);
  }
}
