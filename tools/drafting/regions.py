"""What a report of a body region speaks of, and in which order; the templates are in regions.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from tools.grounding.declared import findings_named
from tools.grounding.statement import read_statement
from tools.results import Claim


@dataclass(frozen=True)
class Structure:
    """One part of a report."""

    name: str
    targets: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()

    def holds(self, name: str) -> bool:
        """Return whether a target or a model's label belongs here."""
        known = set(self.findings)
        return any(fnmatch(name, pattern) for pattern in self.targets) or bool(known & set(findings_named(name)))


@dataclass(frozen=True)
class Region:
    """A body region: its parts in reading order."""

    name: str
    also: tuple[str, ...]
    structures: tuple[Structure, ...]

    def shown_by(self, modality: str) -> tuple[Structure, ...]:
        """Return the parts that an image of a modality shows; an unknown one shows all."""
        return tuple(s for s in self.structures if not s.modalities or not modality or modality in s.modalities)

    def order(self, names: Iterable[str]) -> int:
        """Return where a sentence about these targets or labels stands; what belongs nowhere stands last."""
        places = [i for i, s in enumerate(self.structures) for name in names if s.holds(name)]
        return min(places, default=len(self.structures))


@cache
def regions() -> tuple[Region, ...]:
    """Return the regions of regions.toml."""
    table = tomllib.loads(Path(__file__).with_name("regions.toml").read_text(encoding="utf-8"))
    return tuple(
        Region(
            name,
            tuple(entry["also"]),
            tuple(
                Structure(s["name"], tuple(s["targets"]), tuple(s.get("findings", ())), tuple(s.get("modalities", ())))
                for s in entry["structures"]
            ),
        )
        for name, entry in table.items()
    )


def region_of(body_part: str, targets: Iterable[str]) -> Region | None:
    """Return the region by the header; where that is silent, the first whose leading part was looked at."""
    for region in regions():
        if body_part and body_part in (region.name, *region.also):
            return region
    named = tuple(targets)
    return next((r for r in regions() if any(r.structures[0].holds(t) for t in named)), None)


def in_reading_order(claims: Sequence[Claim], region: Region | None, names: Sequence[str]) -> list[Claim]:
    """Return sentences in the order of the region's parts; those of one part stay as they came.

    Args:
        claims: the sentences.
        region: the body region; None leaves the order.
        names: targets and labels that the evidence knows.
    """
    if region is None:
        return list(claims)
    known = {name.replace("_", " ").lower(): name for name in names}
    places = []
    for claim in claims:
        said = [n for s in read_statement(claim.text, known).structures for n in s.names]
        places.append(region.order(said))
    return [claim for _, claim in sorted(zip(places, claims, strict=True), key=lambda pair: pair[0])]
