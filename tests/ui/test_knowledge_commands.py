"""`readingroom knowledge`: formats, masking, filters, delete and export."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.assistant import Assistant
    from knowledge.embed import HashEmbedder
    from ui import fetching

    monkeypatch.setattr(Assistant, "open_embedder", lambda self: HashEmbedder())
    monkeypatch.setattr(fetching, "fetch", lambda *args, **kwargs: [])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "ris.csv"
    path.write_text(
        "key,kind,words\nA1,CT,Seen by Dr. Quillfeather. Small left effusion.\n"
        "A2,DX,The heart is enlarged. No effusion.\n"
    )
    return path


COLUMNS = ("--column", "id=key", "--column", "text=words", "--column", "modality=kind")


def test_a_table_is_stored_masked_and_found(run_cli, table: Path) -> None:
    done = run_cli("knowledge", "ingest", table, *COLUMNS, "--source", "ris")
    assert done.out == "2 added, 0 updated, 0 unchanged\nmasked: 1 name\n"

    hits = json.loads(run_cli("knowledge", "search", "effusion", "--json").out)
    assert [hit["report_id"] for hit in hits] == ["A1"]
    assert "pleural effusion stated as present" in run_cli("knowledge", "search", "effusion", "--why").out
    assert json.loads(run_cli("knowledge", "search", "effusion", "--where", "modality=DX", "--json").out) == []
    kept = json.loads(run_cli("knowledge", "search", "effusion", "--where", "absent=cardiomegaly", "--json").out)
    assert [hit["report_id"] for hit in kept] == ["A1"]


def test_delete_and_export(run_cli, table: Path, tmp_path: Path) -> None:
    run_cli("knowledge", "ingest", table, *COLUMNS)

    assert run_cli("knowledge", "delete", "A1", "A9").out == "1 of 2 reports deleted\n"
    assert json.loads(run_cli("knowledge", "export", tmp_path / "out.jsonl", "--json").out)["exported"] == 1
    line = json.loads((tmp_path / "out.jsonl").read_text())
    assert line["id"] == "A2"
    again = run_cli("knowledge", "ingest", tmp_path / "out.jsonl", "--format", "export", "--no-mask", "--json")
    assert json.loads(again.out)["bad"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ingest", "ris.csv"), "columns must say which column holds what"),
        (("ingest", "ris.csv", "--column", "text"), "column must be FIELD=COLUMN"),
        (("ingest", "ris.csv", "--column", "text=report"), "must have column 'report'; it has 'key', 'kind', 'words'"),
        (("ingest", "nowhere"), "nowhere does not exist"),
        (("ingest", "ris.csv", "--format", "word"), "format must be one of openi, text"),
        (("search", "effusion", "--where", "colour=red"), "where must be FILTER=VALUE with one of modality"),
        (("search", "effusion", "--where", "present=dragon"), "present must name known findings"),
    ],
)
def test_a_wrong_call_is_one_line(run_cli, table: Path, arguments: tuple[str, ...], said: str) -> None:
    done = run_cli("knowledge", *arguments)

    assert done.code in {1, 2}
    assert said in " ".join(done.err.split())
    assert "Traceback" not in done.err
