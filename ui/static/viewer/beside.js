// Another image beside the open one, an earlier study first: both move together, by scanner position.
import { element } from "./dom.js";
import { label } from "./words.js";

export class Beside {
  constructor(viewer) {
    this.viewer = viewer;
    this.pane = null;
  }

  async toggle() {
    if (this.pane) this.close();
    else await this.#open();
    this.viewer.controls.comparing(Boolean(this.pane));
    window.dispatchEvent(new Event("resize"));
  }

  close() {
    this.viewer.pane?.link(null);
    this.pane?.close();
    this.pane = null;
    this.viewer.controls.comparing(false);
  }

  /** The same values look the same. */
  setWindow(window) {
    if (this.pane?.info.units === this.viewer.info.units) this.pane.setWindow(window);
  }

  async #open() {
    const { viewer } = this;
    const { image, info: first } = viewer;
    const others = viewer.scene.images.filter((other) => other.id !== image.id);
    const other = others.find((found) => found.prior !== image.prior) ?? others[0];
    if (!other) return;
    try {
      const info = await viewer.infoOf(other);
      const window = (range) => info.units === first.units && viewer.setWindow(range);
      this.pane = viewer.paneFor(info, { place() {}, window, point() {}, box() {} });
      this.pane.setLayout(viewer.layout);
      await this.pane.open(other, info);
      const words = `${label(other)}${other.of === image.id ? "" : " · linked by scanner position, not aligned"}`;
      this.pane.element.append(element("span", { class: "rv-caption" }, words));
      this.setWindow(viewer.pane.window);
      viewer.setTool(viewer.tool);
      this.pane.link(viewer.pane);
      viewer.pane.link(this.pane);
    } catch (error) {
      viewer.say(`${other.name} cannot be shown: ${error.message}`);
    }
  }
}
