// Keeps the end of the conversation in view while it grows, unless the person scrolled up to read.
(() => {
  const NEAR = 160; // pixels from the end that still count as "at the end"
  const watch = (talk) => {
    let atEnd = true;
    talk.addEventListener("scroll", () => {
      atEnd = talk.scrollHeight - talk.scrollTop - talk.clientHeight < NEAR;
    });
    new MutationObserver(() => {
      if (atEnd) talk.scrollTop = talk.scrollHeight;
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
