// Voxels and millimetres. `affine` is 4×4, row by row: voxel index (0-based centres) to RAS+ mm, as the server sends it.

export const toWorld = (affine, v) =>
  [0, 1, 2].map((r) => affine[r][0] * v[0] + affine[r][1] * v[1] + affine[r][2] * v[2] + affine[r][3]);

export const toVoxel = (affine, p) => {
  const [[a, b, c], [d, e, f], [g, h, i]] = affine;
  const [x, y, z] = [0, 1, 2].map((r) => p[r] - affine[r][3]);
  const det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  return [
    (x * (e * i - f * h) + y * (c * h - b * i) + z * (b * f - c * e)) / det,
    (x * (f * g - d * i) + y * (a * i - c * g) + z * (c * d - a * f)) / det,
    (x * (d * h - e * g) + y * (b * g - a * h) + z * (a * e - b * d)) / det,
  ];
};

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export const inside = (v, shape) => v.map((n, axis) => clamp(Math.round(n), 0, shape[axis] - 1));

/** Whether two images, as the server describes them, show the same voxels at the same places. */
export const isSamePicture = (one, other) =>
  ["shape", "affine_ras", "range", "dtype"].every((key) => JSON.stringify(one[key]) === JSON.stringify(other[key]));

/** Where a click on evidence goes: the voxel that a `show` names, or null. */
export const placeOf = (what, info, regions) => {
  if (what.voxel) return what.voxel;
  if (what.world) return toVoxel(info.affine_ras, what.world);
  if (what.box) {
    const corners = what.box.map((c) => (what.frame === "world" ? toVoxel(info.affine_ras, c) : c));
    return corners[0].map((n, axis) => (n + (corners[1][axis] ?? n)) / 2);
  }
  if (what.slice) {
    const plane = info.planes[what.slice.plane];
    const voxel = info.shape.map((n) => Math.floor(n / 2));
    if (plane) voxel[plane.across] = what.slice.index;
    return voxel;
  }
  const meant = what.mask ? regions.filter((r) => r.id === what.mask || r.id.startsWith(`${what.mask}/`)) : [];
  const region = meant.find((r) => r.voxels) ?? meant[0];
  return region ? region.at : null;
};

export const fixed = (value, digits = 1) => value.toFixed(digits).replace("-", "−");

/** The window after a drag: to the right wider, downwards brighter. 600 pixels move the level by the image's range. */
export const windowAfter = ([low, high], [least, most], across, down) => {
  const step = (most - least) / 600;
  const level = (low + high) / 2 - down * step;
  const width = Math.max(step, high - low + across * step * 2);
  return [level - width / 2, level + width / 2];
};
