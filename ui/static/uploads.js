// Why an upload was refused stays beside the upload until the next one: Gradio's message goes after ten seconds.
(() => {
  const isUpload = (asked) => new URL(asked.url ?? asked, document.baseURI).pathname.endsWith("/gradio_api/upload");
  const say = (words) => {
    document.getElementById("rr-refused")?.remove();
    if (!words) return;
    const said = Object.assign(document.createElement("p"), { id: "rr-refused", className: "rr-problem", textContent: `Not uploaded: ${words}` });
    said.setAttribute("role", "alert");
    document.getElementById("rr-uploads").before(said);
  };
  const real = window.fetch;
  window.fetch = async (asked, given) => {
    if (!isUpload(asked)) return real(asked, given);
    say("");
    const answer = await real(asked, given);
    if (!answer.ok) say(await answer.clone().text());
    return answer;
  };
})();
