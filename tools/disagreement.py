"""Who says what where two sources disagree, and where a model should not be relied on: told, never chosen silently."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from tools.claims import MAX_LISTED, boxed, readable, shown
from tools.facts import AttachmentFacts
from tools.grounding.declared import findings_named
from tools.grounding.evidence import Assertion
from tools.grounding.lookup import assertions_of
from tools.grounding.spotting import spans_of
from tools.models.card import ModelCard
from tools.places import Place, Region
from tools.results import Boxes, Claim, LabelScore, Masks, Measurements, Scores, Text
from tools.workspace import Artifact

MAX_SPREAD = 0.1  # two volumes of one structure that differ by more than a tenth are two outlines, not one with noise


@dataclass(frozen=True)
class Voice:
    """One source's word on one finding."""

    source: str
    finding: str
    says: str
    """ "present" or "absent", as far as the source goes."""
    words: str
    """In which words, with its operating point where it has one."""
    image: str = ""
    where: tuple[Place, ...] = ()
    """Where the source shows or says it."""


def disagreements(artifacts: Sequence[Artifact], reports: Mapping[str, str]) -> list[Claim]:
    """Return one sentence for each disagreement: two tools, a tool and a report, a score and a measurement.

    Args:
        artifacts: the results of this reading.
        reports: id → text of the reports of this patient that are attached.
    """
    voices = [v for a in artifacts for v in _voices(a)]
    voices += [v for report_id, text in reports.items() for v in _reported(report_id, text)]
    return [*_on_findings(voices), *_on_sizes(artifacts)]


def _voices(artifact: Artifact) -> Iterator[Voice]:
    speak = {"scores": _scores, "boxes": _boxes, "mask": _masks, "text": _opinions}.get(artifact.kind)
    return speak(artifact) if speak else iter(())


def _scores(artifact: Artifact) -> Iterator[Voice]:
    result = Scores.model_validate(artifact.data)
    where = _seen(artifact.id, Region(image=result.image))
    for row in result.rows:
        for finding in findings_named(row.label):
            if row.above is not None:
                says = "present" if row.above else "absent"
                yield Voice(artifact.id, finding, says, f"{artifact.id} {scored(row)}", result.image, where)


def _boxes(artifact: Artifact) -> Iterator[Voice]:
    if not {"boxes", "looked_for"} <= set(artifact.data):
        return
    found = Boxes.model_validate({k: v for k, v in artifact.data.items() if k in Boxes.model_fields})
    regions = [boxed(box, found.image) for box in found.boxes[:MAX_LISTED]] or [Region(image=found.image)]
    where = _seen(artifact.id, *regions)
    for finding in findings_named(found.looked_for):
        says = "present" if found.boxes else "absent"
        what = f"{len(found.boxes)} found" if found.boxes else "looked for and not found"
        yield Voice(artifact.id, finding, says, f"{artifact.id}: {found.looked_for}, {what}", found.image, where)


def _masks(artifact: Artifact) -> Iterator[Voice]:
    masks = Masks.model_validate(artifact.data)
    for entry in masks.masks:
        for finding in findings_named(entry.target):
            what = "outlined" if entry.voxels else "looked for and not found"
            says = "present" if entry.voxels else "absent"
            words = f"{artifact.id}: {readable(entry.target)} {what}"
            where = _seen(artifact.id, entry.where or Region(image=masks.image))
            yield Voice(artifact.id, finding, says, words, masks.image, where)


def _opinions(artifact: Artifact) -> Iterator[Voice]:
    if "answer" not in artifact.data:
        return
    answer = Text.model_validate(artifact.data)
    for said in assertions_of(answer.answer):
        if said.status in ("present", "absent"):
            words = f"the model of {artifact.id} writes “{said.sentence}”"
            where = _seen(artifact.id, Region(image=answer.image)) if answer.image else ()
            yield Voice(artifact.id, said.finding, said.status, words, answer.image, where)


def _seen(evidence: str, *regions: Region) -> tuple[Place, ...]:
    return tuple(Place(evidence=evidence, region=region) for region in regions)


def _reported(report_id: str, text: str) -> Iterator[Voice]:
    spans = {text[span.start : span.end]: span for span in spans_of(report_id, text)}
    for said in assertions_of(text):
        if said.status in ("present", "absent"):
            where = (Place(evidence=report_id, span=spans[said.sentence]),)
            yield Voice(report_id, said.finding, said.status, f"{report_id} says “{_short(said)}”", where=where)


def _short(said: Assertion) -> str:
    return said.sentence.strip()


def scored(row: LabelScore) -> str:
    """Return a score with its operating point in words."""
    if row.operating_point is None:
        return f"scores {readable(row.label)} {row.score:.2f} (no operating point)"
    where = "at or above" if row.above else "below"
    return f"scores {readable(row.label)} {row.score:.2f}, {where} its operating point of {row.operating_point:.2f}"


def _on_findings(voices: Sequence[Voice]) -> Iterator[Claim]:
    told: set[tuple[str, str, str]] = set()
    for first, second in combinations(voices, 2):
        key = (first.finding, first.source, second.source)
        if _contradict(first, second) and key not in told:
            told.add(key)
            name = first.finding.replace("_", " ")
            text = f"Disagreement on {name}: {first.words}; {second.words}. Neither is chosen here."
            where = first.where + second.where
            yield Claim(text=text, evidence=(first.source, second.source), kind="general", where=where)


def _contradict(first: Voice, second: Voice) -> bool:
    one_image = not first.image or not second.image or first.image == second.image
    about_one = first.finding == second.finding and first.source != second.source
    return about_one and one_image and first.says != second.says


def _on_sizes(artifacts: Sequence[Artifact]) -> Iterator[Claim]:
    rows = [
        (a, row)
        for a in artifacts
        if a.kind == "measurements" and "rows" in a.data and set(a.data) <= set(Measurements.model_fields)
        for row in Measurements.model_validate(a.data).rows
        if row.quantity == "volume"
    ]
    for (a, one), (b, two) in combinations(rows, 2):
        same = (one.target, one.unit, one.image) == (two.target, two.unit, two.image) and one.mask != two.mask
        if same and abs(one.value - two.value) > MAX_SPREAD * max(abs(one.value), abs(two.value)):
            text = (
                f"Disagreement on the volume of the {readable(one.target)}: {shown(one.value, one.unit)} by {a.id} "
                f"(outline {one.mask}), {shown(two.value, two.unit)} by {b.id} (outline {two.mask}). "
                "Neither is chosen here."
            )
            where = tuple(p for i, row in ((a.id, one), (b.id, two)) if row.where for p in _seen(i, row.where))
            yield Claim(text=text, evidence=(a.id, b.id), kind="general", where=tuple(dict.fromkeys(where)))


def abstentions(
    artifacts: Sequence[Artifact], facts: Mapping[str, AttachmentFacts], cards: Iterable[ModelCard]
) -> list[Claim]:
    """Return where a model should not be relied on, why, and what would help."""
    by_name = {card.name: card for card in cards}
    out: list[Claim] = []
    for artifact in artifacts:
        if artifact.kind == "boxes" and {"boxes", "looked_for"} <= set(artifact.data):
            out += _of_boxes(artifact, by_name, facts)
        if artifact.kind != "scores":
            continue
        result = Scores.model_validate(artifact.data)
        unrated = [readable(row.label) for row in result.rows if row.operating_point is None]
        if unrated:
            text = (
                f"For {', '.join(unrated)} the model of {artifact.id} has no operating point, so nothing is said: "
                "an operating point from its publisher, or from cases of your own, would help."
            )
            out.append(Claim(text=text, evidence=(artifact.id,), kind="general"))
        card = by_name.get(result.model.card) if result.model else None
        if card is not None:
            out += _undecided(artifact.id, card, result)
        if card is not None and result.image in facts:
            out += _outside(artifact.id, card, facts[result.image])
    return out


def _of_boxes(
    artifact: Artifact, by_name: Mapping[str, ModelCard], facts: Mapping[str, AttachmentFacts]
) -> Iterator[Claim]:
    """Yield boxes whose score lies so near the operating point that the card does not let them decide."""
    found = Boxes.model_validate({k: v for k, v in artifact.data.items() if k in Boxes.model_fields})
    card = by_name.get(found.model.card) if found.model else None
    if card is None:
        return
    point = found.operating_point
    for number, box in enumerate(found.boxes, 1):
        if point is not None and box.score is not None and abs(box.score - point) < card.abstain_margin:
            text = (
                f"{card.name} does not decide on box {number} for {readable(box.label)}: its score of {box.score:.2f} "
                f"in {artifact.id} lies too near its operating point of {point:.2f}. "
                "Thinner slices, a better image or a second model would help."
            )
            yield Claim(
                text=text, evidence=(artifact.id,), kind="general", where=_seen(artifact.id, boxed(box, found.image))
            )
    if found.image in facts:
        yield from _outside(artifact.id, card, facts[found.image])


def _undecided(step: str, card: ModelCard, result: Scores) -> Iterator[Claim]:
    """Yield scores that lie so near their operating point that the card does not let them decide."""
    for row in result.rows:
        point = row.operating_point
        if point is not None and abs(row.score - point) < card.abstain_margin:
            text = (
                f"{card.name} does not decide on {readable(row.label)}: its score of {row.score:.2f} in {step} lies "
                f"too near its operating point of {point:.2f}. "
                "Another view, a better image or a second model would help."
            )
            yield Claim(text=text, evidence=(step,), kind="general")


def _outside(step: str, card: ModelCard, image: AttachmentFacts) -> Iterator[Claim]:
    if card.body_part and not image.body_part:
        text = (
            f"{image.id} does not say which body part it shows, and {card.name} knows only "
            f"{', '.join(card.body_part).lower()}: its scores in {step} count only if it is one; "
            "a header that says so would help."
        )
        yield Claim(text=text, evidence=(step, image.id), kind="general")
    if card.trust == "experimental":
        text = f"{card.name}, which made {step}, has no published evaluation: nothing is concluded from it."
        yield Claim(text=text, evidence=(step,), kind="general")
