"""A report that a person edits is kept, checked and exported as it is."""

from __future__ import annotations

import json
import time

import pydicom
import pytest
from docx import Document

from agent.assistant import Assistant
from agent.errors import ReadingError
from agent.replay import replay
from agent.report_edits import EDITED, ReportChecker, current_edit, export_report, keep_edit
from agent.settings import Settings
from knowledge.errors import NotFoundError
from tests.fake_assistant import chest_story
from tools.errors import ToolError
from tools.models.hub import Hub
from tools.results import Draft
from tools.workspace import Artifact, Provenance


class NoStore:
    def report(self, report_id):
        raise NotFoundError(f"no report {report_id!r}")


@pytest.fixture
def reading(tmp_path, nifti_ct):
    return drafted(tmp_path, nifti_ct)


def drafted(tmp_path, image):
    """Return a reading in which the lungs were measured and a draft was written."""
    settings = Settings(readings_dir=tmp_path / "readings", device="cpu")
    assistant = Assistant(settings=settings, hub=Hub([]), knowledge=NoStore())
    reading_id = assistant.begin()
    workspace = assistant.workspace(reading_id)
    from agent.attach import attach

    attach(workspace, image)
    for step, result, files in chest_story():
        for name, content in files.items():
            (workspace.step_folder(step.id) / name).write_bytes(content)
        made = Provenance(tool=step.tool, tool_version="1", params=step.args, inputs=("img1",))
        workspace.add_artifact(
            Artifact(
                id=step.id, kind=result.kind, summary=result.summary, data=result.model_dump(mode="json"),
                files=result.files, provenance=made,
            )
        )  # fmt: skip
    return assistant, reading_id


def edited(assistant, reading_id, old, new):
    workspace = assistant.workspace(reading_id)
    edit = current_edit(workspace)
    assert old in edit.text
    return keep_edit(workspace, edit.model_copy(update={"text": edit.text.replace(old, new)}))


def test_an_edit_is_kept_over_a_restart(reading) -> None:
    assistant, reading_id = reading
    kept = edited(assistant, reading_id, "3,701 ml", "3.7 l")
    after = Assistant(settings=assistant.settings)
    assert current_edit(after.workspace(reading_id)) == kept


def test_two_tabs_do_not_overwrite_each_other_unseen(reading) -> None:
    assistant, reading_id = reading
    workspace = assistant.workspace(reading_id)
    first = current_edit(workspace)
    edited(assistant, reading_id, "3,701", "3,700")
    with pytest.raises(ReadingError, match="changed in another tab"):
        keep_edit(workspace, first.model_copy(update={"text": "FINDINGS\nmine\n"}))
    assert "3,700" in current_edit(workspace).text


@pytest.mark.parametrize(
    ("written", "verdict"),
    [
        ("The lungs have a volume of 3.7 l.", "supported"),
        ("The lungs have a volume of 5.2 l.", "contradicted"),
        ("There is a fracture of the left femur.", "not covered"),
    ],
)
def test_each_sentence_is_checked_against_what_was_measured(reading, written, verdict) -> None:
    assistant, reading_id = reading
    edit = edited(assistant, reading_id, "FINDINGS\n", f"FINDINGS\n{written}\n")
    found = {c.line.text: c.verdict for c in ReportChecker(assistant, reading_id).check(edit)}
    assert found[written] == verdict


def test_checking_again_compares_only_what_is_new(reading) -> None:
    assistant, reading_id = reading
    checker = ReportChecker(assistant, reading_id)
    edit = edited(assistant, reading_id, "FINDINGS\n", "FINDINGS\n" + "The lungs have a volume of 3.7 l.\n" * 3)
    checker.check(edit)
    started = time.perf_counter()
    checker.check(edit)
    assert time.perf_counter() - started < 1.0
    assert checker.is_current


def test_what_is_edited_is_what_is_exported(reading) -> None:
    assistant, reading_id = reading
    workspace = assistant.workspace(reading_id)
    edited(assistant, reading_id, "Volume of the lungs: 3,701 ml.", "Volume of the lungs: 9,999 ml.")
    marked = "Volume of the lungs: 9,999 ml. [by a person, not verified: the evidence contradicts it]"
    word = export_report(assistant, reading_id, "docx")
    text = "\n".join(p.text for p in Document(workspace.step_folder(word.id) / word.files[0]).paragraphs)
    assert marked in text
    assert "then edited by a person" in text
    assert "Research use only" in text
    fhir = export_report(assistant, reading_id, "fhir")
    bundle = (workspace.step_folder(fhir.id) / fhir.files[0]).read_text()
    assert "9,999 ml. [by a person, not verified" in bundle
    assert "esearch use only" in bundle
    sr = export_report(assistant, reading_id, "dicom-sr")
    dataset = pydicom.dcmread(workspace.step_folder(sr.id) / sr.files[-1])
    said = [str(element.value) for element in dataset.iterall() if element.keyword == "TextValue"]
    assert marked in said
    assert any("“The lungs are hyperexpanded" in text for text in said)  # quotation marks survive
    pdf = export_report(assistant, reading_id, "pdf")
    assert (workspace.step_folder(pdf.id) / pdf.files[0]).read_bytes().startswith(b"%PDF")
    own = [a for a in workspace.artifacts() if a.provenance.tool == EDITED]
    assert [a.id for a in own] == ["s5"]  # one result for one text, however often it is exported
    assert Draft.model_validate(own[0].data).findings[0].kind == "by a person"
    assert [word.id, fhir.id, sr.id, pdf.id] == ["s6", "s7", "s8", "s9"]


def test_an_unchanged_draft_is_exported_as_the_tools_own(reading) -> None:
    assistant, reading_id = reading
    made = export_report(assistant, reading_id, "fhir")
    assert made.provenance.inputs == ("s4",)
    bundle = json.loads((assistant.workspace(reading_id).step_folder(made.id) / made.files[0]).read_text())
    assert "by a person" not in json.dumps(bundle)


def test_a_refused_export_leaves_nothing_behind(reading) -> None:
    assistant, reading_id = reading
    edited(assistant, reading_id, "3,701 ml", "9,999 ml")
    workspace = assistant.workspace(reading_id)
    with pytest.raises(ToolError, match="csv"):
        export_report(assistant, reading_id, "csv")
    folders = sorted(path.name for path in (workspace.root / "artifacts").iterdir())
    assert folders == sorted(a.id for a in workspace.artifacts())
    assert export_report(assistant, reading_id, "html").kind == "files"


def test_a_reading_without_a_draft_says_so(make_assistant) -> None:
    assistant = make_assistant()
    with pytest.raises(ReadingError, match="no draft to export"):
        export_report(assistant, assistant.begin(), "pdf")


def test_a_replay_takes_the_edited_report_over(reading) -> None:
    assistant, reading_id = reading
    edited(assistant, reading_id, "3,701 ml", "9,999 ml")
    made = export_report(assistant, reading_id, "docx")
    report = replay(assistant, reading_id)
    assert not [d for d in report.differences if d.step == "s5" or (d.step == made.id and d.where == "step")]
