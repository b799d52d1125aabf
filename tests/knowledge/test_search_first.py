from pathlib import Path

from knowledge.embed import HashEmbedder
from knowledge.report import report_from_sections
from knowledge.search import Knowledge


def test_a_stored_sentence_is_found_with_its_offsets(tmp_path: Path) -> None:
    knowledge = Knowledge.open(tmp_path, HashEmbedder())
    report = report_from_sections(
        [("findings", "The heart is enlarged. No effusion."), ("impression", "1. Cardiomegaly.")],
        id="R1",
        source="test",
    )
    assert knowledge.ingest([report]).added == 1
    assert knowledge.ingest([report]).unchanged == 1

    hits = knowledge.search("the heart is enlarged", k=3)

    assert [hit.report_id for hit in hits] == ["R1"]
    assert report.text[hits[0].start : hits[0].end] == hits[0].sentence == "The heart is enlarged."
    knowledge.close()
