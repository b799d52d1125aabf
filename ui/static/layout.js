// The person arranges the page: how high the tabs are, and whether the list of cases is seen. The browser remembers.
(() => {
  const KEPT = "readingroom-layout";
  const STEP = 4; // per cent of the middle column for each press of an arrow key
  const [LEAST, MOST] = [6, 80];
  let kept = { tabs: 36, cases: true };
  try {
    kept = { ...kept, ...JSON.parse(localStorage.getItem(KEPT) ?? "{}") };
  } catch {
    /* a browser that keeps nothing starts anew each time */
  }

  const apply = (middle, line, fold) => {
    kept.tabs = Math.min(MOST, Math.max(LEAST, kept.tabs));
    middle.style.setProperty("--rr-tabs", `${kept.tabs}%`);
    line.setAttribute("aria-valuenow", Math.round(kept.tabs));
    document.body.classList.toggle("rr-no-cases", !kept.cases);
    fold.setAttribute("aria-expanded", String(kept.cases));
    fold.title = kept.cases ? "Hide the list of cases" : "Show the list of cases";
    window.dispatchEvent(new Event("resize")); // the viewer draws for the new size
    try {
      localStorage.setItem(KEPT, JSON.stringify(kept));
    } catch {
      /* see above */
    }
  };

  const start = () => {
    const [middle, tabs, header] = ["rr-middle", "rr-tabs", "rr-top"].map((id) => document.getElementById(id));
    const title = header?.querySelector(".rr-header");
    if (!middle || !tabs || !title) return false;
    const line = document.createElement("div");
    for (const [name, value] of Object.entries({
      id: "rr-line", role: "separator", tabindex: 0, "aria-orientation": "horizontal", "aria-label": "Height of the tabs",
      "aria-valuemin": LEAST, "aria-valuemax": MOST, title: "Drag, or use the arrow keys; Enter opens and closes the tabs",
    })) line.setAttribute(name, value);
    tabs.before(line);
    const fold = document.createElement("button");
    fold.type = "button";
    fold.id = "rr-fold";
    fold.textContent = "☰";
    fold.setAttribute("aria-label", "List of cases");
    fold.setAttribute("aria-controls", "rr-side");
    title.prepend(fold);
    const show = () => apply(middle, line, fold);
    fold.addEventListener("click", () => {
      kept.cases = !kept.cases;
      show();
    });
    const flip = () => {
      kept.tabs = kept.tabs > LEAST ? LEAST : 36;
      show();
    };
    line.addEventListener("dblclick", flip);
    line.addEventListener("keydown", (event) => {
      const by = { ArrowUp: STEP, ArrowDown: -STEP }[event.key];
      if (!by && event.key !== "Enter") return;
      event.preventDefault();
      if (by) kept.tabs += by;
      if (by) show();
      else flip();
    });
    line.addEventListener("pointerdown", (event) => line.setPointerCapture(event.pointerId));
    line.addEventListener("pointermove", (event) => {
      if (!line.hasPointerCapture(event.pointerId)) return;
      const frame = middle.getBoundingClientRect();
      kept.tabs = ((frame.bottom - event.clientY) / frame.height) * 100;
      show();
    });
    show();
    return true;
  };
  const waiting = setInterval(() => start() && clearInterval(waiting), 100);
})();
