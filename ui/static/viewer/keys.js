// The viewer by keyboard.
import { LAYOUTS } from "./controls.js";
import { element } from "./dom.js";

const ROWS = [
  ["↑ ↓", "next and previous axial slice (Page: ten)"], ["← →", "sagittal slices"], ["Shift ↑ ↓", "coronal slices"],
  ["1 – 5", "planes, axial, coronal, sagittal, 3-D"], ["C W M D P B", "crosshair, window, move, measure, point, box"],
  ["+ −", "zoom"], ["H", "masks on and off"], ["O", "list of overlays"], ["L", "compare"], ["R", "reset"],
  ["Enter", "point at the crosshair, with the Point tool"],
];
const TOOL_OF = { c: "cross", w: "window", m: "pan", d: "measure", p: "point", b: "box" };

/** Say which keys there are. */
export const help = (host) => {
  const list = ROWS.flatMap(([key, words]) => [element("dt", {}, key), element("dd", {}, words)]);
  const close = element("button", { type: "button" }, "Close");
  const dialog = element("dialog", { class: "rv-help", "aria-label": "Shortcuts of the viewer" }, [element("dl", {}, list), close]);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  host.append(dialog);
  dialog.showModal();
};

/** Let the keys work while the focus is in the viewer; those for slices, while it is on the picture. */
export const listen = (viewer) =>
  viewer.host.addEventListener("keydown", (event) => {
    if (!viewer.pane || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, select, dialog *")) return;
    const onPanes = viewer.panes.contains(event.target);
    if ((onPanes && slices(viewer, event)) || letters(viewer, event, onPanes)) {
      event.preventDefault();
      event.stopPropagation();
    }
  }, { capture: true });

const slices = (viewer, { key, shiftKey }) => {
  const plane = shiftKey ? "coronal" : "axial";
  const across = ["coronal", "sagittal"].includes(viewer.layout) ? viewer.layout : plane;
  const moves = {
    ArrowUp: [1, across], ArrowDown: [-1, across], ArrowRight: [1, "sagittal"], ArrowLeft: [-1, "sagittal"],
    PageUp: [10, across], PageDown: [-10, across],
  };
  if (!moves[key]) return false;
  viewer.pane.step(...moves[key]);
  return true;
};

const letters = (viewer, { key, target }, onPanes) => {
  const { layouts, tools } = viewer.controls;
  const layout = LAYOUTS[Number(key) - 1];
  const tool = TOOL_OF[key.toLowerCase()];
  const actions = {
    "+": () => viewer.pane.zoom(1.2), "-": () => viewer.pane.zoom(1 / 1.2), r: () => viewer.reset(), l: () => viewer.beside.toggle(),
    h: () => viewer.overlays.toggleAll(),
    o: () => viewer.overlays.panel.toggle.click(), "?": () => help(viewer.host),
  };
  if (layout && !layouts.element.hidden) layouts.buttons.get(layout.id).click();
  else if (tool) tools.buttons.get(tool).click();
  else if (actions[key]) actions[key]();
  else if (key === "Enter" && onPanes && viewer.tool === "point" && viewer.pane.voxel) viewer.pointAt(viewer.pane.voxel);
  else return false;
  if (target === document.body) viewer.panes.focus();
  return true;
};
