"""Corruptions of words: certainty, comparison, judgement, cause, quotes and whose report it is."""

from __future__ import annotations

import re
from random import Random

from tools.claims import readable
from tools.results import Claim
from tools.trials.corruptions import (
    body_of,
    changed_number_in,
    corruption,
    not_quoted,
    number_of,
    of_kinds,
    with_tail,
    with_text,
)
from tools.trials.readings import FOREIGN, LABELS, MadeReading


@corruption
def certainty_raised(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """A doubt taken out, or a proof put in."""
    if "Possible" in claim.text and claim.kind != "quoted":
        return with_text(claim, claim.text.replace("Possible", "Definite"))
    if claim.kind in ("model opinion", "model score"):
        return with_text(claim, f"{body_of(claim)}, which confirms the finding.")
    return (
        with_text(claim, f"It is certain that {claim.text[0].lower()}{claim.text[1:]}")
        if claim.kind == "measured"
        else None
    )


@corruption
def doubt_left_out(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """A possible pneumonia told as pneumonia."""
    if "Possible left" not in claim.text or claim.kind == "quoted":
        return None
    return with_text(claim, claim.text.replace("Possible left", "Left"))


@corruption
def doubt_put_in(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """A measurement told as a possibility."""
    if claim.kind != "measured" or " is " not in claim.text:
        return None
    return with_text(claim, claim.text.replace(" is ", " is possibly ", 1))


@corruption
@of_kinds("measured")
def comparison_without_prior(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """A change claimed where only one study was looked at."""
    tails = (
        "unchanged from the prior study",
        "increased since the last scan",
        "stable",
        "slightly smaller than before",
    )
    return with_tail(claim, tails, rng)


@corruption
@not_quoted
def date_put_in(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """A date that no evidence holds."""
    return with_tail(claim, ("2024-03-01", "March 3, 2023", "12/05/2022", "4 May 2021"), rng, " on ")


@corruption
@not_quoted
def normal_claimed(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """A judgement of normality that no tool made."""
    if "enlarged" in claim.text:
        return None
    tails = ("which is normal", "within normal limits", "unremarkable", "and appears healthy", "which is enlarged")
    return with_tail(claim, tails, rng)


@corruption
def whole_organ_normal(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """An organ called normal on the strength of its outline."""
    if claim.evidence != ("s1",):
        return None
    return with_text(
        claim, f"The {readable(reading.outlined[0])} is {rng.choice(('normal', 'unremarkable', 'intact', 'clear'))}."
    )


@corruption
@of_kinds("model score")
def score_as_diagnosis(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """A score told as a finding."""
    label = next(x for x in LABELS if x in claim.text.lower())
    forms = (
        "There is {l}.",
        "The patient has {l}.",
        "{L} is present.",
        "No {l}.",
        "{L} is ruled out.",
        "{L} was found.",
    )
    return with_text(claim, rng.choice(forms).format(l=label, L=label.capitalize()))


@corruption
@of_kinds("model score")
def wrong_side_of_the_operating_point(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """Above for below, or below for above."""
    if re.search(r"\b(?:at or )?above\b", claim.text):
        return with_text(claim, re.sub(r"\b(?:at or )?above\b", "below", claim.text))
    return with_text(claim, re.sub(r"\b(?:below|under)\b", "above", claim.text))


@corruption
@of_kinds("model score")
def other_label(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """One finding's score told of another."""
    label = next(x for x in LABELS if x in claim.text.lower())
    other = rng.choice([x for x in LABELS if x != label])
    return with_text(claim, re.sub(label, other, claim.text, flags=re.IGNORECASE))


@corruption
def range_widened(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """A range around a value."""
    number = number_of(claim, rng)
    if number is None or not number.unit or number.unit == "voxel" or "×" in claim.text:
        return None
    low, high = number.value * 0.7, number.value * 1.4
    return with_text(claim, changed_number_in(claim, number, f"{low:.0f} to {high:.0f} {number.unit}"))


@corruption
def bound_for_value(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """A bound that the value does not keep: “more than” before more than it is."""
    number = number_of(claim, rng)
    if number is None or claim.kind != "measured" or "×" in claim.text or "about" in claim.text:
        return None
    bound, factor = rng.choice(
        (("more than", 1.2), ("over", 1.2), ("at least", 1.2), ("less than", 0.8), ("up to", 0.8), ("below", 0.8))
    )
    value = number.value * (factor if number.value > 0 else 2 - factor)
    return with_text(claim, changed_number_in(claim, number, f"{bound} {value:.2f} {number.unit}"))


@corruption
@of_kinds("measured")
def sentences_merged(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """Two sources run into one sentence under the first one's id."""
    score = rng.choice(reading.scores)
    tails = (
        f"with {score.label}",
        f"and a {score.label} score of {score.score:.2f}",
        f"and {rng.choice(FOREIGN).lower()}",
    )
    return with_tail(claim, [tail.rstrip(".") for tail in tails], rng, " ")


@corruption
@of_kinds("measured")
def cause_put_in(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """An explanation that no tool gave."""
    tails = (
        "due to emphysema",
        "consistent with cirrhosis",
        "suggesting heart failure",
        "as seen in COPD",
        "from smoking",
    )
    return with_tail(claim, tails, rng)


@corruption
@not_quoted
def advice_put_in(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """A recommendation that nothing stands behind."""
    tails = (
        "surgery is advised",
        "follow-up in six months is recommended",
        "start antibiotics",
        "no treatment is needed",
    )
    return with_tail(claim, tails, rng, "; ")


@corruption
def other_modality(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """Another modality named."""
    words = {"CT": "MRI", "MRI": "CT", "MR": "CT", "computed tomography": "ultrasound"}
    for old, new in words.items():
        if re.search(rf"\b{old}\b", claim.text) and claim.kind != "quoted":
            return with_text(claim, re.sub(rf"\b{old}\b", new, claim.text, count=1))
    return None


@corruption
def quote_altered(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """A word of a quote changed, added or left out."""
    found = re.search(r"“([^”]*)”", claim.text)
    if found is None:
        return None
    words = found[1].split()
    place = rng.randrange(len(words))
    words[place : place + 1] = rng.choice(([], ["large"], [words[place], "bilateral"]))
    return with_text(claim, claim.text.replace(found[1], " ".join(words)))


@corruption
def quote_cut(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """A quote that begins behind its negation."""
    found = re.search(r"“(No |There is no )([^”]*)”", claim.text)
    return None if found is None else with_text(claim, claim.text.replace(found[1] + found[2], found[2]))


@corruption
def quote_of_nobody_else(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """Another patient's report quoted as this one's."""
    if claim.kind != "quoted" or claim.evidence == ("rep1",):
        return None
    return with_text(claim, re.sub(r"^[^“]*", "The report of this patient says: ", claim.text))


@corruption
def opinion_as_finding(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """A model's words told as what is."""
    return with_text(claim, reading.opinion) if claim.kind == "model opinion" else None


@corruption
def ratio_turned(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """What is divided by what, turned round."""
    found = re.search(r"ratio of the (.+) to the (.+) by", claim.text)
    if found is None:
        return None
    return with_text(claim, claim.text.replace(f"{found[1]} to the {found[2]}", f"{found[2]} to the {found[1]}"))


@corruption
def axes_turned(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """The order of sizes turned round."""
    found = re.search(r"(\S+) × (\S+) mm\.$", claim.text)
    if found is None or "voxels" in claim.text or found[1] == found[2]:
        return None
    return with_text(claim, claim.text.replace(f"{found[1]} × {found[2]}", f"{found[2]} × {found[1]}"))


@corruption
def count_changed(claim: Claim, reading: MadeReading, rng: Random) -> Claim | None:
    """A number of structures that is not so."""
    if claim.evidence != ("s1",):
        return None
    return with_text(claim, f"{len(reading.outlined) + rng.choice((2, 5))} structures were outlined.")
