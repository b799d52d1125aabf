"""Which series of what was brought go with the next request, and which of them are earlier studies."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pydantic import TypeAdapter, ValidationError

from tools.imaging.series import SeriesInfo, Study, studies_of
from ui.components.html import day_text

if TYPE_CHECKING:
    from ui.page import StudyState
    from ui.uploads import Brought
    from ui.viewing.pointed import Pin

logger = logging.getLogger(f"readingroom.{__name__}")

Chosen = tuple[str, int]
"""Path of what was brought, and the number of a series in it."""
_IDS: TypeAdapter[list[str]] = TypeAdapter(list[str])


class Waiting(NamedTuple):
    """One image or report that goes with the next request."""

    id: str
    """As the viewer calls it until it is attached: new1, new2.3."""
    item: Brought
    series: SeriesInfo | None
    """The chosen one of several; None where there is no choice."""
    study: str
    """By what it is called where earlier studies are named."""


def readable(study: StudyState) -> list[tuple[int, Brought]]:
    """Return what can be attached, each with the number by which its ids are made."""
    return [(item.number, item) for item in study.brought if not item.problem]


def id_of(number: int, series: SeriesInfo | None) -> str:
    """Return the id of an upload, or of one of its series, until it is attached."""
    return f"new{number}.{series.number}" if series else f"new{number}"


def waiting(study: StudyState) -> list[Waiting]:
    """Return what goes with the next request: of several series those that were chosen."""
    found = []
    for number, item in readable(study):
        if not item.must_choose:
            found.append(Waiting(id_of(number, None), item, None, item.name))
        for part in studies_of(item.series) if item.must_choose else ():
            chosen = [s for s in part.series if (str(item.path), s.number) in study.chosen]
            found += [Waiting(id_of(number, s), item, s, study_text(part)) for s in chosen]
    return found


def study_text(study: Study) -> str:
    """Return a study in words: "2 Jan 2026 · CT THORAX"."""
    return " · ".join(part for part in (day_text(study.date) or "date unknown", study.description) if part)


def with_brought(study: StudyState, brought: Sequence[Brought]) -> StudyState:
    """Return the state with other things brought; choices stay, and what is new begins with its first choice.

    What is new gets a number that nothing had before: a picture of one thing must never stand for another's.
    """
    numbers = {item.path: item.number for item in study.brought}
    new = dict.fromkeys(item.path for item in brought if not item.problem and item.path not in numbers)
    numbers |= {path: number for number, path in enumerate(new, study.given + 1)}
    brought = [replace(item, number=numbers.get(item.path, 0)) for item in brought]
    known = {str(item.path) for item in study.brought}
    paths = {str(item.path) for item in brought}
    kept = tuple(c for c in study.chosen if c[0] in paths)
    first = tuple(first_choice(item) for item in brought if item.must_choose and str(item.path) not in known)
    after = replace(study, brought=tuple(brought), chosen=kept + first, given=study.given + len(new))
    return _with_choice(study, after)


def first_choice(item: Brought) -> Chosen:
    """Return the series with the most images of the newest study: a localizer is seldom what is meant."""
    newest = studies_of(item.series)[0]
    return str(item.path), max(newest.series, key=lambda s: s.images).number


def choose(study: StudyState, said: str) -> StudyState:
    """Return the state with the series that the page says are chosen: a JSON list of their ids."""
    try:
        ids = set(_IDS.validate_json(said))
    except ValidationError:
        logger.warning("the page sent a choice of series that is none")
        return study
    chosen = tuple(
        (str(item.path), s.number)
        for number, item in readable(study)
        if item.must_choose
        for s in item.series
        if id_of(number, s) in ids
    )
    return _with_choice(study, replace(study, chosen=chosen))


def point(study: StudyState, pins: tuple[Pin, ...]) -> StudyState:
    """Return the state with what was pointed at: a series that somebody points into goes with the request.

    One that was unticked since stays so: only what is pointed at anew ticks a series.
    """
    images = {pin.image for pin in pins if pin not in study.pointed}
    into = tuple(
        (str(item.path), s.number)
        for number, item in readable(study)
        if item.must_choose
        for s in item.series
        if id_of(number, s) in images
    )
    chosen = tuple(dict.fromkeys((*study.chosen, *into)))
    return _with_choice(study, replace(study, chosen=chosen, pointed=pins))


def studies(study: StudyState) -> list[str]:
    """Return the studies of what waits, by name: those among which some may be earlier ones."""
    return list(dict.fromkeys(w.study for w in waiting(study)))


def _with_choice(before: StudyState, after: StudyState) -> StudyState:
    """Keep what the person said of earlier studies; of those that come in, a date that is older says it."""
    offered, on_offer = set(studies(before)), studies(after)
    older = {name for name in _older(after) if name not in offered}
    return replace(after, priors=tuple(n for n in on_offer if n in older or n in before.priors))


def _older(study: StudyState) -> Iterable[str]:
    """Yield the chosen studies of one upload that are older than its newest chosen one, by their dates."""
    for _, item in readable(study):
        own = [w for w in waiting(study) if w.item is item and w.series and w.series.study_date]
        newest = max((w.series.study_date for w in own if w.series), default="")
        yield from (w.study for w in own if w.series and w.series.study_date < newest)
