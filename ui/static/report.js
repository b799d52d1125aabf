// The report's editor. The text is the person's: nothing but they, or another draft, changes it. Each change goes to the
// server until it says that it is kept; what is not kept yet is said so.
(() => {
  const AFTER_MS = 400; // of quiet before a change is sent
  const LONGEST_WAIT_MS = 10_000; // between two tries
  const GIVE_UP_MS = 30_000; // for one answer; then it is asked again
  const me = crypto.getRandomValues(new Uint32Array(2)).join("-");
  let now = null; // {reading, base, revision, text, kept, conflict, loaded}
  let timer = 0;
  let sending = null; // the promise of the save that goes on
  let waited = 0;
  let box = null; // the textarea that is bound

  const $ = (id) => document.getElementById(id);
  const room = () => $("rr-body") ?? document.body;
  const dirty = () => Boolean(now?.loaded) && now.text !== now.kept;

  class Refused extends Error {
    constructor(status, said) {
      super(said);
      this.status = status;
    }
  }
  const ask = async (path, method = "GET", body = undefined, more = {}) => {
    const answer = await fetch(new URL(`report/${path}`, document.baseURI), {
      method,
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(GIVE_UP_MS),
      ...more,
    });
    const said = await answer.json().catch(() => ({}));
    if (answer.ok) return said;
    throw new Refused(answer.status, typeof said.detail === "string" ? said.detail : `the server refused it (${answer.status})`);
  };
  const written = (report, more = {}) => ({ base: report.base, text: report.text, revision: report.revision, by: me, ...more });
  const address = (report) => encodeURIComponent(report.reading);

  const state = (words, css = "") => {
    const line = $("rr-report-saved");
    if (!line || line.textContent === words) return;
    line.textContent = words;
    line.className = css;
  };
  const problem = (words, buttons = []) => {
    const place = $("rr-report-problem");
    if (!place) return;
    place.replaceChildren();
    if (!words) return;
    const line = document.createElement("p");
    line.className = "rr-problem";
    line.setAttribute("role", "alert");
    line.textContent = words;
    place.append(line, ...buttons);
  };
  const button = (id, words, press) => {
    const made = document.createElement("button");
    Object.assign(made, { type: "button", id, className: "rr-small", textContent: words });
    if (press) made.addEventListener("click", press);
    return made;
  };

  const waits = (ms) => new Promise((go) => setTimeout(go, ms));
  const later = (ms) => {
    clearTimeout(timer);
    timer = setTimeout(save, ms);
  };

  const save = () => {
    clearTimeout(timer);
    sending ??= keep().finally(() => (sending = null));
    return sending;
  };
  const keep = async () => {
    while (dirty() && !now.conflict) {
      const report = now;
      const text = report.text;
      try {
        const said = await ask(address(report), "PUT", written(report, { text }));
        Object.assign(report, { kept: text, revision: said.revision });
        waited = 0;
        if (report === now) problem("");
      } catch (error) {
        if (report !== now) return;
        if (error instanceof Refused && error.status === 409) return conflict(error.message);
        const final = error instanceof Refused && error.status < 500;
        state("Not saved yet", "rr-unsaved");
        problem(final ? error.message : `Not saved yet: ${error instanceof Refused ? error.message : "the server does not answer"}. It is tried again.`);
        if (final) return; // tried again when the text changes
        waited = Math.min(LONGEST_WAIT_MS, waited * 2 || 500);
        await waits(waited);
        continue;
      }
      if (report === now && !dirty()) {
        state("Saved", "rr-saved");
        check();
      }
    }
  };

  const conflict = (words) => {
    now.conflict = true;
    state("Not saved", "rr-unsaved");
    problem(words, [
      button("rr-report-take-over", "Take over what is there", () => load(now.reading, now.base)),
      button("rr-report-mine", "Keep mine", async () => {
        const there = await ask(address(now));
        Object.assign(now, { conflict: false, revision: there.revision, kept: null });
        save();
      }),
    ]);
  };

  let asked = 0; // of checks: only the latest answer is shown
  const check = async () => {
    const report = now;
    const mine = ++asked;
    try {
      const said = await ask(`${address(report)}/checked`, "POST", written(report));
      if (mine === asked && report === now) $("rr-report-checked").innerHTML = said.html; // made and escaped by the server
    } catch (error) {
      if (mine !== asked || report !== now) return;
      if (error instanceof Refused && error.status < 500) return problem(error.message);
      await waits(2000);
      if (mine === asked && report === now) check();
    }
  };

  const show = () => {
    if (!box) return;
    box.disabled = !now?.loaded;
    if (box.value !== (now?.text ?? "")) box.value = now?.text ?? "";
  };
  const load = async (reading, base) => {
    const before = now;
    const report = (now = { reading, base, revision: 0, text: "", kept: "", conflict: false, loaded: false });
    state("Loading the draft …");
    problem("");
    if (before?.loaded && before.text !== before.kept && before.base !== base) {
      const copy = button("rr-report-copy", "Copy what you had written");
      copy.dataset.copy = before.text;
      problem("There is another draft now; what you wrote last in the earlier one was not saved.", [copy]);
    }
    show();
    try {
      const there = await ask(address(report));
      if (report !== now) return;
      Object.assign(report, { ...there, kept: there.text, loaded: true });
    } catch (error) {
      if (report !== now) return;
      state("");
      problem(error.message);
      await waits(2000);
      if (report === now) load(reading, base);
      return;
    }
    state("Saved", "rr-saved");
    show();
    check();
  };

  const typed = () => {
    if (!now?.loaded) return;
    now.text = box.value;
    if (!dirty()) return;
    state(now.conflict ? "Not saved" : "Not saved yet", "rr-unsaved");
    if (!now.conflict) later(AFTER_MS);
  };
  const put = (text) => {
    now.text = text;
    show();
    typed();
  };
  const rewrite = async (work) => {
    if (!now?.loaded) return;
    try {
      put((await work(address(now))).text);
    } catch (error) {
      problem(error.message);
    }
  };

  const large = (is) => {
    room().classList.toggle("rr-report-is-large", is);
    const toggle = $("rr-report-large");
    toggle?.setAttribute("aria-pressed", String(is));
    if (toggle) toggle.textContent = is ? "Smaller" : "Larger";
    window.dispatchEvent(new Event("resize")); // the viewer draws for the new size
  };

  // Gradio may build the tab again: what is bound is looked at each time, and the text is here.
  const bind = () => {
    const found = $("rr-report-box");
    if (!found || found === box) return;
    box = found;
    box.addEventListener("input", typed);
    $("rr-template").addEventListener("change", (event) =>
      rewrite((at) => ask(`${at}/template`, "POST", written(now, { template: event.target.value }))),
    );
    $("rr-draft-again").addEventListener("click", () => rewrite((at) => ask(`${at}/draft?base=${encodeURIComponent(now.base)}`)));
    $("rr-report-large").addEventListener("click", () => large(!room().classList.contains("rr-report-is-large")));
    show();
    if (now?.loaded) check();
  };
  const look = () => {
    bind();
    const place = $("rr-report-now");
    if (!place) return;
    const told = place.querySelector("[data-report]");
    room().classList.toggle("rr-has-report", Boolean(told));
    const tab = document.querySelector('#rr-tabs button[role="tab"][aria-selected="true"]');
    const open = Boolean(told) && tab?.textContent.trim() === "Report";
    if (!open && room().classList.contains("rr-report-is-large")) large(false);
    if (room().classList.contains("rr-reports") !== open) {
      room().classList.toggle("rr-reports", open);
      window.dispatchEvent(new Event("resize"));
    }
    if (told && (told.dataset.report !== now?.reading || told.dataset.base !== now?.base)) load(told.dataset.report, told.dataset.base);
  };
  let due = false;
  const soon = () => {
    if (due) return;
    due = true;
    setTimeout(() => {
      due = false;
      look();
    });
  };
  new MutationObserver(soon).observe(document.documentElement, {
    childList: true, subtree: true, attributes: true, attributeFilter: ["data-report", "data-base", "aria-selected"],
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && room().classList.contains("rr-report-is-large")) large(false);
  });
  window.addEventListener("online", () => dirty() && save());
  window.addEventListener("beforeunload", (event) => {
    if (!dirty()) return;
    if (!now.conflict) ask(address(now), "PUT", written(now), { keepalive: true, signal: undefined }).catch(() => {});
    event.preventDefault();
  });

  window.readingroom = window.readingroom || {};
  window.readingroom.report = {
    kept: async () => {
      while (dirty() && !now.conflict && !$("rr-report-problem")?.textContent) await save();
    },
  };
})();
