// Starts the viewer, and lets it follow what the page says of its reading. Gradio may build its parts late and again.
import { Viewer } from "./viewer.js";

const room = window.readingroom;

const start = () => {
  const host = document.getElementById("rr-stage");
  const scene = document.getElementById("rr-scene");
  if (!host || !scene) return false;
  const viewer = (room.viewer = new Viewer(host));
  let last = "";
  let asked = scene.querySelector("[data-scene]")?.dataset.asked;
  const look = () => {
    const said = scene.querySelector("[data-scene]")?.dataset;
    const now = said ? `${said.scene} ${said.version} ${said.asked}` : "";
    if (now === last) return;
    last = now;
    viewer.refresh(said?.scene ?? "");
    if (said && said.asked !== asked) room.say("asked", (asked = said.asked));
  };
  new MutationObserver(look).observe(scene, { childList: true, subtree: true, attributes: true });
  look();
  return true;
};
if (!start()) {
  const waiting = setInterval(() => start() && clearInterval(waiting), 100);
}
