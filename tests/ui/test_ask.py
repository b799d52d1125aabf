"""`readingroom ask`: what it prints where, its exit codes, its one-line errors."""

import json
from pathlib import Path

import pytest

from agent.answer import Answer
from agent.errors import LLMUnavailableError, RunError
from tests.fake_assistant import REPORT_SENTENCE, FakeAssistant
from tools.errors import UnavailableError
from tools.results import Claim

ANSI = "\x1b["


def test_answer_goes_to_stdout_and_progress_to_stderr(run_cli, ct):
    done = run_cli("ask", "Segment the lungs.", "-i", ct, assistant=FakeAssistant())
    assert done.code == 0
    for printed in ("3,701 ml", "−827.3 HU", "[CXR1234]", REPORT_SENTENCE, "Draft report", "lungs.nii.gz", "[s2]"):
        assert printed in done.out
    assert "NIfTI pixdim" in done.out  # where the millimetres came from
    assert "not a medical device" in done.out.lower()
    assert "plan by the scripted model" in done.err
    assert "s1 segment: 1.2 s" in done.err
    assert "plan by" not in done.out
    assert ANSI not in done.out + done.err  # nobody watches: plain text


def test_each_step_is_printed_with_its_time_and_arguments(run_cli, ct):
    done = run_cli("ask", "Segment the lungs.", "-i", ct, assistant=FakeAssistant())
    line = next(line for line in done.out.splitlines() if "image=@img1" in line)
    assert "s1" in line
    assert "1.2 s" in line
    assert "segment" in line
    assert "targets=lungs" in line


def test_json_is_the_whole_answer_and_nothing_else(run_cli, ct):
    done = run_cli("ask", "Segment the lungs.", "-i", ct, "--json", assistant=FakeAssistant())
    answer = Answer.model_validate(json.loads(done.out))
    assert answer.outcome == "answered"
    assert [a.id for a in answer.artifacts] == ["s1", "s2", "s3", "s4"]
    assert answer.draft is not None


@pytest.mark.parametrize(("outcome", "code"), [("clarify", 2), ("declined", 1)])
def test_exit_code_says_how_it_ended(run_cli, outcome, code):
    question = Claim(text="Which image? Attach one with -i.", kind="general")
    done = run_cli("ask", "Segment the lungs.", assistant=FakeAssistant(outcome=outcome, claims=(question,)))
    assert done.code == code
    assert "Which image? Attach one with -i." in done.out


def test_no_attachment_asks_back_with_exit_code_2(run_cli):
    question = Claim(text="Which image? Attach one with -i.", kind="general")
    done = run_cli(
        "ask", "Segment the lungs.", "--json", assistant=FakeAssistant(outcome="clarify", claims=(question,))
    )
    assert done.code == 2
    assert json.loads(done.out)["outcome"] == "clarify"


def test_missing_file_is_one_line_and_misuse(run_cli):
    done = run_cli("ask", "Segment the lungs.", "-i", "nope.nii.gz", assistant=FakeAssistant())
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith("readingroom: 'nope.nii.gz' does not exist: check the path")
    assert "Traceback" not in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UnavailableError("the disk is full: could not write x; free some space and resume"), "the disk is full"),
        (LLMUnavailableError("the LLM at http://127.0.0.1:1 refuses the key"), "refuses the key"),
        (RunError("step s1 was cancelled"), "was cancelled"),
    ],
)
def test_a_failed_run_is_one_line(run_cli, ct, error, line):
    done = run_cli("ask", "Segment the lungs.", "-i", ct, assistant=FakeAssistant(raises=error))
    assert done.code == 1
    assert line in done.err.splitlines()[-1]
    assert "Traceback" not in done.err


def test_a_bug_is_one_line_and_keeps_its_traceback(run_cli, ct):
    done = run_cli("ask", "Segment the lungs.", "-i", ct, assistant=FakeAssistant(raises=ZeroDivisionError("division")))
    assert done.code == 1
    last = done.err.splitlines()[-1]
    assert "unexpected ZeroDivisionError" in last
    kept = Path(last.rsplit(" ", 1)[1])
    assert "Traceback" in kept.read_text(encoding="utf-8")
    kept.unlink()


def test_debug_shows_the_traceback(run_cli, ct, monkeypatch):
    from ui import assistants, cli

    monkeypatch.setattr(assistants, "open_assistant", lambda: FakeAssistant(raises=ZeroDivisionError("division")))
    with pytest.raises(ZeroDivisionError):
        cli.main(["ask", "Segment the lungs.", "-i", str(ct), "--debug"])


def test_attachments_carry_what_was_said_of_them(run_cli, ct, tmp_path):
    assistant = FakeAssistant()
    for name in ("old.nii.gz", "lungs.nii.gz"):
        (tmp_path / name).write_bytes(b"phantom")
    run_cli(
        "ask", "Compare.", "-i", ct, "--series", "2", "--modality", "MR", "--prior", "old.nii.gz",
        "--mask", "lungs.nii.gz", assistant=assistant,
    )  # fmt: skip
    image, prior, mask = assistant.calls[0]["attachments"]
    assert (image.series, image.modality, image.prior, image.kind) == ("2", "MR", False, "image")
    assert (prior.prior, prior.kind) == (True, "image")
    assert mask.kind == "mask"


def test_series_needs_exactly_one_image(run_cli, ct):
    done = run_cli("ask", "x", "-i", ct, "-i", ct, "--series", "2", assistant=FakeAssistant())
    assert done.code == 2
    assert "--series needs exactly one -i, got 2; use -i PATH#2" in done.err


def test_a_request_is_needed(run_cli):
    for blank in ((), ("   ",)):
        done = run_cli("ask", *blank, assistant=FakeAssistant())
        assert done.code == 2
        assert "a request is needed" in done.err


def test_unknown_option_is_one_line_and_misuse(run_cli):
    done = run_cli("ask", "x", "--colour", assistant=FakeAssistant())
    assert done.code == 2
    assert done.err.startswith("readingroom: No such option: --colour")
    assert len(done.err.splitlines()) == 1


def test_resume_goes_on_with_a_reading(run_cli, ct):
    assistant = FakeAssistant()
    reading = assistant.begin()
    done = run_cli("ask", "--resume", reading, assistant=assistant)
    assert done.code == 0
    assert assistant.calls == [{"resume": reading, "decision": "approve", "comment": None}]
    assert f"reading {reading}" in done.err


def test_resume_of_an_unknown_reading_is_one_line(run_cli):
    done = run_cli("ask", "--resume", "20260101-000000-abcd", assistant=FakeAssistant())
    assert done.code == 1
    assert done.err.splitlines()[-1] == "readingroom: no reading '20260101-000000-abcd'"


def test_resume_takes_no_request(run_cli):
    done = run_cli("ask", "more", "--resume", "20260101-000000-abcd", assistant=FakeAssistant())
    assert done.code == 2
    assert "a follow-up: --reading" in done.err


def test_follow_up_stays_in_its_reading(run_cli):
    assistant = FakeAssistant()
    reading = assistant.begin()
    done = run_cli("ask", "And the left one?", "--reading", reading, assistant=assistant)
    assert done.code == 0
    assert assistant.calls[0]["reading"] == reading


def test_a_waiting_plan_is_shown_with_the_command_that_approves_it(run_cli, ct):
    assistant = FakeAssistant(waits=1)
    done = run_cli("ask", "Export it.", "-i", ct, assistant=assistant)
    assert done.code == 2
    assert "segment" in done.out
    assert assistant.decisions == []  # nobody was asked, so nothing was decided
    reading = assistant.calls[0]["reading"]
    assert f"approve it: readingroom ask --resume {reading} --yes" in done.err


def test_yes_approves_a_waiting_plan(run_cli, ct):
    assistant = FakeAssistant(waits=2)
    done = run_cli("ask", "Export it.", "-i", ct, "--yes", assistant=assistant)
    assert done.code == 0
    assert assistant.decisions == ["approve", "approve"]


def test_resume_with_yes_approves(run_cli):
    assistant = FakeAssistant(waits=1)
    done = run_cli("ask", "--resume", assistant.begin(), "--yes", assistant=assistant)
    assert done.code == 0
    assert assistant.decisions == ["approve", "approve"]


def test_out_gets_the_results_and_the_record(run_cli, ct, tmp_path):
    done = run_cli("ask", "Segment the lungs.", "-i", ct, "--out", "results", assistant=FakeAssistant())
    assert done.code == 0
    names = sorted(p.name for p in (tmp_path / "results").iterdir())
    assert names == ["answer.json", "draft.md", "key-image.png", "lungs.nii.gz", "record.jsonl"]
    assert (tmp_path / "results" / "draft.md").read_bytes() == b"# Draft\n"


def test_out_never_overwrites(run_cli, ct, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "draft.md").write_text("mine", encoding="utf-8")
    assistant = FakeAssistant()
    done = run_cli("ask", "Segment the lungs.", "-i", ct, "--out", "results", assistant=assistant)
    assert done.code == 2
    assert "must be a new or empty folder" in done.err
    assert assistant.calls == []  # refused before anything ran
    assert (tmp_path / "results" / "draft.md").read_text(encoding="utf-8") == "mine"


def test_failed_steps_are_shown_beside_what_was_done(run_cli, ct):
    why = "img1 shows HEAD, CHEST is needed"
    done = run_cli("ask", "Segment the lungs.", "-i", ct, assistant=FakeAssistant(fails={"s1": why}))
    assert "✗" in done.out
    assert why in done.out
    assert "3,701 ml" in done.out  # the other steps' results are not lost


def test_held_back_sentences_are_shown_as_held_back(run_cli, ct):
    held = "Volume: 9,999 ml. — held back: no cited evidence holds the value 9,999 ml"
    done = run_cli("ask", "Segment the lungs.", "-i", ct, assistant=FakeAssistant(held_back=(held,)))
    assert "Held back" in done.out
    assert "9,999 ml. — held back" in done.out


def test_control_characters_of_files_and_models_never_reach_the_terminal(run_cli, ct):
    poisoned = Claim(text="Lungs\x1b]0;owned\x07 \x1b[2Jclear.", evidence=("s1",), kind="described")
    done = run_cli("ask", "Segment.", "-i", ct, assistant=FakeAssistant(claims=(poisoned,)))
    assert "\x1b" not in done.out
    assert "\x07" not in done.out
    assert "clear." in done.out


def test_square_brackets_are_text_not_markup(run_cli, ct):
    claim = Claim(text="[bold red]Nothing[/bold red] was found.", evidence=("s1",), kind="described")
    done = run_cli("ask", "Segment.", "-i", ct, assistant=FakeAssistant(claims=(claim,)))
    assert "[bold red]Nothing[/bold red] was found." in done.out


def test_a_wrong_setting_is_one_line_that_names_it(run_cli, monkeypatch):
    monkeypatch.setenv("READINGROOM_MAX_STEPS", "many")
    done = run_cli("ask", "Segment.")
    assert done.code == 2
    assert "READINGROOM_MAX_STEPS" in done.err
    assert "'many'" in done.err
    assert len(done.err.splitlines()) == 1


def test_a_wrong_key_setting_never_shows_the_key(run_cli, monkeypatch):
    monkeypatch.setenv("READINGROOM_LLM_API_KEY", "sk-canary")
    monkeypatch.setenv("READINGROOM_LLM_BASE_URL", "ftp://nowhere")
    done = run_cli("ask", "Segment.")
    assert done.code == 2
    assert "sk-canary" not in done.out + done.err
    assert "must be an http or https address" in done.err
