"""What a cited id holds: declared quantities with their subject, what was found and not found, texts, images."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tools.workspace import Artifact

Status = Literal["present", "absent", "uncertain", "above", "below", "unrated", "historical", "hypothetical"]
Basis = Literal["score", "box", "opinion", "report"]
Source = Literal["artifact", "attachment", "own report", "other report"]


UNCERTAINTY = "_uncertainty"
"""How the name of a quantity ends that is only another one's ±; a sentence may give it behind ± alone."""


@dataclass(frozen=True)
class Quantity:
    """A value in the evidence; what it is of and which quantity it is, where the data says so."""

    value: float
    unit: str = ""
    targets: tuple[str, ...] = ()
    """What it was measured on, in the order of the method: a ratio has two."""
    name: str = ""
    """volume, longest_diameter, score, operating_point, …"""
    image: str = ""

    @property
    def is_uncertainty(self) -> bool:
        """Whether it is how far another quantity may be off."""
        return self.name.endswith(UNCERTAINTY)


@dataclass(frozen=True)
class Assertion:
    """What the evidence says of a finding, and what kind of evidence says it."""

    finding: str
    status: Status
    basis: Basis
    sides: frozenset[str] = frozenset()
    sentence: str = ""


@dataclass(frozen=True)
class Trend:
    """How a quantity changed between two studies."""

    target: str
    quantity: str
    status: str
    """new, changed, unchanged or resolved."""
    current: float | None
    prior: float | None
    unit: str

    @property
    def sign(self) -> int:
        """1 where it counts as grown, −1 as shrunk, 0 where it does not count as changed."""
        if self.status in ("unchanged", "new", "resolved") or self.current is None or self.prior is None:
            return 0
        return (self.current > self.prior) - (self.current < self.prior)


@dataclass(frozen=True)
class BoxSaid:
    """One box of a detection, for sentences that name it by its place in the order."""

    score: float | None
    size: tuple[float, ...]
    """In millimetres where the image has them, else in voxels."""
    numbers: tuple[float, ...]
    """Every number that a sentence may say of it: score, edges, extents."""


@dataclass(frozen=True)
class _Held:
    """What a result declares and, kept, is evidence with."""

    quantities: tuple[Quantity, ...] = ()
    text: str = ""
    """For a report: its whole text. For a model's opinion: its words."""
    assertions: tuple[Assertion, ...] = ()
    found: tuple[str, ...] = ()
    not_found: tuple[str, ...] = ()
    """Targets that were looked at, and those that were looked for and not found."""
    is_change: bool = False
    """Whether it compares two studies."""
    trends: tuple[Trend, ...] = ()
    dates: tuple[tuple[str, str], ...] = ()
    """Of a comparison: ("current", "2026-01-31"), ("prior", …), as far as the studies say."""
    ratings: tuple[tuple[str, str], ...] = ()
    """What a tool judged of an aspect: ("noise", "ok")."""
    in_order: tuple[tuple[str, tuple[float, ...]], ...] = ()
    """Per label the scores of its boxes, best first: "the second" is one of them."""
    boxed: tuple[BoxSaid, ...] = ()
    """Its boxes, best first."""


@dataclass(frozen=True)
class Evidence(_Held):
    """What a cited id holds."""

    id: str = ""
    source: Source = "artifact"
    declared: bool = False
    """Whether every quantity names what it is of; then a number must match in that too."""
    statements: tuple[str, ...] = ()
    """Sentences that the tool itself said: its summary, its notes."""
    said: tuple[Quantity, ...] = ()
    """Numbers of its summary and notes: they count for those sentences only."""
    words: frozenset[str] = frozenset()
    """Words of its data, which a sentence may use."""
    images: tuple[str, ...] = ()
    modalities: frozenset[str] = frozenset()
    sequences: tuple[tuple[str, tuple[float, ...]], ...] = ()
    """Lists of numbers with their unit, such as a shape or a spacing."""
    kind: str = ""
    is_opinion: bool = False

    @property
    def targets(self) -> tuple[str, ...]:
        """Everything it speaks of by name."""
        measured = (t for q in self.quantities for t in q.targets)
        return tuple(dict.fromkeys((*self.found, *self.not_found, *measured)))


LookUp = Callable[[str], Evidence | None]


@dataclass(frozen=True)
class Declared(_Held):
    """What one kind of result declares to the checks; everything else is read from its data."""

    is_complete: bool = True
    """Whether no other number of its data may be quoted."""
    sizes: tuple[tuple[str, tuple[float, ...]], ...] = ()
    """Extents of boxes with their unit, which the data gives by their edges."""
    counts: tuple[int, ...] | None = None
    """How many things there are that a sentence may count; None: its lists are counted."""


Declares = Callable[["Artifact"], Declared]
_DECLARATIONS: dict[str, Declares] = {}


def declares(*kinds: str) -> Callable[[Declares], Declares]:
    """Register what results of a kind declare: `@declares("scores")` above a function of the artifact."""

    def register(function: Declares) -> Declares:
        _DECLARATIONS.update(dict.fromkeys(kinds, function))
        return function

    return register


def declared_by(artifact: Artifact) -> Declared | None:
    """Return what an artifact's kind declares, or None: then its data is read for numbers and words."""
    import tools.grounding.declared  # noqa: F401  registers ours

    declare = _DECLARATIONS.get(artifact.kind)
    return declare(artifact) if declare else None


def measures_of(evidence: Iterable[Evidence]) -> dict[str, str]:
    """Return wording → quantity for every quantity of evidence that has a name of its own."""
    from tools.grounding.lexicon import lexicon

    names = {q.name for e in evidence for q in e.quantities if "_" in q.name and q.targets}
    own = {n for n in names if n not in lexicon()["quantities"] and not n.endswith(("ratio", UNCERTAINTY))}
    return {name.replace("_", " ").lower(): name for name in own}


def names_of(evidence: Iterable[Evidence]) -> dict[str, str]:
    """Return wording → target for everything that evidence speaks of by name."""
    names: dict[str, str] = {}
    for item in evidence:
        for target in item.targets:
            words = target.lower().replace("_", " ").replace("-", " ").split()
            sides = [w for w in words if w in ("left", "right")]
            readable = " ".join(sides + [w for w in words if w not in sides])
            names |= {" ".join(words): target, readable: target}
            names |= {f"{readable}s": target}
    return names
