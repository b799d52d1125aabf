"""What leaves to another machine: measured recall on planted identifiers, pseudonyms, the log."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from agent.llm.chat import Ask
from agent.llm.client import LLM, Endpoint
from agent.llm.egress import Passage, Pseudonyms, policy_for
from agent.llm.identifiers import Identifiers
from prompts import load, names
from tests.agent.llm.planted import KINDS, planted
from tests.agent.llm.stub_endpoint import endpoint, says
from tools.audit import AuditLog


def sent_of(text: str, known: tuple[str, ...] = ()) -> str:
    return str(Passage("remote-deidentified", known).outgoing([{"role": "user", "content": text}])[0]["content"])


def test_recall_on_planted_identifiers() -> None:
    """First reading, before any pattern was added for it: see docs/patient-data.md."""
    found: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    for kind, text, secret in planted(Random(11), 60):
        found[kind].append(secret.lower() not in sent_of(text).lower())
    recall = {kind: sum(hits) / len(hits) for kind, hits in found.items()}
    overall = sum(map(sum, found.values())) / sum(map(len, found.values()))
    assert overall >= 0.95, recall
    assert min(recall.values()) >= 0.85, recall


def test_identifiers_from_headers_never_leave_wherever_they_stand() -> None:
    known = ("ROSENBERG^ANNA MARIA", "PX-9917", "19700131", "1970-01-31")
    for text in ("compare Rosenberg's scan", "anna maria rosenberg", "px-9917", "born 1970-01-31", "ANNA, please"):
        sent = sent_of(text, known).lower()
        assert not [part for part in ("rosenberg", "anna", "9917", "1970") if part in sent], sent


@pytest.mark.parametrize("name", names())
def test_our_own_prompts_leave_as_they_are(name: str) -> None:
    text = load(name).text
    assert sent_of(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Volume of the left lung: 1,712 ml. Mean density −812.3 HU.",
        "Segment the lungs in image 1, measure 3694.4 ml, T12 and L1, 0.703 × 0.703 × 2.5 mm, 512 × 512 × 133.",
        "Right upper lobe nodule, Fleischner Society, Hounsfield units, Chest CT with contrast.",
        '{"rows": [{"target": "lung_left", "value": 1712.3, "unit": "ml"}]}',
    ],
)
def test_measurements_and_anatomy_leave_as_they_are(text: str) -> None:
    assert sent_of(text) == text


def test_the_same_text_has_the_same_pseudonym_in_every_call_and_only_its_own_call_resolves_it() -> None:
    shared = Pseudonyms()
    first, second = (Passage("remote-deidentified", (), shared) for _ in range(2))
    one = str(first.outgoing([{"role": "user", "content": "Mrs Jane Roe, MRN 4711-22"}])[0]["content"])
    two = str(second.outgoing([{"role": "user", "content": "again Mrs Jane Roe"}])[0]["content"])
    placeholder = one.split(",", maxsplit=1)[0].removeprefix("Mrs ")
    assert placeholder in two
    assert first.incoming(one) == "Mrs Jane Roe, MRN 4711-22"
    other = Passage("remote-deidentified", (), shared)
    assert other.incoming(placeholder) == placeholder, "another reading's name must not come back"


def test_a_schema_leaves_without_identifiers_too() -> None:
    schema = {"type": "object", "properties": {"who": {"enum": ["Mrs Jane Roe", "nobody"]}}}
    passage = Passage("remote-deidentified")
    sent = json.dumps(passage.data(schema))
    assert "Roe" not in sent
    assert passage.incoming(sent).count("Jane Roe") == 1


def test_a_policy_for_one_endpoint_goes_before_the_general_one() -> None:
    named = {"llm.hospital.example": "remote-allowed", "https://other.example/v1": "remote-deidentified"}
    assert policy_for("https://llm.hospital.example/v1", None, named) == "remote-allowed"
    assert policy_for("https://other.example/v1", "remote-allowed", named) == "remote-deidentified"
    assert policy_for("https://third.example/v1", None, named) == "remote-deidentified"


def test_what_leaves_is_written_down_before_it_leaves_and_without_its_content(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    with endpoint(says("[NAME-A] is fine")) as stub:
        llm = LLM(Endpoint(stub.base_url, "stub", egress="remote-deidentified", audit=log))
        reply = llm.chat(Ask("Segment the scan of Mrs Jane Roe", purpose="plan 1"))
    assert reply.text == "Jane Roe is fine"
    (entry,) = log.entries()
    assert entry["to"] == stub.base_url
    assert (entry["policy"], entry["purpose"], entry["replaced"]) == ("remote-deidentified", "plan 1", {"name": 1})
    assert "Roe" not in log.path.read_text()
    assert log.verify().broken is None


def test_nothing_is_written_down_for_this_machine(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    with endpoint(says("ok")) as stub:
        LLM(Endpoint(stub.base_url, "stub", audit=log)).chat(Ask("Mrs Jane Roe"))
    assert list(log.entries()) == []


def test_a_dicom_header_names_what_must_not_leave(canary_dicom, tmp_path: Path) -> None:
    from agent.attach import attach
    from tools.workspace import Workspace

    workspace = Workspace(tmp_path / "reading")
    attach(workspace, canary_dicom.path)
    known = Identifiers({"r": workspace})()
    assert set(canary_dicom.secrets) <= {part for value in known for part in (value, *value.split("^"))}
