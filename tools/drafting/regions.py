"""What a report of a body region speaks of, and in which order; the templates are in regions.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

from tools.grounding.declared import findings_named
from tools.grounding.statement import read_statement
from tools.results import Claim

ANY_PART = "*"
"""Among the body parts of a region: it is the template of its modalities whatever they show."""


@dataclass(frozen=True)
class Structure:
    """One part of a report."""

    name: str
    targets: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    neighbour: str = ""
    """The region whose edge it is; empty: it belongs to its own."""

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
    modalities: tuple[str, ...] = ()
    """Whose template it is; empty: of all that have none of their own."""
    is_joined: bool = False
    """Whether it is made of several regions."""

    def shown_by(self, modality: str) -> tuple[Structure, ...]:
        """Return the parts that an image of a modality shows; an unknown one shows all."""
        return tuple(s for s in self.structures if not s.modalities or not modality or modality in s.modalities)

    def order(self, names: Iterable[str]) -> int:
        """Return where a sentence about these targets or labels stands; what belongs nowhere stands last."""
        places = [i for i, s in enumerate(self.structures) for name in names if s.holds(name)]
        return min(places, default=len(self.structures))

    def fits(self, names: Sequence[str]) -> tuple[bool, int]:
        """Return how well the region fits what was looked at: whether it holds all as one region, and how much."""
        held = [max((1 if s.neighbour else 2 for s in self.structures if s.holds(n)), default=0) for n in names]
        return all(held) and not self.is_joined, sum(held)

    def means(self, body_part: str) -> bool:
        """Return whether a BodyPartExamined is of this region."""
        return bool(body_part) and (body_part in (self.name, *self.also) or ANY_PART in self.also)


@cache
def regions() -> tuple[Region, ...]:
    """Return the regions of regions.toml."""
    table = tomllib.loads(Path(__file__).with_name("regions.toml").read_text(encoding="utf-8"))
    own = {name: tuple(_structure(s) for s in entry.get("structures", ())) for name, entry in table.items()}
    return tuple(
        Region(
            name,
            tuple(entry.get("also", ())),
            _joined(entry["parts"], own) if "parts" in entry else own[name],
            tuple(entry.get("modalities", ())),
            "parts" in entry,
        )
        for name, entry in table.items()
    )


def _structure(entry: Mapping[str, Any]) -> Structure:
    lists = {key: tuple(entry.get(key, ())) for key in ("targets", "findings", "modalities")}
    return Structure(entry["name"], **lists, neighbour=entry.get("neighbour", ""))


def _joined(parts: Sequence[str], own: Mapping[str, Sequence[Structure]]) -> tuple[Structure, ...]:
    """Return the parts of several regions in their order, those of the same name as one, without edges told anyway."""
    found: dict[str, Structure] = {}
    for structure in (s for part in parts for s in own[part] if s.neighbour not in parts):
        if (same := found.get(structure.name)) is None:
            found[structure.name] = structure
            continue
        found[structure.name] = replace(
            same,
            targets=tuple(dict.fromkeys(same.targets + structure.targets)),
            findings=tuple(dict.fromkeys(same.findings + structure.findings)),
            modalities=tuple(dict.fromkeys(same.modalities + structure.modalities))
            if same.modalities and structure.modalities
            else (),
        )
    return tuple(found.values())


def region_of(body_part: str, targets: Iterable[str], modality: str = "") -> Region | None:
    """Return the region by the header, a modality's own template first; where it is silent, by what was looked at.

    Args:
        body_part: BodyPartExamined; empty: not said.
        targets: what was looked at: one region that holds all of it is then meant, else the one that holds most.
        modality: DICOM code; empty: unknown.
    """
    known = [r for r in regions() if not r.modalities or modality in r.modalities]
    known.sort(key=lambda region: not region.modalities)
    if found := next((r for r in known if r.means(body_part)), None):
        return found
    named = tuple(targets)
    best = max(known, key=lambda region: region.fits(named))
    return best if any(s.holds(n) for s in best.structures for n in named) else None


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
