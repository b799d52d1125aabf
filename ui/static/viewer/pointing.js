// What a person has pointed at: chips above the request, sent with it. Nothing is sent before the person asks.
import { element } from "./dom.js";

const room = window.readingroom;
const GONE = "its image was taken away";

export class Pointing {
  constructor(chips, changed) {
    this.chips = chips;
    this.changed = changed;
    this.places = []; // {image, name, kind: point | box, voxels}
    this.images = []; // of the reading, as the scene has them
    room.on("asked", () => this.clear());
  }

  addPoint(image, voxel) {
    this.#add({ image: image.id, name: image.name, kind: "point", voxels: [voxel] });
  }

  addBox(image, lower, upper) {
    this.places = this.places.filter((place) => place.kind !== "box" || place.image !== image.id); // a prompt has one box
    this.#add({ image: image.id, name: image.name, kind: "box", voxels: [lower, upper] });
  }

  /** Take what there is now: what was pointed at may no longer go with the request. */
  know(images) {
    this.images = images;
    this.#tell();
  }

  points(image) {
    return this.#of(image, "point").map((place) => ({ at: place.voxels[0], label: place.number, mine: true }));
  }

  boxes(image) {
    return this.#of(image, "box").map(({ voxels: [lower, upper], number }) => ({ lower, upper, label: number, mine: true }));
  }

  clear() {
    this.places = [];
    this.#tell();
  }

  #of(image, kind) {
    const numbered = this.places.map((place, n) => ({ ...place, number: String(n + 1) }));
    return numbered.filter((place) => place.image === image && place.kind === kind);
  }

  #add(place) {
    const known = this.images.find((image) => image.id === place.image);
    if (known) known.goes = true; // the page ticks a series that somebody points into
    this.places.push(place);
    this.#tell();
    room.say("pointed", place.image);
  }

  /** The page reads what was pointed at from a field that nobody sees. */
  #tell() {
    const sent = this.places.filter((place) => this.#reason(place) !== GONE);
    const said = sent.length ? JSON.stringify(sent) : "";
    const field = document.querySelector("#rr-pointed textarea, #rr-pointed input");
    if (field && field.value !== said) {
      field.value = said;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
    this.#show();
    this.changed();
  }

  #show() {
    this.chips.hidden = this.places.length === 0;
    this.chips.replaceChildren("Goes with your next request:", ...this.places.map((place, n) => this.#chip(place, n)));
  }

  /** Why a place does not go with the request; empty where it does. */
  #reason({ image, name }) {
    const found = this.images.find((known) => known.id === image && known.name === name);
    if (!found) return GONE;
    return found.goes === false ? "its series is not ticked" : "";
  }

  #chip(place, n) {
    const words = `${place.kind} ${n + 1}: ${place.image} voxel ${place.voxels.map((v) => v.join(", ")).join(" to ")}`;
    const reason = this.#reason(place);
    const remove = element("button", { type: "button", "aria-label": `Remove ${words}`, title: "Remove" }, "×");
    remove.addEventListener("click", () => {
      this.places.splice(n, 1);
      this.#tell();
    });
    const said = reason ? [element("s", {}, words), element("b", {}, `not sent: ${reason}`)] : [words];
    return element("span", { class: reason ? "rr-chip rv-left-out" : "rr-chip", title: place.name }, [...said, remove]);
  }
}
