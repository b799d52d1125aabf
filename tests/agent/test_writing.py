"""A language model words a draft: its words are told while it writes, and only what holds is kept."""

from __future__ import annotations

import re

import pytest

from tests.agent.llm.stub_endpoint import endpoint, fails, says
from tests.phantoms_ct import chest
from tests.reading_server import NoStore, Planner
from tests.writing_endpoint import PLAN, WRONG, writer
from tools.imaging.nifti import write_nifti
from ui.render import held_back_of


def test_words_come_before_the_draft_and_what_fails_is_listed(tmp_path) -> None:
    from agent.assistant import Assistant
    from agent.settings import Settings
    from ui.view import RunView, fold

    volume = chest().volume
    write_nifti(tmp_path / "chest.nii.gz", volume.array, volume)
    with writer() as model:
        model.go_on.set()
        settings = Settings(
            readings_dir=tmp_path / "readings", cache_dir=tmp_path / "cache", data_dir=tmp_path / "data",
            device="cpu", llm_base_url=model.base_url, llm_model="writer",
        )  # fmt: skip
        assistant = Assistant(settings=settings, planner=Planner(), knowledge=NoStore())  # type: ignore[arg-type]
        events = []
        answer = assistant.ask("the lungs", [tmp_path / "chest.nii.gz"], on_event=events.append)
    kinds = [(e.type, getattr(e, "step", "")) for e in events]
    written = [e for e in events if e.type == "writing"]
    assert {e.step for e in written} == {"s3"}
    assert kinds.index(("writing", "s3")) < kinds.index(("step finished", "s3"))
    assert answer.draft is not None
    assert any("The lungs have a volume of" in c.text for c in answer.draft.findings)
    assert all(WRONG not in c.text for c in answer.draft.claims())
    assert [t for t in answer.draft.thrown_away if WRONG in t]

    view = RunView()
    seen = []
    for event in events:
        view = fold(view, event)
        seen.append(view)
    assert any(WRONG in w.sentences for v in seen for w in v.writing)
    done = kinds.index(("step finished", "s3"))
    assert all(v.writing == () for v in seen[done:])


def test_a_plan_is_told_step_by_step_while_a_language_model_writes_it(tmp_path) -> None:
    from agent.assistant import Assistant
    from agent.settings import Settings
    from knowledge.embed import HashEmbedder
    from ui.components.turn import progress_html
    from ui.view import RunView, fold

    volume = chest().volume
    write_nifti(tmp_path / "chest.nii.gz", volume.array, volume)
    with writer() as model:
        model.plan = PLAN
        settings = Settings(
            readings_dir=tmp_path / "readings", cache_dir=tmp_path / "cache", data_dir=tmp_path / "data",
            device="cpu", llm_base_url=model.base_url, llm_model="writer", approval="ask-before-running",
        )  # fmt: skip
        assistant = Assistant(settings=settings, embedder=HashEmbedder(), knowledge=NoStore())  # type: ignore[arg-type]
        view, seen, kinds = RunView(), [], []

        def on_event(event) -> None:
            nonlocal view
            view = fold(view, event)
            kinds.append(event.type)
            if event.type == "plan writing":
                seen.append((event.tools, progress_html(view, 0.0)))
                model.go_on.set()  # its last step comes only after the first was told

        answer = assistant.ask(
            "Segment the lungs and measure their volume.", [tmp_path / "chest.nii.gz"], on_event=on_event
        )
    assert answer.outcome == "waiting", answer
    assert [tools for tools, _ in seen] == [("segment",), ("segment", "measure")]
    assert "Steps so far: not yet checked" in seen[0][1]
    assert "<li>segment</li>" in seen[0][1]
    assert "measure" not in seen[0][1]
    assert kinds.index("planning") < kinds.index("plan writing") < kinds.index("plan")


def test_planning_without_its_sentence_embedding_says_what_is_missing_and_is_no_bug_of_ours(tmp_path) -> None:
    from agent.assistant import Assistant
    from agent.errors import RunError
    from agent.settings import Settings

    (tmp_path / "old.txt").write_text("Clear.", encoding="utf-8")
    settings = Settings(
        readings_dir=tmp_path / "readings", cache_dir=tmp_path / "cache", data_dir=tmp_path / "data", device="cpu",
        llm_base_url="http://127.0.0.1:9/v1", llm_model="none",
    )  # fmt: skip
    events = []
    with pytest.raises(RunError, match="readingroom samples get minilm"):
        Assistant(settings=settings).ask("Is this report complete?", [tmp_path / "old.txt"], on_event=events.append)
    assert (events[-1].type, events[-1].kind) == ("error", "unavailable")


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (says(""), "empty|no text"),
        (says(None), "empty|no text"),
        (says('{"sentences": ["[s77] The lungs have a volume of 1 ml."]}'), "expected a list of"),
        (fails(401, "no"), "refuses the key"),
    ],
)
def test_an_endpoint_that_gives_nothing_costs_no_sentence_of_the_draft(tmp_path, reply, said) -> None:
    from agent.assistant import Assistant
    from agent.settings import Settings

    volume = chest().volume
    write_nifti(tmp_path / "chest.nii.gz", volume.array, volume)
    with endpoint(reply) as stub:
        settings = Settings(
            readings_dir=tmp_path / "readings", cache_dir=tmp_path / "cache", data_dir=tmp_path / "data",
            device="cpu", llm_base_url=stub.base_url, llm_model="writer",
        )  # fmt: skip
        assistant = Assistant(settings=settings, planner=Planner(), knowledge=NoStore())  # type: ignore[arg-type]
        answer = assistant.ask("the lungs", [tmp_path / "chest.nii.gz"])
    assert answer.outcome == "answered"
    assert answer.failures == ()
    assert answer.draft is not None
    assert any(c.text.startswith("Volume of the lungs: ") for c in answer.draft.findings)
    assert any(re.search(said, line) for line in held_back_of(answer)), held_back_of(answer)
