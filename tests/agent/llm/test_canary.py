"""A canary in header, file name, request and report goes through a whole run, and is looked for in what comes out."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from agent.assistant import Assistant
from agent.errors import RunError
from agent.settings import Settings
from knowledge.embed import load_embedder
from knowledge.masking import mask
from knowledge.readers.incoming import Incoming
from knowledge.report import Report
from tests.agent.llm.stub_endpoint import endpoint, says

WORDS = (
    "canaryname",
    "felicitas",
    "cnry-77123",
    "accn990017",
    "canarydoc",
    "ursula",
    "canary general",
    "canaryop",
    "7788",
)
PLAN = {
    "outcome": "plan",
    "steps": [
        {"id": "s1", "tool": "describe", "args": {"image": "@img1"}},
        {"id": "s2", "tool": "export", "args": {"artifacts": ["@s1"], "format": "json"}},
    ],
    "message": "",
}


def leaks(text: str) -> list[str]:
    lowered = text.lower()
    return [word for word in WORDS if word in lowered]


@pytest.fixture
def assistant_at(tmp_path: Path, assets):
    if not assets.present("minilm"):
        pytest.skip("sample 'minilm' is not cached; run 'make samples'")
    embedder = load_embedder(assets)

    def make(base_url: str) -> Assistant:
        settings = Settings(
            readings_dir=tmp_path / "readings", data_dir=tmp_path / "data", device="cpu", llm_base_url=base_url,
            llm_model="stub", egress="remote-deidentified",
        )  # fmt: skip
        return Assistant(settings=settings, embedder=embedder)

    return make


@pytest.mark.samples
def test_no_canary_leaves_or_is_written(canary_dicom, assistant_at, tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    with endpoint(says(json.dumps(PLAN))) as stub:
        assistant = assistant_at(stub.base_url)
        answer = assistant.ask("Describe the scan of Felicitas CanaryName (CNRY-77123).", [canary_dicom.path])
        sent = json.dumps(stub.requests)
    assert stub.requests, "the endpoint was asked"
    assert leaks(sent) == []
    assert leaks(caplog.text) == []
    log = (tmp_path / "data" / "audit.jsonl").read_text()
    assert leaks(log) == []
    assert json.loads(log.splitlines()[0])["replaced"]
    assert answer.outcome == "answered"
    assert leaks(answer.text) == []
    root = Path(answer.folder)
    for path in (root / "artifacts").rglob("*"):
        if path.is_file():
            assert leaks(path.read_bytes().decode("utf-8", "replace")) == [], path.name
    record = [json.loads(line) for line in (root / "record.jsonl").read_text().splitlines()]
    assert leaks(json.dumps([{k: v for k, v in entry.items() if k != "request"} for entry in record])) == []


@pytest.mark.samples
def test_no_canary_in_an_error(canary_dicom, assistant_at, tmp_path: Path) -> None:
    canary_dicom.path.write_bytes(canary_dicom.path.read_bytes()[:3000])
    with endpoint(says("no json CanaryName")) as stub:
        with pytest.raises(RunError) as raised:
            assistant_at(stub.base_url).ask("Describe it.", [canary_dicom.path])
        assert leaks(str(raised.value).replace(canary_dicom.path.name, "")) == []


def test_no_canary_reaches_the_vector_store() -> None:
    text = "FINDINGS: Ms Felicitas Canaryname, MRN CNRY-77123, seen by Dr. Ursula Canarydoc. No effusion."
    report = Report.model_validate(
        {"id": "r1", "text": text, "title": "", "sections": (), "source": "x", "patient": "CNRY-77123"}
    )
    masked = mask(Incoming(report, ("CANARYNAME^FELICITAS", "CNRY-77123", "CANARYDOC^URSULA")), "salt").report
    assert leaks(masked.model_dump_json()) == []
    assert "No effusion." in masked.text
