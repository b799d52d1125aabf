"""`readingroom demo`: fetches, stores, runs, copies; each only as often as needed."""

import pytest

from tests.fake_assistant import FakeAssistant
from ui.commands.demo import NEEDS, REQUEST


@pytest.fixture
def prepared(monkeypatch, tmp_path):
    """Assets that are there already, and a store that counts how often it was filled."""
    from knowledge.assets import Assets
    from ui import diagnosis, fetching

    fetched, filled = [], []
    monkeypatch.setattr(fetching, "fetch", lambda terminal, assets, names, from_folder=None: fetched.extend(names))
    ct = tmp_path / "cxr.nii.gz"
    ct.write_bytes(b"phantom")
    monkeypatch.setattr(Assets, "path", lambda self, name, member: ct)

    class Summary:
        stored, bad = 3927, ["one"] * 28

    def fill(terminal, assistant, archive=None):
        filled.append(assistant)
        return Summary()

    monkeypatch.setattr(fetching, "ingest_openi", fill)
    monkeypatch.setattr(diagnosis, "stored_reports", lambda folder: 3927 if filled else 0)
    return fetched, filled


def test_it_runs_the_request_and_copies_the_results(run_cli, prepared, tmp_path):
    fetched, _filled = prepared
    assistant = FakeAssistant()
    done = run_cli("demo", assistant=assistant)
    assert done.code == 0, done.err
    assert fetched == list(NEEDS)
    assert assistant.calls[0]["request"] == REQUEST
    assert "".join(done.out.split()).startswith("Request:" + "".join(REQUEST.split()))
    for printed in ("3,701 ml", "[CXR1234]", "[CXR88]", "Draft report", "Results copied to demo-output:"):
        assert printed in done.out
    names = {p.name for p in (tmp_path / "demo-output").iterdir()}
    assert {"lungs.nii.gz", "key-image.png", "draft.md", "record.jsonl"} <= names
    assert "3927 reports" in done.err


def test_a_second_run_stores_nothing_and_replaces_the_results(run_cli, prepared):
    _, filled = prepared
    assert run_cli("demo", assistant=FakeAssistant()).code == 0
    done = run_cli("demo", assistant=FakeAssistant())
    assert done.code == 0
    assert len(filled) == 1
    assert "reports of openi-reports stored" not in done.err


def test_json_is_the_answer_alone(run_cli, prepared):
    import json

    assert prepared
    done = run_cli("demo", "--json", assistant=FakeAssistant())
    assert json.loads(done.out)["outcome"] == "answered"
