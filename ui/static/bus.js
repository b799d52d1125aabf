// One way for every place of the page to say "show this in the viewer".
//
//   window.readingroom.show({volume: "img1", mask: "s1/lungs", world: [12.5, -40, 83]})
//   <button data-show='{"volume": "img1", "slice": {"plane": "axial", "index": 61}}'>…</button>
//
// volume  id of an image of the reading: img1, s3
// mask    id of a mask: step/target; shown and made visible
// world   [x, y, z] in RAS+ mm        voxel  [i, j, k] as stored
// slice   {plane: axial | coronal | sagittal, index}
// ends    of a measured line, two voxels: the line is made visible
// box     two corners, in the frame that `frame` names: world (default) or voxel
//
// `on` names what happens: "show" (somebody wants to see something), "pointed" (a person placed a
// point or a box in this image).
(() => {
  const last = {};
  const room = (window.readingroom = window.readingroom || {});
  room.on = (name, listener) => {
    document.addEventListener(`readingroom:${name}`, (event) => listener(event.detail));
    if (name in last) listener(last[name]); // who comes late hears what was said last
  };
  room.say = (name, detail) => {
    last[name] = detail;
    document.dispatchEvent(new CustomEvent(`readingroom:${name}`, { detail }));
  };
  room.show = (what) => room.say("show", what);

  const shown = (target) => {
    const element = target instanceof Element && target.closest("[data-show]");
    if (!element) return false;
    room.show(JSON.parse(element.dataset.show));
    return true;
  };
  document.addEventListener("click", (event) => shown(event.target));
  document.addEventListener("keydown", (event) => {
    const isButton = event.target instanceof HTMLButtonElement || event.target instanceof HTMLAnchorElement;
    if ((event.key === "Enter" || event.key === " ") && !isButton && shown(event.target)) event.preventDefault();
  });
})();
