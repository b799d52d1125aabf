"""One thing of a true sentence made false. Each function returns the false claim, or None where it does not apply."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import wraps
from itertools import pairwise
from random import Random

from tools.claims import readable
from tools.grounding.numbers import NumberSaid, numbers_in
from tools.results import Claim, ClaimKind
from tools.trials.readings import FOREIGN, ORGANS, MadeReading

Corruption = Callable[[Claim, MadeReading, Random], Claim | None]
CORRUPTIONS: dict[str, Corruption] = {}

_UNITS = {"ml": ("l", "mm", "cm"), "mm": ("cm", "ml"), "HU": ("ml", "%"), "cm2": ("mm", "ml"), "l": ("ml", "cm")}
_QUANTITIES = (
    ("volume", "surface area"), ("mean", "median"), ("Mean", "Maximum"), ("average", "minimum"),
    ("Longest", "Longest perpendicular"),
    ("longest", "shortest"), ("surface area", "volume"), ("Surface area", "Volume"), ("score", "volume"),
)  # fmt: skip


def corruption(function: Corruption) -> Corruption:
    """Register a kind of corruption under its function's name."""
    CORRUPTIONS[function.__name__.replace("_", " ")] = function
    return function


def with_text(claim: Claim, text: str | None) -> Claim | None:
    """Return the claim with another text; None where nothing changed."""
    if text is None or text == claim.text:
        return None
    return claim.model_copy(update={"text": text})


def of_kinds(*kinds: ClaimKind) -> Callable[[Corruption], Corruption]:
    """Return what lets a corruption apply to sentences of some kinds only; it stands under `@corruption`."""

    def limit(function: Corruption) -> Corruption:
        @wraps(function)
        def limited(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
            return function(claim, reading, rng) if claim.kind in kinds else None

        return limited

    return limit


def not_quoted(function: Corruption) -> Corruption:
    """Let a corruption apply to every sentence that quotes nobody."""

    @wraps(function)
    def limited(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
        return None if claim.kind == "quoted" else function(claim, reading, rng)

    return limited


def with_tail(claim: Claim, tails: Sequence[str], rng: Random, joint: str = ", ") -> Claim | None:
    """Return the claim with one of some tails behind its words."""
    return with_text(claim, f"{body_of(claim)}{joint}{rng.choice(tails)}.")


def body_of(claim: Claim) -> str:
    """Return a sentence without its closing marks."""
    return claim.text.rstrip('.”"')


def number_of(claim: Claim, rng: Random) -> NumberSaid | None:
    """Return one number of a sentence that quotes nobody."""
    numbers = [] if claim.kind == "quoted" else numbers_in(claim.text)
    return rng.choice(numbers) if numbers else None


def changed_number_in(claim: Claim, number: NumberSaid, text: str) -> str:
    """Return the sentence with other words in the place of a number."""
    return claim.text[: number.start] + text + claim.text[number.end :]


@corruption
def swapped_side(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """Left for right; only where the sentence has one of the two."""
    sides = re.findall(r"\b(left|right)\b", claim.text, re.IGNORECASE)
    if len({s.lower() for s in sides}) != 1:
        return None
    if claim.evidence == ("s1",) and any(f"{t.rpartition('_')[0]}_left" in reading.outlined
                                         and f"{t.rpartition('_')[0]}_right" in reading.outlined
                                         for t in reading.outlined):  # fmt: skip
        return None  # both were outlined: the other side is true as well
    other = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
    return with_text(
        claim, re.sub(r"\b(left|right)\b", lambda m: other.get(m[0], m[0]), claim.text, flags=re.IGNORECASE)
    )


@corruption
def changed_number(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """Another number, 3 to 60 per cent away."""
    number = number_of(claim, rng)
    if number is None or not number.value:
        return None
    factor = 1 + rng.choice((-1, 1)) * rng.uniform(0.03, 0.6)
    value = number.value * factor
    decimals = max(0, -round(_log10(number.step)))
    if abs(value - number.value) <= number.step:
        value = number.value + 2 * number.step
    return with_text(claim, changed_number_in(claim, number, f"{value:.{decimals}f} {number.unit}".strip()))


def _log10(value: float) -> float:
    from math import log10

    return log10(value)


@corruption
def digits_transposed(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """Two digits of a number change places."""
    number = number_of(claim, rng)
    if number is None:
        return None
    digits = [i for i in range(number.start, number.end) if claim.text[i].isdigit()]
    pairs = [(a, b) for a, b in pairwise(digits) if claim.text[a] != claim.text[b] and b - a == 1]
    if len(digits) < 3 or not pairs:
        return None
    a, b = pairs[0]
    text = list(claim.text)
    text[a], text[b] = text[b], text[a]
    return with_text(claim, "".join(text))


@corruption
def decimal_shift(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """A tenth or ten times of a number."""
    number = number_of(claim, rng)
    if number is None or number.unit == "" or not number.value:
        return None
    return with_text(
        claim, changed_number_in(claim, number, f"{number.value * rng.choice((0.1, 10, 100)):g} {number.unit}")
    )


@corruption
def wrong_unit(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """The same number with another unit."""
    number = number_of(claim, rng)
    if number is None or number.unit not in _UNITS:
        return None
    return with_text(claim, changed_number_in(claim, number, f"{number.value:g} {rng.choice(_UNITS[number.unit])}"))


@corruption
def unit_dropped(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """A number without its unit."""
    number = number_of(claim, rng)
    if number is None or number.unit in ("", "voxel") or "×" in claim.text or len(numbers_in(claim.text)) > 1:
        return None
    return with_text(claim, changed_number_in(claim, number, f"{number.value:g}"))


@corruption
def percent_for_absolute(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """A value told as a percentage."""
    number = number_of(claim, rng)
    if number is None or "ratio" in claim.text or number.unit == "voxel":
        return None
    return with_text(claim, changed_number_in(claim, number, f"{number.value:g} %"))


@corruption
def flipped_negation(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """A negation put in, or taken out."""
    if re.search(r"\b[Nn]o\b ", claim.text):
        return with_text(claim, re.sub(r"\b[Nn]o\b (evidence of )?", "There is ", claim.text, count=1))
    if " not found" in claim.text:
        return with_text(claim, claim.text.replace("Looked for and not found", "Outlined"))
    for verb in (" is ", " measures ", " has ", " was ", " are "):
        if verb in claim.text:
            denied = {" measures ": " does not measure ", " has ": " does not have "}.get(verb, f"{verb}not ")
            return with_text(claim, claim.text.replace(verb, denied, 1))
    return None


@corruption
def foreign_finding(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """What a report of another patient says, told of this one."""
    if claim.kind != "quoted" or claim.evidence == ("rep1",):
        return None
    sentence = reading.foreign[claim.evidence[0]]
    return Claim(text=sentence, evidence=claim.evidence, kind="described")


@corruption
@of_kinds("measured")
def foreign_finding_under_a_measurement(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """What a report of another patient says, with this patient's measurements as its source."""
    return Claim(text=rng.choice(FOREIGN), evidence=claim.evidence, kind="measured")


@corruption
def missing_source(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """The evidence taken away."""
    return claim.model_copy(update={"evidence": ()})


@corruption
def made_up_source(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """An id that does not exist."""
    return claim.model_copy(update={"evidence": (rng.choice(("s77", "CXR99999", "img9", "rep8", "PMID123")),)})


@corruption
def wrong_source(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """An id that exists and holds something else."""
    others = [i for i in reading.evidence if i not in claim.evidence and i not in ("s1", "img1")]
    return claim.model_copy(update={"evidence": (rng.choice(others),)}) if claim.kind == "measured" else None


@corruption
def swapped_structure(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """Another organ for the one that was measured, outlined or not found."""
    named = [t for t in ORGANS if re.search(rf"\b{readable(t)}\b", claim.text, re.IGNORECASE)]
    if len(named) != 1 or claim.kind == "quoted":
        return None
    other = rng.choice([t for t in sorted(ORGANS) if t != named[0]])
    if claim.evidence == ("s1",) and (other in reading.outlined) == (named[0] in reading.outlined):
        other = reading.not_found[0] if named[0] in reading.outlined else reading.outlined[0]
    return with_text(claim, re.sub(rf"\b{readable(named[0])}\b", readable(other), claim.text, flags=re.IGNORECASE))


@corruption
def values_swapped(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """Two structures of one sentence change values."""
    numbers = numbers_in(claim.text)
    if len(numbers) != 2 or numbers[0].text == numbers[1].text or claim.kind != "measured" or "×" in claim.text:
        return None
    first, second = numbers
    text = claim.text[: first.start] + second.text + claim.text[first.end : second.start] + first.text
    return with_text(claim, text + claim.text[second.end :])


@corruption
def changed_quantity(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """Another quantity named for the same value."""
    if claim.kind not in ("measured", "model score"):
        return None
    for old, new in _QUANTITIES:
        if re.search(rf"\b{old}\b", claim.text):
            return with_text(claim, re.sub(rf"\b{old}\b", new, claim.text, count=1))
    return None
