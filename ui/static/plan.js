// The editor of a plan that waits: a form for each step, made from the tools' own schemas; the same as JSON on demand.
// The server says of each change whether the plan could run, and which field is wrong.
(() => {
  const AFTER_MS = 250; // of quiet before a change is checked
  let plan = null; // {reading, steps, tools, has, next, json: text while it is shown as JSON}
  let asked = 0;
  let timer = 0;

  const $ = (id) => document.getElementById(id);
  const here = () => document.querySelector("[data-here]")?.dataset.here ?? "";
  const make = (tag, given = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(given)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (name in made && typeof value !== "string") made[name] = value;
      else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  };
  const address = (path = "") => new URL(`plan/${encodeURIComponent(plan.reading)}${path}`, document.baseURI);

  const check = async () => {
    const mine = ++asked;
    const report = plan;
    let said;
    try {
      const steps = report.json === undefined ? report.steps : JSON.parse(report.json);
      if (!Array.isArray(steps)) throw new SyntaxError("a plan is a list of steps: [ … ]");
      if (report.json !== undefined) report.steps = steps;
      const answer = await fetch(address("/checked"), {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ steps }),
      });
      if (!answer.ok) throw new Error(`the server cannot check it (${answer.status})`);
      said = await answer.json();
    } catch (error) {
      said = { runs: false, wrong: [], words: error instanceof SyntaxError ? `This is no JSON: ${error.message}` : "The server does not answer; it is asked again with the next change." };
    }
    if (mine !== asked || report !== plan) return;
    const place = $("rr-plan-checked");
    if (!place) return;
    if (said.words) place.replaceChildren(make("p", { class: "rr-problem", role: "status" }, said.words));
    else place.innerHTML = said.html; // made and escaped by the server
    const wrong = new Map(said.wrong.map((w) => [`${w.step}.${w.argument}`, w.problem]));
    for (const line of document.querySelectorAll("#rr-plan-fields .rr-field-problem")) {
      const problem = wrong.get(line.dataset.of) ?? "";
      line.textContent = problem;
      $(line.id.replace(/-problem$/, ""))?.setAttribute("aria-invalid", String(Boolean(problem)));
    }
  };
  const changed = () => {
    $("rr-plan-problem")?.classList.add("rr-old"); // what was refused is not what is written now
    clearTimeout(timer);
    timer = setTimeout(check, AFTER_MS);
  };

  // --- fields

  const set = (step, field, value) => {
    const is_nothing = value === "" || value === undefined || (Array.isArray(value) && !value.length);
    if (is_nothing) delete step.args[field.name];
    else step.args[field.name] = value;
    changed();
  };
  const referable = (step, field) => {
    const before = plan.steps.slice(0, plan.steps.indexOf(step));
    const made = before.map((s) => ({ id: s.id, kind: plan.tools[s.tool]?.makes ?? "", says: s.tool }));
    const found = [...plan.has, ...made].filter((one) => field.takes.includes(one.kind));
    const given = [step.args[field.name] ?? []].flat().filter((id) => typeof id === "string");
    const known = new Set(found.map((one) => `@${one.id}`));
    const strange = given.filter((id) => !known.has(id)).map((id) => ({ id: id.replace(/^@/, ""), says: "cannot be used here" }));
    return [...found, ...strange].map((one) => [`@${one.id}`, `${one.id} · ${one.says}`]);
  };
  const ticks = (id, step, field, options) => {
    const chosen = new Set([step.args[field.name] ?? []].flat());
    const box = ([value, words], n) =>
      make("label", { class: "rr-tick" },
        make("input", {
          type: "checkbox", id: n ? `${id}-${n}` : id, value, checked: chosen.has(value),
          onchange: (event) => {
            if (event.target.checked) chosen.add(value);
            else chosen.delete(value);
            set(step, field, options.map(([v]) => v).filter((v) => chosen.has(v)));
          },
        }), words);
    return make("div", { role: "group", "aria-labelledby": `${id}-label`, class: "rr-ticks" }, ...options.map(box));
  };
  const list = (id, step, field, options) => {
    const now = step.args[field.name] ?? "";
    const known = options.some(([value]) => value === now) || now === "";
    const all = [...(field.required && now !== "" ? [] : [["", field.required ? "choose …" : `not said${field.default === null ? "" : ` (${field.default})`}`]]), ...options, ...(known ? [] : [[now, `${now}: not allowed`]])];
    const made = make("select", { id, onchange: (event) => set(step, field, event.target.value) },
      ...all.map(([value, words]) => make("option", { value, selected: value === now }, words)));
    return made;
  };
  const typed = (id, step, field) => {
    const now = step.args[field.name];
    const several = field.kind === "words" || field.kind === "numbers";
    const shown = now === undefined || now === null ? "" : several ? [now].flat().join(", ") : field.kind === "json" ? JSON.stringify(now) : String(now);
    const read = (text) => {
      const said = text.trim();
      if (said === "") return undefined;
      const number = (one) => (one.trim() !== "" && Number.isFinite(Number(one)) ? Number(one) : one.trim());
      if (field.kind === "words") return said.split(",").map((one) => one.trim()).filter(Boolean);
      if (field.kind === "numbers") return said.split(",").filter((one) => one.trim()).map(number);
      if (field.kind === "integer" || field.kind === "number") return number(said);
      if (field.kind !== "json") return said;
      try {
        return JSON.parse(said);
      } catch {
        return said; // the check says that it is no such thing
      }
    };
    const given = { id, value: shown, oninput: (event) => set(step, field, read(event.target.value)) };
    if (field.kind === "integer" || field.kind === "number") Object.assign(given, { inputmode: "decimal" });
    if (field.default !== null && field.default !== undefined) given.placeholder = String(field.default);
    return make("input", { type: "text", autocomplete: "off", ...given });
  };
  const input = (id, step, field) => {
    if (field.kind === "ref") return (field.many ? ticks : list)(id, step, field, referable(step, field));
    if (field.kind === "choice") return (field.many ? ticks : list)(id, step, field, field.choices.map((c) => [c, c]));
    if (field.kind !== "yes or no") return typed(id, step, field);
    const options = [["true", "yes"], ["false", "no"]];
    const as_text = { ...step, args: { [field.name]: String(step.args[field.name] ?? "") } };
    const made = list(id, as_text, field, options);
    made.addEventListener("change", () => set(step, field, made.value === "" ? undefined : made.value === "true"));
    return made;
  };
  const hint = (field) => {
    const parts = [field.says];
    if (field.kind === "words" || field.kind === "numbers") parts.push("several: with commas between");
    if (field.minimum !== null && field.maximum !== null) parts.push(`${field.minimum} to ${field.maximum}`);
    if (field.kind === "json") parts.push("as JSON");
    return parts.join("; ");
  };
  const row = (step, field) => {
    const id = `rr-plan-${step.id}-${field.name}`;
    const made = input(id, step, field);
    const to = made.matches("input, select") ? made : made.querySelector("input");
    to?.setAttribute("aria-describedby", `${id}-hint ${id}-problem`);
    if (field.required && to && made === to) to.setAttribute("aria-required", "true");
    const words = [field.name.replaceAll("_", " "), field.required ? " (needed)" : ""];
    return make("div", { class: "rr-field" },
      make(made === to ? "label" : "span", made === to ? { for: id, id: `${id}-label` } : { id: `${id}-label` }, ...words),
      made,
      made === to || to ? "" : make("small", {}, "There is nothing of the right kind yet: add a step before this one that makes it."),
      make("small", { id: `${id}-hint` }, hint(field)),
      make("small", { id: `${id}-problem`, class: "rr-field-problem", "data-of": `${step.id}.${field.name}` }));
  };

  // --- steps

  const again = (focus) => {
    draw();
    changed();
    (focus && $(focus) ? $(focus) : $("rr-plan-add"))?.focus();
  };
  const move = (step, by) => {
    const at = plan.steps.indexOf(step);
    plan.steps.splice(at, 1);
    plan.steps.splice(at + by, 0, step);
    const possible = at + by > 0 && at + by < plan.steps.length - 1;
    again(`rr-plan-${step.id}-${(by < 0) === possible || at + by === plan.steps.length - 1 ? "up" : "down"}`);
  };
  const act = (step, what, words, sign, why, press) => {
    const given = { type: "button", class: "rr-small", id: `rr-plan-${step.id}-${what}`, "aria-label": `${words} ${step.id}`, title: why || words, onclick: press };
    return make("button", why ? { ...given, disabled: true } : given, sign);
  };
  const tools = (step) => Object.keys(plan.tools).concat(step && !(step.tool in plan.tools) ? [step.tool] : []).sort();
  const card = (step, at) => {
    const last = plan.steps.length - 1;
    const known = plan.tools[step.tool];
    const chooser = make("select", {
      id: `rr-plan-${step.id}-tool`, "aria-label": `Tool of ${step.id}`,
      onchange: (event) => {
        const fields = new Set(plan.tools[event.target.value].fields.map((f) => f.name));
        step.tool = event.target.value;
        step.args = Object.fromEntries(Object.entries(step.args).filter(([name]) => fields.has(name)));
        again(`rr-plan-${step.id}-tool`);
      },
    }, ...tools(step).map((name) => make("option", { value: name, selected: name === step.tool }, name)));
    const [needed, others] = [true, false].map((is) => (known?.fields ?? []).filter((f) => f.required === is));
    const more = [];
    if (step.when) more.push(`runs only if ${step.when.quantity} of ${step.when.step} is ${step.when.relation} ${step.when.value} ${step.when.unit ?? ""}`);
    if (step.model) more.push(`with the model ${step.model}`);
    return make("fieldset", { class: "rr-plan-step" },
      make("legend", {}, step.id),
      make("div", { class: "rr-plan-head" }, chooser,
        act(step, "up", "Move up", "↑", at === 0 ? "It is the first step" : "", () => move(step, -1)),
        act(step, "down", "Move down", "↓", at === last ? "It is the last step" : "", () => move(step, 1)),
        act(step, "remove", "Remove", "✕", last === 0 ? "A plan has at least one step" : "", () => {
          plan.steps.splice(at, 1);
          again(`rr-plan-${(plan.steps[at] ?? plan.steps[at - 1]).id}-tool`);
        })),
      make("small", {}, [known ? known.says : "There is no such tool here.", ...more].join(" · ")),
      make("small", { id: `rr-plan-${step.id}--problem`, class: "rr-field-problem", "data-of": `${step.id}.` }),
      ...needed.map((field) => row(step, field)),
      ...(others.length ? [make("details", { open: others.some((f) => step.args[f.name] !== undefined) },
        make("summary", {}, `${others.length} more, not needed`), ...others.map((field) => row(step, field)))] : []));
  };
  const add = (tool) => {
    if (!tool) return;
    const step = { id: `s${plan.next++}`, tool, args: {} };
    plan.steps.push(step);
    for (const field of plan.tools[tool].fields) {
      const found = field.kind === "ref" && field.required ? referable(step, field).map(([value]) => value) : [];
      if (found.length) step.args[field.name] = field.many ? found : found.at(-1);
    }
    again(`rr-plan-${step.id}-tool`);
  };

  const draw = () => {
    const place = $("rr-plan-fields");
    $("rr-plan-editor")?.classList.toggle("rr-open", Boolean(plan));
    if (!place) return;
    if (!plan) {
      $("rr-plan-checked")?.replaceChildren();
      return place.replaceChildren();
    }
    const as_json = plan.json !== undefined;
    const toggle = make("button", {
      type: "button", class: "rr-small", id: "rr-plan-json", "aria-pressed": String(as_json),
      onclick: () => {
        if (!as_json) plan.json = `[\n${plan.steps.map((s) => `  ${JSON.stringify(s)}`).join(",\n")}\n]`;
        else {
          let steps;
          try {
            steps = JSON.parse(plan.json);
          } catch {
            return check(); // it says where; the form cannot show what is no plan
          }
          if (!Array.isArray(steps) || !steps.every((s) => s && typeof s === "object" && typeof s.id === "string")) return check();
          plan.steps = steps.map((s) => ({ ...s, args: s.args && typeof s.args === "object" ? s.args : {} }));
          delete plan.json;
        }
        again("rr-plan-json");
      },
    }, as_json ? "As a form" : "As JSON");
    const close = make("button", { type: "button", class: "rr-small", id: "rr-plan-close", onclick: () => { plan = null; draw(); $("rr-edit")?.focus(); } }, "Leave it as it was");
    const head = make("div", { class: "rr-plan-head" }, make("b", {}, "Change the plan"), toggle, close);
    const body = as_json
      ? [make("div", { id: "rr-plan-text" }, make("label", { for: "rr-plan-json-text" }, "The plan, step by step, as JSON"),
          make("textarea", { id: "rr-plan-json-text", rows: "9", spellcheck: "false", oninput: (event) => { plan.json = event.target.value; changed(); } }, plan.json))]
      : [...plan.steps.map(card),
         make("div", { class: "rr-field" },
           make("label", { for: "rr-plan-add" }, "Add a step"),
           make("select", { id: "rr-plan-add", onchange: (event) => add(event.target.value) },
             make("option", { value: "" }, "choose a tool …"), ...tools().map((name) => make("option", { value: name }, name))))];
    place.replaceChildren(head, ...body);
  };

  const open = async () => {
    plan = null;
    const reading = here();
    const answer = await fetch(new URL(`plan/${encodeURIComponent(reading)}`, document.baseURI)).catch(() => null);
    const said = await answer?.json().catch(() => null);
    if (!answer?.ok) {
      const place = $("rr-plan-fields");
      $("rr-plan-editor")?.classList.add("rr-open");
      place?.replaceChildren(make("p", { class: "rr-problem", role: "alert" }, said?.detail ?? "The server does not answer. Try again."));
      return;
    }
    plan = { reading, ...said };
    draw();
    check();
    $(`rr-plan-${plan.steps[0].id}-tool`)?.focus();
  };

  // Gradio may build this part of the page again: what is written is here, and is drawn again.
  let shown = null;
  new MutationObserver(() => {
    const place = $("rr-plan-fields");
    if (plan && here() !== plan.reading) plan = null;
    if (place === shown) return;
    shown = place;
    if (place && plan) {
      draw();
      check();
    } else if (!place) plan = null; // it was decided on
  }).observe(document.documentElement, { childList: true, subtree: true });

  window.readingroom = window.readingroom || {};
  window.readingroom.plan = {
    open,
    text: () => {
      $("rr-plan-problem")?.classList.remove("rr-old");
      return plan?.json ?? JSON.stringify(plan?.steps ?? []);
    },
  };
})();
