// Elements without markup: every text is set as text, so that a name from a file can never be HTML.

export const element = (tag, attributes = {}, children = []) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  for (const child of [children].flat()) made.append(child);
  return made;
};

/** A group of buttons of which one is pressed; arrow keys move within it. */
export class Choice {
  constructor(label, options, on) {
    this.on = on;
    this.element = element("div", { class: "rv-group", role: "radiogroup", "aria-label": label });
    this.buttons = new Map();
    this.set(options);
    this.element.addEventListener("keydown", (event) => this.#key(event));
  }

  set(options) {
    this.buttons.clear();
    this.element.replaceChildren();
    for (const { id, words, title } of options) {
      const button = element("button", { type: "button", role: "radio", "aria-checked": "false", title, tabindex: -1 }, words);
      button.dataset.id = id;
      button.addEventListener("click", () => button.ariaDisabled !== "true" && this.on(id));
      this.buttons.set(id, button);
      this.element.append(button);
    }
    this.element.hidden = options.length === 0;
    this.mark(options[0]?.id);
  }

  mark(id) {
    const first = this.buttons.has(id) ? id : this.buttons.keys().next().value;
    for (const [key, button] of this.buttons) {
      button.setAttribute("aria-checked", String(key === id));
      button.tabIndex = key === first ? 0 : -1;
    }
  }

  /** Say why a choice cannot be made; no reason makes it possible again. */
  forbid(id, reason) {
    const button = this.buttons.get(id);
    if (!button) return;
    button.dataset.title ??= button.title;
    button.title = reason || button.dataset.title;
    button.ariaDisabled = reason ? "true" : null;
    button.ariaDescription = reason || null;
  }

  #key(event) {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const all = [...this.buttons.values()];
    const next = all[(all.indexOf(document.activeElement) + by + all.length) % all.length];
    next.focus();
    next.click();
  }
}
