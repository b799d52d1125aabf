// Keeps the conversation in view: its end while a run goes on, the beginning of an answer once it is there.
// Nothing moves while the person has scrolled up to read.
(() => {
  const NEAR = 160; // pixels from the end that still count as "at the end"
  const watch = (talk) => {
    let atEnd = true;
    let answers = 0;
    talk.addEventListener("scroll", () => {
      atEnd = talk.scrollHeight - talk.scrollTop - talk.clientHeight < NEAR;
    });
    new MutationObserver(() => {
      const found = talk.querySelectorAll(".rr-results");
      const isNew = found.length > answers;
      answers = found.length;
      if (!atEnd) return;
      if (isNew) {
        const top = found[answers - 1].getBoundingClientRect().top - talk.getBoundingClientRect().top;
        talk.scrollTop += top - 16;
      } else {
        talk.scrollTop = talk.scrollHeight;
      }
    }).observe(talk, { childList: true, subtree: true });
  };
  const waiting = setInterval(() => {
    const talk = document.getElementById("rr-talk");
    if (talk) {
      clearInterval(waiting);
      watch(talk);
    }
  }, 100);
})();
