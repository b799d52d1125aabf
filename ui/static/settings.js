// The tab Settings: its parts come from the server when it is opened; each button is a plain request, and what takes a
// while is asked for until it is over.
(() => {
  const LOOK_MS = 300;
  const GIVE_UP_MS = 30_000; // for one answer; then it is asked again
  const $ = (id) => document.getElementById(id);
  let opened = false;

  const ask = async (path, method = "GET", body = undefined) => {
    const answer = await fetch(new URL(`settings${path}`, document.baseURI), {
      method,
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(GIVE_UP_MS),
    });
    const said = await answer.json().catch(() => ({}));
    if (answer.ok) return said;
    throw new Error(typeof said.detail === "string" ? said.detail : `the server refused it (${answer.status})`);
  };
  const tell = (place, words) => {
    const line = document.createElement("p");
    Object.assign(line, { className: "rr-told rr-error", textContent: words });
    line.setAttribute("role", "status");
    $(place)?.replaceChildren(line);
  };
  const told = async (place, asking) => {
    try {
      let said = await asking();
      const job = said.job;
      while (job && !said.over) {
        said = await ask(`/jobs/${job}`);
        if ($(place)) $(place).innerHTML = said.html; // made and escaped by the server
        if (!said.over) await new Promise((done) => setTimeout(done, LOOK_MS));
      }
      if (said.html && $(place)) $(place).innerHTML = said.html;
    } catch (error) {
      tell(place, error instanceof TypeError ? "The server does not answer: press again when it does." : error.message);
    }
  };

  // --- what is written

  const wish = () => ({
    llm_base_url: $("rr-llm-url").value,
    llm_model: $("rr-llm-model").value,
    llm_api_key: $("rr-llm-key").value,
    egress: $("rr-egress").value,
    approval: $("rr-approval").value,
    egress_by_endpoint: Object.fromEntries(
      [...document.querySelectorAll("#rr-endpoints .rr-endpoint")]
        .map((row) => [row.querySelector("input").value.trim(), row.querySelector("select").value])
        .filter(([address, policy]) => address && policy)),
  });
  const preview = () => told("rr-preview", () => ask("/preview", "POST", wish()));

  const store = async () => {
    const files = [...$("rr-reports-files").files];
    if (!files.length) return { paths: [] };
    const form = new FormData();
    for (const file of files) form.append("files", file);
    const answer = await fetch(new URL("gradio_api/upload", document.baseURI), { method: "POST", body: form });
    if (!answer.ok) throw new Error(await answer.text());
    return { paths: await answer.json() };
  };

  // --- what is shown

  const refresh = async (again = []) => {
    const place = $("rr-settings");
    const { parts } = await ask("");
    if (!$("rr-set-llm")) {
      place.innerHTML = Object.values(parts).join("");
      await preview();
      return;
    }
    for (const id of again) {
      const made = document.createElement("template");
      made.innerHTML = parts[id];
      const seen = $(id).querySelector("[id$=-told]")?.innerHTML ?? "";
      $(id).replaceChildren(...made.content.querySelector(`#${id}`).childNodes);
      const line = $(id).querySelector("[id$=-told]");
      if (line) line.innerHTML = seen; // what was just told stays
    }
  };
  const pressed = {
    "rr-llm-test": () => told("rr-llm-told", () => ask("/test", "POST", wish())),
    "rr-llm-save": async () => {
      await told("rr-llm-told", () => ask("", "PUT", wish()));
      if (!$("rr-llm-told").querySelector(".rr-error")) await refresh(["rr-set-llm"]).then(preview);
    },
    "rr-card-get": async () => {
      const model = { name: $("rr-card").value, place: $("rr-card-place").value };
      await told("rr-models-told", () => ask("/models/get", "POST", model));
      await refresh(["rr-models", "rr-memory"]);
    },
    "rr-card-check": async () => {
      await told("rr-models-told", () => ask("/models/check", "POST", { name: $("rr-card").value }));
      await refresh(["rr-memory"]);
    },
    "rr-ingest": async () => {
      await told("rr-reports-told", async () => ask("/reports", "POST", await store()));
      await refresh(["rr-reports"]);
    },
  };
  document.addEventListener("click", async ({ target }) => {
    const button = target instanceof Element && target.closest("#rr-settings button");
    if (!button || button.ariaBusy === "true") return;
    const { pacs } = button.dataset;
    const work = pacs ? () => told("rr-pacs-told", () => ask("/pacs", "POST", { name: pacs })) : pressed[button.id];
    button.ariaBusy = "true"; // pressed twice is pressed once
    try {
      await work?.();
    } catch {
      /* the parts could not be asked for again: they are when the tab is opened next */
    } finally {
      button.ariaBusy = "false";
    }
  });
  document.addEventListener("change", ({ target }) => {
    if (target instanceof Element && target.closest("#rr-set-llm")) preview();
  });

  // the tab is drawn when it is opened, and looked at again each time
  setInterval(async () => {
    const seen = Boolean($("rr-settings")?.offsetParent);
    if (seen && !opened) {
      opened = true;
      try {
        await refresh(["rr-models", "rr-reports", "rr-pacs", "rr-memory"]);
      } catch {
        opened = false; // asked again: the server does not answer now
      }
    } else if (!seen) {
      opened = false;
    }
  }, LOOK_MS);
})();
