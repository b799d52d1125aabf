// What a keyboard and a screen reader need and Gradio's components do not give.
(() => {
  const mend = () => {
    // an upload's accessible name must hold the words that are seen on it
    for (const part of document.querySelectorAll(".upload-container[aria-label]")) part.removeAttribute("aria-label");
    // what scrolls must be reached by keyboard
    for (const part of document.querySelectorAll("#rr-tabs [role=tabpanel]:not([tabindex]), #rr-talk:not([tabindex])")) part.tabIndex = 0;
  };
  let due = false;
  const soon = () => { if (!due) { due = true; requestAnimationFrame(() => { due = false; mend(); }); } };
  new MutationObserver(soon).observe(document.documentElement, { childList: true, subtree: true });
  soon();
})();
