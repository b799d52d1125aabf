"""Does a sentence follow from its evidence? Ids exist, numbers equal a measured value, quotes are word for word.

A number agrees with a value when the value, rounded to the digits shown, equals it; ml and l, mm and cm are converted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from knowledge.errors import NotFoundError
from tools.facts import AttachmentFacts
from tools.results import Claim

if TYPE_CHECKING:
    from knowledge.search import Knowledge
    from tools.workspace import Workspace

NUMBER = re.compile(
    r"(?<![\w.])([−-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?|[−-]?\d+(?:\.\d+)?)(?!\w)(?:\s?(ml|cm3|l|mm|cm|HU|%|cm2|mm2))?"
)
_QUOTE = re.compile(r"“([^”]*)”")
# target unit → units it may be converted from, with the factor
_FACTORS: Mapping[str, Mapping[str, float]] = {
    "l": {"ml": 0.001},
    "ml": {"l": 1000.0, "cm3": 1.0},
    "cm3": {"ml": 1.0},
    "cm": {"mm": 0.1},
    "mm": {"cm": 10.0},
    "cm2": {"mm2": 0.01},
    "mm2": {"cm2": 100.0},
}


@dataclass(frozen=True)
class Quantity:
    """A value in the evidence; the unit is empty where the data names none."""

    value: float
    unit: str = ""


@dataclass(frozen=True)
class Evidence:
    """What a cited id holds."""

    quantities: tuple[Quantity, ...] = ()
    text: str = ""
    """For a stored report: its whole text."""


def problem_with(claim: Claim, look_up: Callable[[str], Evidence | None]) -> str | None:
    """Return why a claim does not follow from its evidence, or None when it does.

    Args:
        claim: one sentence with evidence ids.
        look_up: returns what an id holds, or None when there is no such evidence.
    """
    found: list[Evidence] = []
    for evidence_id in claim.evidence:
        evidence = look_up(evidence_id)
        if evidence is None:
            return f"it cites {evidence_id!r}, which does not exist"
        found.append(evidence)
    if not found:
        return None if claim.kind in ("general", "not examined") else "it cites no evidence"
    if claim.kind == "quoted":
        return _misquoted(claim.text, found)
    return _unmeasured(claim.text, [q for e in found for q in e.quantities])


def _misquoted(text: str, found: Iterable[Evidence]) -> str | None:
    for quote in _QUOTE.findall(text):
        if not any(quote in e.text for e in found):
            return f"the quoted words “{quote[:60]}” are not in the cited report"
    return None


def _unmeasured(text: str, quantities: list[Quantity]) -> str | None:
    for match in NUMBER.finditer(text):
        shown, unit = match.group(1), match.group(2) or ""
        number = float(shown.replace(",", "").replace("−", "-"))
        digits = len(shown.partition(".")[2])
        if not any(_agrees(number, unit, digits, q) for q in quantities):
            return f"no cited evidence holds the value {match.group(0).strip()}"
    return None


def _agrees(number: float, unit: str, digits: int, quantity: Quantity) -> bool:
    if not unit or not quantity.unit or unit == quantity.unit:
        value = quantity.value
        if unit and not quantity.unit and unit != "%":
            return False
    else:
        factor = _FACTORS.get(unit, {}).get(quantity.unit)
        if factor is None:
            return False
        value = quantity.value * factor
    return bool(abs(value - number) <= 0.5 * 10**-digits + 1e-9)


def evidence_in(workspace: Workspace, open_knowledge: Callable[[], Knowledge]) -> Callable[[str], Evidence | None]:
    """Return a look-up of what an evidence id holds: an attachment, a step's result, or a stored report."""

    def look_up(evidence_id: str) -> Evidence | None:
        if evidence_id in (facts := workspace.facts()):
            return _of_attachment(workspace, facts[evidence_id])
        if workspace.has_artifact(evidence_id):
            artifact = workspace.artifact(evidence_id)
            return Evidence(tuple(quantities_in({"summary": artifact.summary, "data": artifact.data})))
        try:
            return Evidence(text=open_knowledge().report(evidence_id).text)
        except NotFoundError:
            return None

    return look_up


def _of_attachment(workspace: Workspace, facts: AttachmentFacts) -> Evidence:
    found = list(quantities_in(facts.model_dump(mode="json")))
    if facts.kind == "image":
        from tools.imaging.geometry import describe_geometry

        volume = workspace.volume(facts.id)
        found += quantities_in(describe_geometry(volume))
    return Evidence(tuple(found))


def quantities_in(data: object) -> Iterator[Quantity]:
    """Yield every number in JSON data; measurement rows keep their unit, strings their numbers."""
    if isinstance(data, bool):
        return
    if isinstance(data, int | float):
        yield Quantity(float(data))
    elif isinstance(data, str):
        for match in NUMBER.finditer(data):
            value = float(match.group(1).replace(",", "").replace("−", "-"))
            yield Quantity(value, match.group(2) or "")
    elif isinstance(data, Mapping):
        yield from _quantities_in_mapping(data)
    elif isinstance(data, list | tuple):
        for item in data:
            yield from quantities_in(item)


_UNIT_SUFFIXES = {"_mm": "mm", "_ml": "ml", "_hu": "HU", "_cm2": "cm2", "_mm2": "mm2"}


def _quantities_in_mapping(data: Mapping[object, object]) -> Iterator[Quantity]:
    unit = data.get("unit")
    if isinstance(unit, str) and isinstance(value := data.get("value"), int | float):
        yield Quantity(float(value), unit)
        return
    for key, item in data.items():
        suffix = next((u for s, u in _UNIT_SUFFIXES.items() if str(key).endswith(s)), "")
        for quantity in quantities_in(item):
            yield Quantity(quantity.value, quantity.unit or suffix)
