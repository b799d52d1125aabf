// What a person has pointed at: chips above the request, sent with it. Nothing is sent before the person asks.
import { element } from "./dom.js";

const room = window.readingroom;

export class Pointing {
  constructor(chips, changed) {
    this.chips = chips;
    this.changed = changed;
    this.places = []; // {image, name, kind: point | box, voxels}
    room.on("asked", () => this.clear());
  }

  addPoint(image, voxel) {
    this.#add({ image: image.id, name: image.name, kind: "point", voxels: [voxel] });
  }

  addBox(image, lower, upper) {
    this.places = this.places.filter((place) => place.kind !== "box" || place.image !== image.id); // a prompt has one box
    this.#add({ image: image.id, name: image.name, kind: "box", voxels: [lower, upper] });
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
    this.places.push(place);
    this.#tell();
  }

  /** The page reads what was pointed at from a field that nobody sees. */
  #tell() {
    const field = document.querySelector("#rr-pointed textarea, #rr-pointed input");
    if (field) {
      field.value = this.places.length ? JSON.stringify(this.places) : "";
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
    this.chips.hidden = this.places.length === 0;
    this.chips.replaceChildren("Goes with your next request:", ...this.places.map((place, n) => this.#chip(place, n)));
    room.say("pointed", this.places);
    this.changed();
  }

  #chip(place, n) {
    const words = `${place.kind} ${n + 1}: ${place.image} voxel ${place.voxels.map((v) => v.join(", ")).join(" to ")}`;
    const remove = element("button", { type: "button", "aria-label": `Remove ${words}`, title: "Remove" }, "×");
    remove.addEventListener("click", () => {
      this.places.splice(n, 1);
      this.#tell();
    });
    return element("span", { class: "rr-chip", title: place.name }, [words, remove]);
  }
}
