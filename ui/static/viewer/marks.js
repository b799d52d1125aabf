// Boxes, points and measured lines over a volume's planes, on a canvas of its own above NiiVue's.

import { toWorld } from "./geometry.js";
import { fracOf } from "./niivue.js";

const COLOURS = { mine: "#ffcc4d", found: "#e69f00" };
const NEAR = 0.75; // slices: a point is drawn on its own slice and, between two, on both

export class Marks {
  constructor(host) {
    this.canvas = document.createElement("canvas");
    this.canvas.className = "rv-marks";
    this.canvas.setAttribute("aria-hidden", "true"); // what they say is in the tabs and chips
    host.append(this.canvas);
    this.boxes = [];
    this.points = [];
    this.lines = [];
    this.band = null; // corners of a box that is being drawn, in CSS pixels
    this.count = 0; // drawn the last time
  }

  draw(nv, affine) {
    const { clientWidth, clientHeight, width, height } = nv.canvas;
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const pen = this.canvas.getContext("2d", { willReadFrequently: true }); // else Chromium may show an older picture
    pen.clearRect(0, 0, width, height);
    const ratio = width / Math.max(1, clientWidth);
    pen.lineWidth = 2 * ratio;
    pen.font = `${12 * ratio}px system-ui, sans-serif`;
    this.count = 0;
    if (!clientHeight || !nv.volumes.length) return;
    const frac = (voxel) => fracOf(nv, toWorld(affine, voxel));
    for (const plane of planes(nv)) {
      pen.save();
      pen.beginPath();
      pen.rect(...plane.frame);
      pen.clip();
      for (const box of this.boxes) this.#box(pen, plane, box, frac);
      for (const point of this.points) this.#point(pen, plane, point, frac(point.at), ratio);
      for (const line of this.lines) this.#line(pen, plane, line, frac, ratio);
      pen.restore();
    }
    if (this.band) {
      const [[x0, y0], [x1, y1]] = this.band.map((at) => at.map((n) => n * ratio));
      pen.strokeStyle = COLOURS.mine;
      pen.strokeRect(x0, y0, x1 - x0, y1 - y0);
    }
  }

  #box(pen, plane, { lower, upper, label, mine, colour }, frac) {
    const [one, other] = [frac(lower.map((n) => n - 0.5)), frac(upper.map((n) => n + 0.5))];
    const at = plane.at[plane.across];
    if (at < Math.min(one[plane.across], other[plane.across]) || at > Math.max(one[plane.across], other[plane.across])) return;
    const [[x0, y0], [x1, y1]] = [plane.screen(one), plane.screen(other)];
    const [left, top] = [Math.min(x0, x1), Math.min(y0, y1)];
    pen.strokeStyle = mine ? COLOURS.mine : (colour ?? COLOURS.found);
    pen.setLineDash(mine ? [5, 4] : []);
    pen.strokeRect(left, top, Math.abs(x1 - x0), Math.abs(y1 - y0));
    pen.setLineDash([]);
    this.#words(pen, label, left, top - 5);
  }

  #point(pen, plane, { label, mine, colour }, at, ratio) {
    if (Math.abs(at[plane.across] - plane.at[plane.across]) * plane.slices > NEAR) return;
    const [x, y] = plane.screen(at);
    pen.strokeStyle = mine ? COLOURS.mine : (colour ?? COLOURS.found);
    pen.beginPath();
    pen.arc(x, y, 5 * ratio, 0, 2 * Math.PI);
    pen.stroke();
    this.#words(pen, label, x + 9 * ratio, y + 4 * ratio);
  }

  /** On the slice along which it was measured. */
  #line(pen, plane, { ends, label, colour }, frac, ratio) {
    const [one, other] = ends.map(frac);
    const away = (at) => Math.abs(at[plane.across] - plane.at[plane.across]) * plane.slices;
    if (away(one) > NEAR || away(other) > NEAR) return;
    const [from, to] = [plane.screen(one), plane.screen(other)];
    pen.strokeStyle = colour ?? COLOURS.found;
    stroke(pen, from, to, 4 * ratio);
    this.#words(pen, label, to[0] + 8 * ratio, to[1] - 6 * ratio);
  }

  #words(pen, words, x, y) {
    this.count += 1;
    if (!words) return;
    const colour = pen.strokeStyle;
    pen.strokeStyle = "#000";
    pen.strokeText(words, x, y);
    pen.fillStyle = colour;
    pen.fillText(words, x, y);
    pen.strokeStyle = colour;
  }
}

/** A line with a short bar at either end. */
export const stroke = (pen, [x0, y0], [x1, y1], bar) => {
  const length = Math.hypot(x1 - x0, y1 - y0) || 1;
  const [dx, dy] = [(-(y1 - y0) / length) * bar, ((x1 - x0) / length) * bar];
  pen.beginPath();
  for (const [from, to] of [[[x0, y0], [x1, y1]], ...[[x0, y0], [x1, y1]].map(([x, y]) => [[x - dx, y - dy], [x + dx, y + dy]])]) {
    pen.moveTo(...from);
    pen.lineTo(...to);
  }
  pen.stroke();
};

/** The planes on the canvas: where each lies, which axis it cuts, and where on the screen a place of it is. */
const planes = (nv) =>
  nv.screenSlices.flatMap((slice, tile) => {
    if (slice.axCorSag > 2) return []; // the volume from outside
    const [left, top, width, height] = slice.leftTopWidthHeight;
    const frac = (x, y) => Array.from(nv.screenXY2TextureFrac(x, y, tile, false));
    const [corner, right, down] = [frac(left, top), frac(left + width, top), frac(left, top + height)];
    const longest = (from, to) => [0, 1, 2].reduce((best, n) => (Math.abs(to[n] - from[n]) > Math.abs(to[best] - from[best]) ? n : best), 0);
    const [x, y] = [longest(corner, right), longest(corner, down)];
    if (x === y) return [];
    const across = 3 - x - y;
    const screen = (at) => [
      left + ((at[x] - corner[x]) / (right[x] - corner[x])) * width,
      top + ((at[y] - corner[y]) / (down[y] - corner[y])) * height,
    ];
    const at = Array.from(nv.scene.crosshairPos);
    return [{ frame: [left, top, width, height], across, at, slices: nv.volumes[0].dimsRAS[across + 1], screen }];
  });
