"""A patient's name, number and address are in no file of a real Chroma store, nor of the database beside it."""

from __future__ import annotations

from knowledge.readers.incoming import Incoming
from knowledge.report import Report
from knowledge.sentences import split_sections
from tests.knowledge.stores import Opener

SECRETS = ("Canaryname", "Felicitas", "CNRY-77123", "Canarydoc", "Canary Wharf", "555 013 7788")
TEXT = (
    "FINDINGS: Ms Felicitas Canaryname, MRN CNRY-77123, of 17 Canary Wharf Road, seen by Dr. Ursula Canarydoc on "
    "2026-01-02, phone +1 555 013 7788. Small left pleural effusion. No pneumothorax.\n"
    "IMPRESSION: Felicitas Canaryname has a small left pleural effusion."
)


def test_no_canary_in_any_file_of_the_store(open_knowledge: Opener, tmp_path) -> None:
    report = Report(id="r1", text=TEXT, title="", sections=split_sections(TEXT), source="x", patient="CNRY-77123")
    store = open_knowledge(tmp_path / "store")
    summary = store.ingest([Incoming(report, ("CANARYNAME^FELICITAS", "CNRY-77123", "CANARYDOC^URSULA"))])
    (hit,) = store.search("left pleural effusion", k=1)
    assert "effusion" in hit.sentence
    store.close()
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert any("chroma" in str(path) for path in files)
    for path in files:
        held = path.read_bytes().decode("utf-8", "replace").lower()
        assert [s for s in SECRETS if s.lower() in held] == [], path
    assert not any(s.lower() in str(summary).lower() for s in SECRETS)
