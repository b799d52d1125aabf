// What is said below the picture and in the list of images. Pure: no page is needed to test them.
import { fixed, inside } from "./geometry.js";

/** Position, voxel and value, as far as the image knows them. `indices` are inside the image. */
export const placeWords = (info, { voxel, world, value }) => {
  const indices = inside(voxel, info.shape);
  const isFilm = info.kind === "film";
  const parts = [];
  if (world && info.spacing_mm && info.orientation_known) {
    const [x, y, z] = world.map((n) => fixed(Math.abs(n)));
    parts.push(`${world[0] < 0 ? "L" : "R"} ${x}  ${world[1] < 0 ? "P" : "A"} ${y}  ${world[2] < 0 ? "I" : "S"} ${z} mm`);
  }
  parts.push(`${isFilm ? "pixel" : "voxel"} ${(isFilm ? indices.slice(0, 2) : indices).join(", ")}`);
  if (info.is_colour) {
    if (value) parts.push(`red, green, blue ${value}`);
  } else if (value !== undefined && value !== null) {
    const shown = Number.isInteger(value) ? String(value).replace("-", "−") : fixed(value, 2);
    parts.push(`value ${shown} ${info.units || "(unit unknown)"}`);
  }
  return { indices, words: parts.join("   ·   ") };
};

/** Width and level, and the preset that they are. */
export const windowWords = (info, [low, high]) => {
  const near = (a, b) => Math.abs(a - b) < 0.5;
  const named = info.presets.find((p) => near(p.window[0], low) && near(p.window[1], high));
  const spacing = info.spacing_mm ? "" : "   ·   no spacing: no millimetres";
  return { preset: named?.name, words: `window ${fixed(high - low, 0)}, level ${fixed((low + high) / 2, 0)}${spacing}` };
};

/** How an image is called in the list. */
export const label = (image) => {
  const facts = [image.modality, image.prior ? "prior" : "", image.waits ? "not attached yet" : "", ...image.marks];
  return [image.id.startsWith("new") ? "" : image.id, image.name, ...facts].filter(Boolean).join(" · ");
};
