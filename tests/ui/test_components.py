"""The page's HTML: what is shown, and that no text becomes markup."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.events import Failed, StepStarted
from tests.fake_assistant import FakeAssistant
from tools.drafting.editing import Checked, as_text, checked
from tools.facts import AttachmentFacts
from tools.grounding.judge import Judgement
from tools.results import Claim, Draft
from ui.components.evidence import EvidenceView, evidence_tab_html
from ui.components.files import files_tab_html
from ui.components.html import element, text
from ui.components.measurements import measurements_tab_html
from ui.components.plan import plan_tab_html
from ui.components.report import checked_html
from ui.components.study import attached_html, brought_html
from ui.components.turn import progress_html, request_html, results_html
from ui.looking import Looking
from ui.uploads import Brought
from ui.view import AttachmentView, RunView, fold

POISON = '<img src=x onerror="alert(1)">**bold** [a](javascript:alert(1)) ${1+1} {{1+1}} @children \x1b[31m'
ALLOWED = {
    "div", "p", "ul", "ol", "li", "b", "span", "i", "em", "time", "code", "h3", "h4", "small", "table", "thead",
    "tbody", "tr", "th", "td", "figure", "figcaption", "a", "img", "article", "section", "button", "header",
    "blockquote", "mark", "details", "summary", "dl", "dt", "dd", "svg", "path", "g", "title", "rect", "text", "s",
}  # fmt: skip


class Tags(HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.shown = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.shown += data


def _finished(assistant: FakeAssistant, request: str = "Segment the lungs.") -> RunView:
    from dataclasses import replace

    events = []
    answer = assistant.ask(request, on_event=events.append)
    view = RunView(request=request)
    for event in events:
        view = fold(view, event)
    return replace(view, answer=answer)


def _whole(view: RunView) -> str:
    html = request_html(view) + progress_html(view, 0.0) + results_html(view)
    if view.answer is None:
        return html
    made = view.answer.artifacts
    tabs = (
        measurements_tab_html(made),
        evidence_tab_html(_evidence(view)),
        files_tab_html(made, Path(view.answer.folder), lambda path: f"/files/key/{path.name}"),
        plan_tab_html(view, {}, {a.id: a for a in made}, 0.0),
        checked_html(_checked(view)),
    )
    return html + "".join(tabs)


def _checked(view: RunView) -> list[Checked]:
    drafts = [a for a in view.answer.artifacts if a.kind == "report"]
    return [s for a in drafts for s in _sentences(Draft.model_validate(a.data))]


def _sentences(draft: Draft) -> list[Checked]:
    return checked(as_text(draft), draft, lambda passage: Judgement("contradicted", "it says otherwise"))


def _evidence(view: RunView) -> EvidenceView:
    assistant = FakeAssistant()
    return Looking(assistant, lambda path, folder: f"/files/key/{path.name}").evidence(view.answer)


@given(st.text())
def test_text_is_never_markup(value):
    shown = text(value)
    assert not set(shown) & set("<>{}$@\"'")
    assert not Tags(shown).tags


def test_an_answer_has_its_evidence_pictures_measurements_draft_and_files():
    found = Tags(_whole(_finished(FakeAssistant())))
    for part in ("3,701 ml", "−827.3 HU", "CXR1234", "hyperexpanded", "IMPRESSION", "NIfTI pixdim"):
        assert part in found.shown
    downloads = {value for name, value in found.attributes if name == "download"}
    assert downloads == {"lungs.nii.gz", "key-image.png", "draft.md", "record.jsonl"}
    assert found.tags <= ALLOWED


def test_poisoned_text_from_everywhere_stays_text():
    story = FakeAssistant().story
    step, hits, files = story[2]
    poisoned_hit = hits.hits[0].model_copy(update={"sentence": POISON, "section": POISON, "report_id": POISON})
    poisoned = [story[0], story[1], (step, hits.model_copy(update={"hits": (poisoned_hit,), "summary": POISON}), files)]
    claim = Claim(text=POISON, evidence=(POISON,), kind="described")
    assistant = FakeAssistant(story=poisoned, claims=(claim,), held_back=(POISON,), fails={"s1": POISON})
    view = _finished(assistant, POISON)
    facts = AttachmentFacts(id="img1", modality=POISON, body_part=POISON, dims=3)
    view = fold_attached(view, facts)
    html = _whole(view) + attached_html(view.attachments)
    html += brought_html([Brought(Path("x"), POISON, problem=POISON)])
    found = Tags(html)
    assert found.tags <= ALLOWED
    assert not [a for a in found.attributes if a[0].startswith("on") or (a[0] in ("href", "src") and ":" in a[1])]
    assert found.shown.count("onerror") >= 7  # it is there, as text
    assert "\x1b" not in html
    assert "${" not in html
    assert "{{" not in html


def fold_attached(view: RunView, facts: AttachmentFacts) -> RunView:
    from dataclasses import replace

    return replace(view, attachments=(AttachmentView(facts, POISON),))


@pytest.mark.parametrize("outcome", ["clarify", "declined"])
def test_a_question_back_and_a_refusal_look_different_from_an_answer(outcome):
    claim = Claim(text="Which of the two images?", kind="general")
    html = _whole(_finished(FakeAssistant(outcome=outcome, claims=(claim,))))
    assert f"rr-{outcome}" in html
    assert "rr-plan" not in html  # there is none
    assert "Which of the two images?" in html


def test_a_running_step_shows_time_progress_and_message():
    view = RunView(request="x", reading="r")
    view = fold(view, StepStarted(step="s1", tool="segment", args={"image": "@img1"}, at=100.0))
    html = progress_html(view, 103.25)
    assert "3.2 s" in html
    assert "rr-running" in html
    assert "image=&#64;img1" in html


def test_marks_are_shown_at_the_step():
    story = FakeAssistant().story
    step, masks, files = story[0]
    view = _finished(FakeAssistant(story=[(step, masks.model_copy(update={"marks": ("synthetic",)}), files)]))
    assert "SYNTHETIC: not a real image" in progress_html(view, 0.0)


def test_an_error_is_shown_as_such():
    view = fold(RunView(request="x"), Failed(reading="r", kind="bug", message="the disk is full"))
    html = results_html(view)
    assert 'role="alert"' in html
    assert "the disk is full" in html


def test_attribute_values_are_escaped():
    assert element("a", href='"><script>') == '<a href="&quot;&gt;&lt;script&gt;"></a>'
