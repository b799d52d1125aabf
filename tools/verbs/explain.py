"""explain: why a model found something, and where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from tools.claims import readable
from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.errors import UnsupportedError
from tools.examples import examples_of
from tools.preconditions import needs_model
from tools.results import Explanation

if TYPE_CHECKING:
    from tools.explaining.maps import Faithfulness, HeatMap
    from tools.imaging.volume import AnyArray, BoolArray, Volume
    from tools.models.card import ModelCard
    from tools.models.runtimes.base import Attention, ExplainRuntime

PANELS = "explanation.png"
UNFAITHFUL = 0.5
"""Rank correlation with the map of random weights from which a map is said to show the image rather than the model:
Adebayo et al. (2018) call maps near 1 insensitive; half way is ours."""

_FILES: Mapping[str, str] = {"Grad-CAM": "grad-cam.nii.gz", "occlusion": "occlusion.nii.gz"}


@tool(precheck=needs_model("classify", "finding"), cost=Cost(seconds=20), examples=examples_of("explain"))
def explain(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the image in which it was found")],
    finding: Annotated[str, Field(min_length=1, description="the finding to explain")],
) -> Explanation:
    """Show where and why a model found something: heat map, occlusion, counterfactual.

    Grad-CAM and an occlusion map of the chosen classifier's score; the score with the marked region masked and with
    other regions masked; the score with the region filled in from its surroundings; and how far the map changes when
    the model's weights are drawn at random.

    Raises:
        UnsupportedError: no classifier knows the finding on this image, or it gives no access to its network.
        UnavailableError: its weights or package are missing.
    """
    choice = ctx.hub.choose("classify", ctx.workspace.image_facts(image), (finding,))
    label = choice.card.named(finding) or finding
    volume = ctx.workspace.volume(image)
    ctx.progress(0.05, f"{choice.card.title}: loading")
    used = ctx.hub.use(choice, lambda runtime: _explained(ctx, _explainable(runtime, choice.card), volume, label))
    made = used.value
    found = made.faithfulness
    shown = _written(ctx, volume, made, f"{image}: {readable(label)}, score {made.score:.2f}")
    return Explanation(
        summary=_summary(label, made, choice.card),
        files=(*(_FILES[name] for name in made.maps), PANELS),
        figures=(PANELS,),
        model=used.model,
        notes=(*used.notes, *_doubts(made), *choice.card.limits_for((label,)), f"Picture: {shown}."),
        marks=("opinion",),
        image=image,
        finding=label,
        score=made.score,
        operating_point=made.operating_point,
        network_value=found.score,
        network_value_masked=found.masked,
        network_value_elsewhere=found.elsewhere,
        network_value_filled_in=made.filled_in,
        agreement_with_random_weights=made.agreement,
        region=made.region_voxels,
    )


class _Made:
    """What explaining one score gave, on the image's grid."""

    def __init__(self, score: float, operating_point: float | None) -> None:
        self.score = score
        self.operating_point = operating_point
        self.maps: dict[str, AnyArray] = {}
        self.edited: AnyArray | None = None
        self.filled_in = float("nan")
        self.agreement = 0.0
        self.region_voxels: tuple[tuple[int, int, int], tuple[int, int, int]] | None = None
        self.faithfulness: Faithfulness


def _explainable(runtime: object, card: ModelCard) -> ExplainRuntime:
    if not hasattr(runtime, "attention"):
        raise UnsupportedError(
            f"model {card.name} ({card.runtime}) gives no access to its network, so its score cannot be explained; "
            "choose another model of the finding"
        )
    return runtime  # type: ignore[return-value]  # its protocol was looked for just now


def _explained(ctx: ToolContext, runtime: ExplainRuntime, volume: Volume, label: str) -> _Made:
    from tools.explaining import maps

    (row,) = runtime.classify(volume, (label,), lambda done, what: ctx.progress(0.1, what))
    attention = runtime.attention(volume, label)
    made = _Made(row.score, row.operating_point)
    hidden = maps.occlusion(attention, lambda done, what: ctx.progress(0.2 + 0.5 * done, what))
    ctx.progress(0.72, "Grad-CAM")
    heat = hidden if attention.layer is None else maps.grad_cam(attention)
    region = maps.top_region(heat if heat.max() > 0 else hidden)
    ctx.progress(0.75, "masking the marked region")
    made.faithfulness = maps.faithfulness(attention, region, ctx.seed)
    ctx.progress(0.85, "filling the marked region in")
    edited = maps.filled(attention.inputs, region)
    made.filled_in = float(maps.score_of(attention, edited)[0])
    made.agreement = maps.agreement_with_random_weights(attention, heat, ctx.seed)
    made.maps = {"occlusion": attention.to_image(hidden)}
    if attention.layer is not None:
        made.maps = {"Grad-CAM": attention.to_image(heat), **made.maps}
    made.edited = _edited(volume, attention, edited.cpu().numpy()[0].mean(axis=0), region)
    made.region_voxels = _box(attention.to_image(region.astype(np.float32)) >= 0.5)
    return made


def _edited(volume: Volume, attention: Attention, plane: HeatMap, region: BoolArray) -> AnyArray | None:
    """Return the image with the filled-in region in it, for the eye: the model saw its own scale of it."""
    if volume.is_colour:
        return None
    inside = attention.to_image(region.astype(np.float32)) >= 0.5
    seen = attention.to_image(attention.inputs.cpu().numpy()[0].mean(axis=0))
    slope, offset = _line(seen[~inside], volume.array[~inside])
    back = attention.to_image(plane) * slope + offset
    return np.where(inside, back, volume.array)


def _line(seen: AnyArray, own: AnyArray) -> tuple[float, float]:
    """Return the line that leads from the network's scale to the image's own values."""
    if float(np.ptp(seen)) == 0:
        return 0.0, float(own.mean())
    slope, offset = np.polyfit(seen.astype(np.float64), own.astype(np.float64), 1)
    return float(slope), float(offset)


def _box(inside: BoolArray) -> tuple[tuple[int, int, int], tuple[int, int, int]] | None:
    if not inside.any():
        return None
    ranges = [np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    low, high = (tuple(int(r[end]) for r in ranges) for end in (0, -1))
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _written(ctx: ToolContext, volume: Volume, made: _Made, title: str) -> str:
    from tools.explaining.panels import panels_png
    from tools.imaging.nifti import write_nifti

    for name, heat in made.maps.items():
        write_nifti(ctx.folder / _FILES[name], heat.astype(np.float32), like=volume)
    return panels_png(volume, made.maps, made.edited, ctx.folder / PANELS, title)


def _summary(label: str, made: _Made, card: ModelCard) -> str:
    found = made.faithfulness
    against = "" if made.operating_point is None else f" (operating point {made.operating_point:.2f})"
    return (
        f"{card.name} scores {readable(label)} {made.score:.2f}{against}; masking the marked region changes the "
        f"network's value from {found.score:.2f} to {found.masked:.2f}, masking other regions to "
        f"{found.elsewhere:.2f} on average."
    )


def _doubts(made: _Made) -> tuple[str, ...]:
    said = ["A heat map shows what the score rests on, not where disease is."]
    if "Grad-CAM" not in made.maps:
        said.append("The network mixes places by attention and has no feature maps for Grad-CAM: occlusion alone.")
    if abs(made.agreement) >= UNFAITHFUL:
        said.append(
            f"The map looks much the same with random weights (rank correlation {made.agreement:.2f}): it shows the "
            "image rather than what the model learned."
        )
    if made.faithfulness.drop <= 0:
        said.append("Masking the marked region changes the score no more than masking others: the map is not faithful.")
    if made.operating_point is not None and made.score < made.operating_point:
        said.append("The score is below its operating point: the map shows what little speaks for the finding.")
    return tuple(said)
