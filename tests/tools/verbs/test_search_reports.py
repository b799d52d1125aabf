"""Hits keep the report's own words."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

from tools.verbs.search_reports import NOTE, search_reports


def test_a_hit_names_report_sentence_offsets_and_reason(make_ctx) -> None:
    result = search_reports(make_ctx(), query="clear lungs", k=3)
    (hit,) = result.hits
    assert (hit.report_id, hit.sentence, hit.start, hit.end) == ("CXR7", "The lungs are clear.", 10, 30)
    assert hit.source == "test"
    assert result.notes == (NOTE,)
    assert result.summary == "1 report of other patients matches the query “clear lungs”."


def test_no_hit_is_said_and_not_filled_up(make_ctx) -> None:
    result = search_reports(make_ctx(), query="nothing like it", k=3)
    assert result.hits == ()
    assert result.summary == "No stored report is close enough to the query “nothing like it”."


def test_an_empty_store_is_not_told_as_nothing_like_it(make_ctx) -> None:
    empty = SimpleNamespace(is_empty=True, search=lambda *args, **kwargs: [])
    result = search_reports(dataclasses.replace(make_ctx(), open_knowledge=lambda: empty), query="effusion", k=3)
    assert result.hits == ()
    assert result.summary.startswith("The report store is empty, so nothing was searched")
    assert "readingroom knowledge ingest" in result.summary
