"""assess: is an image fit to be read, by a person or a model, and does the model's result hold?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from tools.claims import readable, shown
from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.errors import ToolError
from tools.examples import examples_of
from tools.facts import AttachmentFacts
from tools.results import Assessment, ConformalSet, QualityRow, StabilityRow

if TYPE_CHECKING:
    from tools.imaging.volume import Volume
    from tools.models.hub import Choice, Hub
    from tools.quality.stability import Uncertainty

CURVES = "stability.png"


def _serves(args: Mapping[str, Any], facts: Mapping[str, AttachmentFacts], hub: Hub) -> None:
    """Refuse before anything runs a target that no model knows on this image."""
    image = facts.get(str(args.get("image", "")).removeprefix("@"))
    if image is not None and args.get("target"):
        _choice(hub, image, str(args["target"]))


@tool(precheck=_serves, cost=Cost(seconds=10), timeout_s=1800, examples=examples_of("assess"))
def assess(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the image to assess")],
    target: Annotated[
        str | None,
        Field(description="structure or finding whose model is tried on worse copies of the image; none: quality only"),
    ] = None,
) -> Assessment:
    """Rate an image's technical quality: noise, blur, motion, exposure, field of view, fitness for the models.

    With a target, the model that would be chosen for it runs on the image and on copies with the modality's typical
    corruptions at five severities and mirrored: how far the result moves under mild ones is its uncertainty, and where
    it does not hold, abstention is advised.

    Raises:
        BadInputError: voxels are not numbers.
        UnsupportedError: nothing in the image can be judged, or no model serves the target on it.
    """
    from tools.quality.measures import measure_quality

    volume = ctx.workspace.volume(image)
    ctx.progress(0.05, "measuring noise, blur and the rest")
    quality = measure_quality(volume)
    if target is None:
        return Assessment(summary=_quality_summary(image, quality), image=image, quality=quality, notes=_notes(quality))
    facts = ctx.workspace.image_facts(image)
    return _with_model(ctx, volume, facts, target, quality)


def _with_model(
    ctx: ToolContext, volume: Volume, facts: AttachmentFacts, target: str, quality: tuple[QualityRow, ...]
) -> Assessment:
    from tools.quality.domain import outside
    from tools.quality.stability import unstable

    choice = _choice(ctx.hub, facts, target)
    name = choice.card.named(target) or target
    strange = outside(choice.card, volume)
    used = ctx.hub.use(choice, lambda runtime: _tried(ctx, choice, runtime, volume, name))
    rows, point, uncertain = used.value
    shaky = unstable(rows, point)
    value, spread, unit = _in_words(choice, volume, uncertain)
    kept = _conformal(ctx, choice, name, uncertain)
    figure = _drawn(ctx, rows, name)
    abstain = _abstain(strange, shaky, kept)
    return Assessment(
        summary=(
            f"{_quality_summary(facts.id, quality)} {choice.card.name} on the {readable(name)}: {shown(value, unit)}, "
            f"± {shown(spread, unit)} under mild corruption."
        ),
        files=figure,
        figures=figure,
        model=used.model,
        notes=(*([f"Not to be relied on: {abstain}"] if abstain else ()), *_notes(quality), *used.notes),
        image=facts.id,
        quality=quality,
        outside=strange,
        target=name,
        stability=tuple(rows),
        conformal_set=kept,
        value=round(value, 4),
        value_unit=unit,
        uncertainty=round(spread, 4),
        abstain=abstain,
    )


def _choice(hub: Hub, facts: AttachmentFacts, target: str) -> Choice:
    """Return the model for a target: a segmenter where one serves it, else a classifier."""
    try:
        return hub.choose("segment", facts, (target,))
    except ToolError as no_segmenter:
        try:
            return hub.choose("classify", facts, (target,))
        except ToolError:
            raise no_segmenter from None


def _tried(
    ctx: ToolContext, choice: Choice, runtime: Any, volume: Volume, name: str
) -> tuple[list[StabilityRow], float | None, Uncertainty]:
    from tools.quality.stability import classify_with, segment_with, try_stability

    def told(done: float, what: str) -> None:
        ctx.progress(0.1 + 0.85 * done, what)

    sided = "left" in name.split("_") or "right" in name.split("_")
    if choice.card.verb == "segment":
        rows, uncertain = try_stability(segment_with(runtime, name), volume, ctx.seed, told, mirror=not sided)
        return rows, None, uncertain
    (row,) = runtime.classify(volume, (name,), told)
    rows, uncertain = try_stability(classify_with(runtime, name), volume, ctx.seed, told, mirror=not sided)
    return rows, row.operating_point, uncertain


def _conformal(ctx: ToolContext, choice: Choice, name: str, uncertain: Uncertainty) -> ConformalSet | None:
    """Return the answers that the score cannot rule out, where somebody calibrated the model on labelled images."""
    from tools.evaluation import conformal

    if ctx.hub.weights_dir is None or choice.card.verb != "classify":
        return None
    found = conformal.load(ctx.hub.weights_dir / choice.card.name / conformal.FILE, choice.card.name)
    if found is None or name not in found.limits:
        return None
    answers = conformal.answers(found, name, uncertain.value)
    return ConformalSet(answers=answers, error_rate=found.error_rate, cases=found.cases)


def _in_words(choice: Choice, volume: Volume, uncertain: Uncertainty) -> tuple[float, float, str]:
    """Return result and spread in ml, in voxels where there is no spacing, or as a score."""
    if choice.card.verb != "segment":
        return uncertain.value, uncertain.sd, ""
    if volume.spacing_source is None or volume.dims == 2:
        return uncertain.value, uncertain.sd, "voxels"
    ml = volume.voxel_volume_mm3 / 1000
    return uncertain.value * ml, uncertain.sd * ml, "ml"


def _abstain(strange: tuple[str, ...], shaky: list[StabilityRow], kept: ConformalSet | None) -> str:
    parts = list(strange[:2])
    if kept is not None and len(kept.answers) != 1:
        undecided = "rules out neither presence nor absence" if kept.answers else "is unlike those it was calibrated on"
        parts.append(f"the score {undecided} at an error rate of {kept.error_rate:g}")
    if shaky:
        worst = min(shaky, key=lambda row: -1.0 if row.agreement is None else row.agreement)
        how = "the model refuses it" if worst.agreement is None else f"agreement {worst.agreement:.2f}"
        parts.append(f"the result does not hold under {worst.corruption} {worst.amount:g} ({how})")
    if not parts:
        return ""
    return f"{'; '.join(parts)}. Another acquisition, or another model of the same target, would help."


def _quality_summary(image: str, quality: tuple[QualityRow, ...]) -> str:
    measured = ", ".join(f"{r.aspect.replace('_', ' ')} {shown(r.value, r.unit)}" for r in quality)
    bad = [f"{r.aspect.replace('_', ' ')} {r.verdict} ({shown(r.value, r.unit)})" for r in quality if _is_bad(r)]
    judged = [r.aspect.replace("_", " ") for r in quality if r.verdict != "not judged"]
    found = ", ".join(bad) if bad else f"no fault found in {', '.join(judged)}"
    return f"{image}: {found}. Measured: {measured}."


def _is_bad(row: QualityRow) -> bool:
    return row.verdict in ("questionable", "poor")


def _notes(quality: tuple[QualityRow, ...]) -> tuple[str, ...]:
    unjudged = ", ".join(r.aspect.replace("_", " ") for r in quality if r.verdict == "not judged")
    said = ["Limits are our own and technical: they do not say whether a finding can be seen."]
    if unjudged:
        said.append(f"Measured and not judged, since no limit holds across scanners: {unjudged}.")
    said.append("Motion is looked for as jumps between slices; ghosting is not measured.")
    return tuple(said)


def _drawn(ctx: ToolContext, rows: list[StabilityRow], name: str) -> tuple[str, ...]:
    from tools.imaging.plots import curves_png

    curves: dict[str, list[float]] = {}
    for row in rows:
        if row.corruption != "mirrored":
            curves.setdefault(row.corruption, []).append(0.0 if row.agreement is None else row.agreement)
    title = f"{readable(name)}: agreement with the result on the image itself"
    curves_png(curves, ctx.folder / CURVES, x="severity", y="agreement", title=title)
    return (CURVES,)
