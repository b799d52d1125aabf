"""Hits keep the report's own words."""

from __future__ import annotations

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
