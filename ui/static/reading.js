// Ties sentences to their evidence, opens tabs, copies tables, and keeps the address of the page on its reading.
//
// data-cites   ["s2", "img1"]  a sentence and the ids of its evidence
// data-source  s2              a piece of evidence
// data-go      s2              a button: open the tab Evidence at this piece
// data-tab     Report          a button: open this tab
// data-copy    text            a button: copy this
(() => {
  const LIT = "rr-lit";
  const closest = (target, selector) => (target instanceof Element ? target.closest(selector) : null);
  const cited = (sentence) => JSON.parse(sentence.dataset.cites);

  const dim = () => document.querySelectorAll(`.${LIT}`).forEach((element) => element.classList.remove(LIT));
  const light = (elements) => elements.forEach((element) => element.classList.add(LIT));
  const sources = (ids) => [...document.querySelectorAll("[data-source]")].filter((e) => ids.includes(e.dataset.source));
  const sentences = (id) => [...document.querySelectorAll("[data-cites]")].filter((e) => cited(e).includes(id));

  const point = (target) => {
    dim();
    const sentence = closest(target, "[data-cites]");
    const source = closest(target, "[data-source]");
    if (sentence) light([sentence, ...sources(cited(sentence))]);
    else if (source) light([...sources([source.dataset.source]), ...sentences(source.dataset.source)]);
  };
  document.addEventListener("mouseover", (event) => point(event.target));
  document.addEventListener("focusin", (event) => point(event.target));

  const openTab = (name) => {
    const buttons = document.querySelectorAll('#rr-tabs button[role="tab"]');
    [...buttons].find((button) => button.textContent.trim() === name)?.click();
  };
  const TRIES = 20; // a tab is drawn when it is opened for the first time
  const goTo = (id, tries = TRIES) => {
    if (tries === TRIES) openTab("Evidence");
    const card = document.querySelector(`#rr-evidence [data-source="${CSS.escape(id)}"]`);
    if (card) {
      card.scrollIntoView({ block: "nearest" });
      card.focus({ preventScroll: true });
    } else if (tries > 0) {
      setTimeout(() => goTo(id, tries - 1), 50);
    }
  };
  const copy = async (button) => {
    const said = button.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    } catch {
      button.textContent = "The browser does not allow copying";
    }
    setTimeout(() => (button.textContent = said), 1500);
  };
  document.addEventListener("click", (event) => {
    const button = closest(event.target, "[data-go], [data-tab], [data-copy]");
    if (!button) return;
    if (button.dataset.go) goTo(button.dataset.go);
    else if (button.dataset.tab) openTab(button.dataset.tab);
    else copy(button);
  });

  // The reading is named in the page's address, so that a reload, a bookmark or another tab finds it again.
  // It stays until a reading was shown: the empty page comes first, and the address is then still to be read.
  let hasShown = false;
  const keepAddress = (reading) => {
    const address = new URL(location.href);
    if (!reading && !hasShown) return;
    hasShown = true;
    if (reading === (address.searchParams.get("reading") ?? "")) return;
    if (reading) address.searchParams.set("reading", reading);
    else address.searchParams.delete("reading");
    history.replaceState(null, "", address);
  };
  new MutationObserver(() => {
    const here = document.querySelector("[data-here]");
    if (here) keepAddress(here.dataset.here);
  }).observe(document.documentElement, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-here"] });
})();
