// Another image beside the open one, an earlier study first: both move together, by scanner position.
import { element } from "./dom.js";
import { isSamePicture } from "./geometry.js";
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

  /** What waited has an id of the reading now: the same picture stays. */
  async attached(images) {
    const heir = this.pane && images.find(({ was }) => was && was === this.pane.image.id);
    if (!heir) return;
    const info = await this.viewer.infoOf(heir);
    if (!isSamePicture(info, this.pane.info)) return this.close();
    Object.assign(this.pane, { image: heir, info });
    this.#caption();
  }

  #caption() {
    const { image, element: host } = this.pane;
    const words = `${label(image)}${image.of === this.viewer.image.id ? "" : " · linked by scanner position, not aligned"}`;
    host.querySelector(".rv-caption")?.remove();
    host.append(element("span", { class: "rv-caption" }, words));
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
      this.#caption();
      this.setWindow(viewer.pane.window);
      viewer.setTool(viewer.tool);
      this.pane.link(viewer.pane);
      viewer.pane.link(this.pane);
    } catch (error) {
      viewer.say(`${other.name} cannot be shown: ${error.message}`);
    }
  }
}
