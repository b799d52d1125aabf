"""What goes to a PACS or to a model on another machine is in the audit log before it goes, without the patient."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools.audit import AuditLog
from tools.errors import UnavailableError
from tools.models.remote.calls import RemoteModel
from tools.models.remote.wire import WireRequest
from tools.pacs.audited import AuditedPacs
from tools.pacs.client import Stored, StudyQuery
from tools.pacs.server import PacsServer


class Down:
    """A PACS that answers nothing."""

    name = "main"
    server = PacsServer(host="pacs.example", port=104, ae_title="ARCHIVE")

    def find(self, query: StudyQuery, limit: int) -> list:
        raise UnavailableError("down")

    def send(self, files: list[Path]) -> Stored:
        return Stored(("1.2.3",))


def test_each_call_of_a_pacs_is_written_down_before_it_is_made(tmp_path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    pacs = AuditedPacs(Down(), log)
    with pytest.raises(UnavailableError):
        pacs.find(StudyQuery(patient_id="CNRY-77123", date="20260102"), 10)
    (tmp_path / "CanaryName.dcm").write_bytes(b"x" * 100)
    assert pacs.send([tmp_path / "CanaryName.dcm"]).instances == ("1.2.3",)
    query, sent = log.entries()
    assert (query["purpose"], query["fields"]) == ("PACS query", ["patient_id", "date"])
    assert (sent["to"], sent["objects"], sent["bytes"]) == ("pacs.example:104 (ARCHIVE)", 1, 100)
    written = log.path.read_text()
    assert "CNRY" not in written
    assert "Canary" not in written
    assert log.verify().broken is None


def test_the_log_is_what_the_command_shows(tmp_path, monkeypatch, capsys) -> None:
    from ui.commands.audit import show

    monkeypatch.setenv("READINGROOM_DATA_DIR", str(tmp_path))
    AuditedPacs(Down(), AuditLog(tmp_path / "audit.jsonl")).send([])
    show(as_json=False)
    assert "pacs.example:104 (ARCHIVE)" in capsys.readouterr().out


@pytest.mark.parametrize(("where", "entries"), [("https://gpu.example:443", 1), ("http://127.0.0.1:9000", 0)])
def test_a_remote_model_is_written_down_where_it_is_another_machine(tmp_path, where, entries) -> None:
    def send(body: str, deadline: float, stopped: threading.Event) -> str:
        assert len(list(log.entries())) == entries  # before anything is sent
        raise UnavailableError("down")

    log = AuditLog(tmp_path / "audit.jsonl")
    model = RemoteModel("far", "1", SimpleNamespace(where=where, send=send), 5.0, log)
    with pytest.raises(UnavailableError, match="down"):
        model.call(WireRequest(verb="answer", model="far", image=None, arguments={"question": "Who?"}), lambda *_: None)
    found = list(log.entries())
    assert [e["to"] for e in found] == [where] * entries
    assert all(e["sha256"] and "Who" not in str(e) for e in found)
