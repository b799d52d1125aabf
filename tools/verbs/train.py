"""train: a new model card from a person's own labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from tools.claims import readable
from tools.contract import REF_PATTERN, Cost, Ref, ToolContext, tool
from tools.errors import BadInputError, UnavailableError
from tools.examples import examples_of
from tools.results import HeldOut, LabelNext, TrainedModel
from tools.training.by_labels import CURVE, STATE, LabelledIds, classifier_from

if TYPE_CHECKING:
    from pathlib import Path

    from tools.imaging.volume import Volume
    from tools.models.card import ModelCard
    from tools.training.segmentation import Example, TrainedSegmenter

ExampleRef = Annotated[str, Field(pattern=REF_PATTERN), Ref(("mask", "image"))]
NEXT = 8


@tool(cost=Cost(seconds=300), timeout_s=7200, needs_approval=True, examples=examples_of("train"))
def train(
    ctx: ToolContext,
    examples: Annotated[
        list[ExampleRef],
        Field(min_length=1, description="masks to learn from, each of its image; or images that have one label each"),
    ],
    target: Annotated[
        str | None, Field(min_length=1, max_length=60, description="what the new model shall segment, or tell apart")
    ] = None,
    labels: Annotated[
        list[str] | None,
        Field(description="for images: the label of each, in the same order; none: how their file names begin"),
    ] = None,
    epochs: Annotated[int, Field(ge=1, le=1000, description="how often every example is learned from")] = 30,
) -> TrainedModel:
    """Train a segmenter on the person's own masks, or a classifier on images with labels, as a new model card.

    Part is held out and judged on: of masks a quarter, whole images where there are three or more, else blocks of
    slices; of labelled images a fifth. With a bootstrap interval. A stopped training goes on where it was when the same
    step runs again.

    Raises:
        BadInputError: an empty mask, a mask on another grid than its image, too few examples, one label only, another
            count of labels than images, or kinds of image mixed.
        UnavailableError: no folder of weights is set.
    """
    weights_dir = ctx.hub.weights_dir
    if weights_dir is None:
        raise UnavailableError(
            "no folder of weights is set, so a new model cannot be kept; set READINGROOM_WEIGHTS_DIR"
        )
    kinds = {ctx.workspace.kind_of(e) for e in examples}
    if len(kinds) > 1:
        raise BadInputError("examples: masks teach a segmenter, labelled images a classifier; give one or the other")
    if kinds == {"image"}:
        return classifier_from(ctx, weights_dir, LabelledIds(tuple(examples), labels, target), epochs)
    if labels:
        raise BadInputError("labels: they go with images; what a mask outlines is the target")
    return _segmenter(ctx, weights_dir, examples, target, epochs)


def _segmenter(ctx: ToolContext, weights_dir: Path, masks: list[str], target: str | None, epochs: int) -> TrainedModel:
    from tools.training.cards import save_segmenter
    from tools.training.segmentation import TrainingSettings, train_segmenter

    given = _examples(ctx, masks)
    meant = target or _common_target(ctx, masks)
    settings = TrainingSettings(epochs=epochs, seed=ctx.seed, device=ctx.device)
    state_file = ctx.folder / STATE
    trained = train_segmenter([e for _, e in given], settings, ctx.progress, state_file)
    ctx.progress(0.96, "writing the card")
    card = save_segmenter(weights_dir, meant, trained, [e.volume for _, e in given])
    ctx.hub.adopt(card)
    state_file.unlink(missing_ok=True)
    figures = _drawn(ctx, trained, meant)
    return _result(ctx, card, trained, given, figures)


def _common_target(ctx: ToolContext, masks: list[str]) -> str:
    """Return what all masks outline, by their own names."""
    named = {target for mask in masks for target, _, _ in ctx.workspace.masks(mask)}
    if len(named) != 1:
        raise BadInputError(
            f"target: the masks outline {', '.join(sorted(named))}; name what the new model shall segment"
        )
    return readable(named.pop())


def _examples(ctx: ToolContext, masks: list[str]) -> list[tuple[str, Example]]:
    """Return each mask with its image; several targets in one mask count as one."""
    from tools.training.segmentation import Example

    given = []
    for mask_id in masks:
        image = ctx.workspace.image_of(mask_id)
        volume = ctx.workspace.volume(image)
        parts = list(ctx.workspace.masks(mask_id))
        for _, _, grid in parts:
            if not volume.same_grid(grid):
                raise BadInputError(
                    f"examples: {mask_id} does not lie on the grid of {image} ({grid.shape} against {volume.shape}, or "
                    "other positions); outline it on that image, or resample it"
                )
        inside = np.logical_or.reduce([voxels for _, voxels, _ in parts])
        given.append((image, Example(mask_id, volume, np.asarray(inside))))
    return given


def _result(
    ctx: ToolContext,
    card: ModelCard,
    trained: TrainedSegmenter,
    given: list[tuple[str, Example]],
    figures: tuple[str, ...],
) -> TrainedModel:
    from tools.training.cards import limits_of

    said = trained.held_out
    row = HeldOut(figure="Dice", value=said.value, low=said.low, high=said.high, n=said.n, unit=f"{trained.unit}s")
    following = _label_next(ctx, trained, {image for image, _ in given})
    return TrainedModel(
        summary=(
            f"Model {card.name} of the {readable(card.targets[0])} was trained on {trained.trained_on} slices; Dice "
            f"{said.value:.2f} (95 % interval {said.low:.2f} to {said.high:.2f}) on {said.n} held-out {trained.unit}s."
        ),
        files=figures,
        figures=figures,
        notes=(
            *limits_of(trained, len(given)),
            "Every slice of a labelled image counts as labelled: one without a voxel inside teaches what is not meant.",
        ),
        card=card.name,
        target=card.targets[0],
        trained_on=trained.trained_on,
        held_out=(row,),
        label_next=following,
    )


def _drawn(ctx: ToolContext, trained: TrainedSegmenter, target: str) -> tuple[str, ...]:
    from tools.imaging.plots import curves_png

    curves_png({readable(target): trained.history}, ctx.folder / CURVE, x="epoch", y="mean loss", title="Training")
    return (CURVE,)


def _label_next(ctx: ToolContext, trained: TrainedSegmenter, learned_from: set[str]) -> tuple[LabelNext, ...]:
    """Rank the slices of the reading's other images of the same kind by what their labels would teach."""
    from tools.errors import ToolError
    from tools.training.label_next import choose_next, entropy_bits, thumbnails_of
    from tools.training.segmentation import make_network, predict
    from tools.training.slices import FloatStack, stack_of

    network = make_network(trained.options.channels)
    network.load_state_dict(trained.network)
    found: list[tuple[str, int, Volume]] = []
    stacks: list[FloatStack] = []
    unsure = []
    for facts in ctx.workspace.facts().values():
        if facts.kind != "image" or facts.id in learned_from:
            continue
        try:
            volume = ctx.workspace.volume(facts.id)
            stack = stack_of(volume, trained.options).array
        except ToolError:
            continue  # of another kind than what was learned from
        probability = predict(network, stack, np.arange(len(stack)), trained.options, "cpu")
        stacks.append(stack)
        unsure.append(entropy_bits(probability))
        found += [(facts.id, number, volume) for number in range(len(stack))]
    if not found:
        return ()
    uncertainty = np.concatenate(unsure)
    rows = choose_next(uncertainty, thumbnails_of(stacks), NEXT)
    return tuple(_named(found[r], float(uncertainty[r]), trained.options.axis) for r in rows)


def _named(slice_of: tuple[str, int, Volume], uncertainty: float, axis: int) -> LabelNext:
    """Return a slice of the canonical volume by its number in the image's own order."""
    from tools.imaging.geometry import own_slice

    image, number, volume = slice_of
    own_axis, own_number = own_slice(volume, axis, number)
    return LabelNext(image=image, axis=own_axis, slice_number=own_number + 1, uncertainty=round(uncertainty, 4))
