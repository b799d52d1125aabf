// Which series of a study go with the next request: the page reads it from a field that nobody sees.
document.addEventListener("change", ({ target }) => {
  if (!target.matches?.("#rr-study input[data-series]")) return;
  const ticked = [...document.querySelectorAll("#rr-study input[data-series]:checked")].map((box) => box.dataset.series);
  const field = document.querySelector("#rr-chosen textarea, #rr-chosen input");
  field.value = JSON.stringify(ticked);
  field.dispatchEvent(new Event("input", { bubbles: true }));
});
// A series that somebody points into goes with the request: the server says so, the list shows it.
document.addEventListener("readingroom:pointed", ({ detail: image }) => {
  const box = document.querySelector(`#rr-study input[data-series="${image}"]`);
  if (box) box.checked = true;
});
