// What a keyboard and a screen reader need and Gradio's components do not give.
(() => {
  const WHY_NOT = { "rr-new": "A run goes on here: stop it, or wait for its end" };
  const mend = () => {
    // what cannot be used says why
    for (const [id, why] of Object.entries(WHY_NOT)) {
      const button = document.getElementById(id);
      if (button && (button.title || button.disabled)) button.title = button.disabled ? why : "";
    }
    // an upload's accessible name must hold the words that are seen on it
    for (const part of document.querySelectorAll(".upload-container[aria-label]:not(.icon-button *)")) part.removeAttribute("aria-label");
    // beside files it is a button without words within another one that does nothing
    for (const part of document.querySelectorAll(".icon-button:not([role]) .upload-container")) {
      const around = part.closest(".icon-button");
      around.setAttribute("role", "group");
      around.setAttribute("aria-label", "More files");
      around.removeAttribute("title");
      around.tabIndex = -1;
      part.setAttribute("aria-label", "Bring more files");
      part.title = "Bring more files";
    }
    // a message's head folds it, as a button around its closing button: closing is what a keyboard needs
    for (const part of document.querySelectorAll(".toast-header[role=button]")) {
      part.removeAttribute("role");
      part.removeAttribute("tabindex");
    }
    // what scrolls must be reached by keyboard
    for (const part of document.querySelectorAll("#rr-tabs [role=tabpanel]:not([tabindex]), #rr-talk:not([tabindex])")) part.tabIndex = 0;
  };
  let due = false;
  const soon = () => { if (!due) { due = true; requestAnimationFrame(() => { due = false; mend(); }); } };
  new MutationObserver(soon).observe(document.documentElement, { childList: true, subtree: true, attributeFilter: ["disabled"] });
  soon();
})();
