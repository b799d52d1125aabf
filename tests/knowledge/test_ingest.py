from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from knowledge.embed import HashEmbedder, Vectors
from knowledge.errors import BadRecordError, StoreBusyError, StoreMismatchError, UnavailableError
from knowledge.readers.incoming import Incoming
from tests.knowledge.stores import REPORTS, Opener, make_report, start_server, stop_server


class CountingEmbedder(HashEmbedder):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.texts += texts
        return super().embed(texts)


def test_each_distinct_sentence_is_embedded_once(open_knowledge: Opener) -> None:
    embedder = CountingEmbedder()
    knowledge = open_knowledge(embedder=embedder)

    knowledge.ingest(
        [make_report("A", "The heart is enlarged. Lungs are clear."), make_report("B", "THE HEART IS ENLARGED")]
    )
    knowledge.ingest([make_report("C", "The heart is enlarged.")])

    assert sorted(embedder.texts) == ["lungs are clear", "the heart is enlarged"]
    assert knowledge.stats().sentences == 4
    assert knowledge.stats().distinct_sentences == 2


def test_ingesting_twice_changes_nothing_and_a_change_replaces(open_knowledge: Opener, server: str | None) -> None:
    knowledge = open_knowledge(server=server)
    knowledge.ingest(REPORTS)
    again = knowledge.ingest([*REPORTS[1:], make_report("R1", "No abnormality."), BadRecordError("x.xml is bad")])

    assert (again.added, again.updated, again.unchanged, again.bad) == (0, 1, 5, ["x.xml is bad"])
    assert [hit.report_id for hit in knowledge.search("enlarged heart")] == ["R3"]
    assert knowledge.report("R1").section_text("findings") == "No abnormality."
    assert knowledge.stats().reports == len(REPORTS)


def test_a_report_twice_in_one_batch_counts_once(open_knowledge: Opener) -> None:
    knowledge = open_knowledge()
    summary = knowledge.ingest(
        [make_report("A", "Effusion."), make_report("A", "Effusion."), make_report("A", "Clear.")]
    )

    assert (summary.added, summary.unchanged, summary.updated) == (1, 1, 1)
    assert knowledge.report("A").section_text("findings") == "Clear."


def test_delete_takes_sentences_and_vectors_along(open_knowledge: Opener, server: str | None) -> None:
    knowledge = open_knowledge(server=server)
    knowledge.ingest(REPORTS)
    before = knowledge.stats()

    assert knowledge.delete(["R1", "R1", "nobody"]) == 1

    after = knowledge.stats()
    assert (after.reports, after.vectors) == (before.reports - 1, after.distinct_sentences)
    assert "R1" not in [hit.report_id for hit in knowledge.search("enlarged heart")]
    assert [report.id for report in knowledge.export()] == ["R2", "R3", "R4", "R5", "R6"]


def test_progress_is_told_and_may_stop_it(open_knowledge: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowledge.ingest._BATCH_REPORTS", 2)
    knowledge = open_knowledge()
    told: list[tuple[int, int | None]] = []

    def stop_after_four(done: int, total: int | None) -> None:
        told.append((done, total))
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        knowledge.ingest(REPORTS, stop_after_four, 6)

    assert told == [(2, 6), (4, 6)]
    assert knowledge.stats().reports == 4
    assert knowledge.ingest(REPORTS).added == 2


def test_another_embedder_is_refused_with_what_to_do(open_knowledge: Opener, server: str | None) -> None:
    open_knowledge(server=server).ingest(REPORTS)

    with pytest.raises(
        StoreMismatchError, match="dimension 64, the embedder in use has 32; use that embedder, or ingest"
    ):
        open_knowledge(embedder=HashEmbedder(32), server=server)


def test_other_weights_of_the_same_name_are_refused(open_knowledge: Opener) -> None:
    open_knowledge().ingest(REPORTS)
    other = HashEmbedder()
    other.hash = "f" * 16

    with pytest.raises(StoreMismatchError, match="embedder_hash"):
        open_knowledge(embedder=other)


def test_an_older_layout_is_refused_and_never_misread(
    open_knowledge: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_knowledge().ingest(REPORTS)
    monkeypatch.setattr("knowledge.database.LAYOUT_VERSION", 99)

    with pytest.raises(
        StoreMismatchError, match="has layout 1, this version of Reading Room reads layout 99; export it"
    ):
        open_knowledge()


def test_a_damaged_database_is_one_clear_error(open_knowledge: Opener, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "reports.sqlite").write_bytes(b"no database at all" * 100)

    with pytest.raises(UnavailableError, match="can't be opened"):
        open_knowledge()


def run_python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def test_a_store_that_another_process_writes_is_refused(open_knowledge: Opener, tmp_path: Path) -> None:
    knowledge = open_knowledge()
    knowledge.ingest(REPORTS)
    holder = run_python(
        """
        import sys
        from pathlib import Path
        from knowledge.database import WriteLock
        with WriteLock(Path(sys.argv[1]) / "writer.sqlite"):
            print("held", flush=True)
            sys.stdin.read()
        """,
        str(tmp_path / "store"),
    )
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreBusyError, match="is being written by another process; wait for it, then repeat"):
            knowledge.ingest([make_report("N", "Effusion.")])
        assert knowledge.search("rib fractures")[0].report_id == "R6"
    finally:
        holder.kill()
        holder.communicate()

    assert knowledge.ingest([make_report("N", "Effusion.")]).added == 1


def test_a_killed_ingestion_goes_on_where_it_was(open_knowledge: Opener, tmp_path: Path) -> None:
    writer = run_python(
        """
        import os, sys
        from pathlib import Path
        import knowledge.ingest
        from knowledge.embed import HashEmbedder
        from knowledge.report import report_from_sections
        from knowledge.search import Knowledge
        knowledge.ingest._BATCH_REPORTS = 10
        store = Knowledge.open(Path(sys.argv[1]), HashEmbedder())
        text = "Nodule number {}."
        reports = [
            report_from_sections([("findings", text.format(n))], id=f"K{n}", source="t") for n in range(100)
        ]
        put = store._vectors.put
        def die_between_vectors_and_database(ids, vectors):
            put(ids, vectors)
            if len(store._database.hashes()) == 50:
                os.kill(os.getpid(), 9)
        store._vectors.put = die_between_vectors_and_database
        store.ingest(reports)
        """,
        str(tmp_path / "store"),
    )
    writer.communicate()
    assert writer.returncode == -9
    knowledge = open_knowledge()
    reports = [make_report(f"K{n}", f"Nodule number {n}.", source="t") for n in range(100)]

    assert knowledge.stats().reports == 50
    assert (summary := knowledge.ingest(reports)).added == 50
    assert summary.unchanged == 50
    assert knowledge.stats().vectors == knowledge.stats().distinct_sentences == 100


def test_what_another_process_wrote_is_seen(open_knowledge: Opener, tmp_path: Path) -> None:
    knowledge = open_knowledge()
    knowledge.ingest(REPORTS)
    assert knowledge.search("zebra pattern of unknown origin") == []
    other = run_python(
        """
        import sys
        from pathlib import Path
        from knowledge.embed import HashEmbedder
        from knowledge.report import report_from_sections
        from knowledge.search import Knowledge
        store = Knowledge.open(Path(sys.argv[1]), HashEmbedder())
        store.ingest([report_from_sections([("findings", "Zebra pattern of unknown origin.")], id="Z", source="t")])
        """,
        str(tmp_path / "store"),
    )
    _, errors = other.communicate()
    assert other.returncode == 0, errors

    hit = knowledge.search("zebra pattern of unknown origin")[0]

    assert hit.report_id == "Z"
    assert "meaning close to the query (1.00)" in hit.why


def test_a_second_client_of_a_server_sees_the_reports(
    open_knowledge: Opener, tmp_path: Path, chroma_server: str
) -> None:
    process, url = start_server(tmp_path / "chroma")
    try:
        first = open_knowledge(tmp_path / "one", server=url)
        first.ingest(REPORTS)
        second = open_knowledge(tmp_path / "two", server=url)
        assert second.search("broken ribs")[0].report_id == "R6"
        second.delete(["R6"])
        second.ingest([make_report("R7", "Hiatal hernia.")])
        first.close()

        third = open_knowledge(tmp_path / "one", server=url)

        assert third.search("broken ribs") == []
        assert third.search("hiatal hernia")[0].report_id == "R7"
        assert third.stats().reports == 6
    finally:
        stop_server(process)


def test_a_server_that_goes_away_loses_nothing(
    open_knowledge: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("knowledge.ingest._BATCH_REPORTS", 2)
    process, url = start_server(tmp_path / "chroma")
    knowledge = open_knowledge(server=url)

    def kill_after_two(done: int, _total: int | None) -> None:
        if done == 2:
            stop_server(process)

    with pytest.raises(UnavailableError, match=r"failed .*; start it with 'chroma run', then repeat: nothing is lost"):
        knowledge.ingest(REPORTS, kill_after_two)
    assert [report.id for report in knowledge.export()] == ["R1", "R2"]
    knowledge.close()

    process, url = start_server(tmp_path / "chroma", int(url.rpartition(":")[2]))
    try:
        again = open_knowledge(server=url)
        assert again.ingest(REPORTS).added == 4
        assert [hit.report_id for hit in again.search("broken ribs")] == ["R6"]
    finally:
        stop_server(process)


@pytest.mark.parametrize("url", ["127.0.0.1:1", "ftp://host"])
def test_a_server_setting_must_be_an_address(open_knowledge: Opener, url: str) -> None:
    from knowledge.errors import BadInputError

    with pytest.raises(BadInputError, match="server must be a URL such as"):
        open_knowledge(server=url)


def test_a_server_that_is_not_there(open_knowledge: Opener) -> None:
    with pytest.raises(
        UnavailableError, match=r"Chroma server http://127\.0\.0\.1:9 failed .*start it with 'chroma run'"
    ):
        open_knowledge(server="http://127.0.0.1:9")


def test_a_full_disk_loses_nothing(open_knowledge: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    knowledge = open_knowledge()
    knowledge.ingest(REPORTS[:2])
    knowledge._database._connection.execute("PRAGMA max_page_count = 40")
    big = [make_report(f"B{n}", " ".join(f"Word{n}x{m} nodule." for m in range(400))) for n in range(40)]

    with pytest.raises(UnavailableError, match=r"can't be written .*free some space"):
        knowledge.ingest(big)

    assert knowledge.stats().reports == 2
    assert knowledge.search("pleural effusion")[0].report_id == "R2"


CANARIES = ("Zyxworth", "Quillfeather", "99887766", "1931-02-03")


def test_identifiers_never_reach_the_store(open_knowledge: Opener, tmp_path: Path) -> None:
    text = (
        "Zyxworth Quillfeather was seen by Dr. Quillfeather. MRN: 99887766. Born 1931-02-03. The heart is enlarged. "
        "Mrs Zyxworth has no effusion."
    )
    report = make_report("A", text, title="CT of Zyxworth", patient="99887766")
    knowledge = open_knowledge()

    summary = knowledge.ingest([Incoming(report, ("Zyxworth Quillfeather", "99887766"))])
    knowledge.search("enlarged heart")
    knowledge.close()

    stored = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()).lower()
    exported = str([found.model_dump_json() for found in open_knowledge().export()]).lower()
    for canary in CANARIES:
        assert canary.lower().encode() not in stored
        assert canary.lower() not in exported
    assert summary.masked["name"] >= 3
    assert summary.masked["number"] >= 1
    assert not set(CANARIES) & set(str(summary).split())


def test_masking_keeps_sections_and_can_be_switched_off(open_knowledge: Opener) -> None:
    report = make_report("A", "Seen by Dr. Quillfeather. The heart is enlarged.", "No effusion.")
    masked, plain = open_knowledge(), None
    masked.ingest([report])

    assert masked.report("A").section_text("impression") == "No effusion."
    assert masked.report("A").section_text("findings") == "Seen by Dr. [NAME]. The heart is enlarged."
    hit = masked.search("enlarged heart")[0]
    assert masked.report("A").text[hit.start : hit.end] == "The heart is enlarged."

    plain = masked
    assert plain.ingest([report], masking=False).updated == 1
    assert plain.report("A") == report


def test_one_patient_keeps_one_key(open_knowledge: Opener) -> None:
    knowledge = open_knowledge()
    knowledge.ingest(
        [make_report(name, "Clear.", patient=patient) for name, patient in (("A", "7"), ("B", "7"), ("C", "8"))]
    )
    keys = [report.patient for report in knowledge.export()]

    assert keys[0] == keys[1] != keys[2]
    assert keys[0] != "7"


def test_vectors_are_unit_length() -> None:
    vectors = HashEmbedder().embed(["a b", ""])

    assert np.linalg.norm(vectors[0]) == pytest.approx(1)
    assert np.linalg.norm(vectors[1]) == 0


def test_an_export_is_read_back_as_it_was(open_knowledge: Opener, tmp_path: Path) -> None:
    from knowledge.readers.export import write_export
    from knowledge.readers.formats import read_reports

    knowledge = open_knowledge()
    knowledge.ingest(REPORTS)
    path = tmp_path / "out.jsonl"
    assert write_export(knowledge.export(), path) == len(REPORTS)
    with path.open("a") as stream:
        stream.write('{"id": "x"}\n')

    records, _ = read_reports(path, format_name="export")
    other = open_knowledge(tmp_path / "other")
    summary = other.ingest(records, masking=False)

    assert summary.added == len(REPORTS)
    assert "line 7 is no exported report" in summary.bad[0]
    assert list(other.export()) == list(knowledge.export())
    assert [found.name for found in tmp_path.glob("*.part")] == []
    with pytest.raises(UnavailableError, match="can't be written"):
        write_export(knowledge.export(), tmp_path / "nowhere" / "out.jsonl")
