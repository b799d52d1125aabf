"""A classifier from images of a reading that have one label each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools.errors import BadInputError
from tools.results import HeldOut, TrainedModel

if TYPE_CHECKING:
    from tools.contract import ToolContext
    from tools.models.card import ModelCard
    from tools.training.classification import LabelledImage, TrainedClassifier

STATE = "training-state.pt"
CURVE = "training-curve.png"
FEW = 20
"""Held-out images below which an interval shows little: one more or less changes the figure by 5 %."""
_NAMED = re.compile(r"[A-Za-z]+(?:[ _-]?[A-Za-z]+)*")


@dataclass(frozen=True)
class LabelledIds:
    """Images to learn from, and what each is called."""

    images: tuple[str, ...]
    labels: list[str] | None
    """In the order of the images; None: how their file names begin."""
    name: str | None
    """Of the new model; None: made from its labels."""


def classifier_from(ctx: ToolContext, weights_dir: Path, given: LabelledIds, epochs: int) -> TrainedModel:
    """Train a classifier and keep it as a card.

    Raises:
        BadInputError: one label only, too few images of one, another count of labels than images, an image twice.
    """
    from tools.training.cards import save_classifier
    from tools.training.classification import ClassifierSettings, train_classifier

    notes: list[str] = []
    images = _labelled(ctx, given, notes)
    settings = ClassifierSettings(epochs=epochs, seed=ctx.seed, device=ctx.device)
    state_file = ctx.folder / STATE
    trained = train_classifier(images, settings, ctx.progress, state_file)
    ctx.progress(0.96, "writing the card")
    name = f"{given.name}-own" if given.name else None
    card = save_classifier(weights_dir, trained, [i.volume for i in images], name)
    ctx.hub.adopt(card)
    state_file.unlink(missing_ok=True)
    return _result(ctx, card, trained, notes)


def _labelled(ctx: ToolContext, given: LabelledIds, notes: list[str]) -> list[LabelledImage]:
    from tools.training.classification import LabelledImage

    if len(set(given.images)) < len(given.images):
        raise BadInputError("examples: an image stands there twice; what is learned from would also be judged on")
    labels = given.labels
    if labels is None:
        labels = [_label_in_name(ctx, image) for image in given.images]
        counted = ", ".join(f"{label} ({labels.count(label)})" for label in sorted(set(labels)))
        notes.append(f"Labels are how the file names begin: {counted}.")
    if len(labels) != len(given.images):
        raise BadInputError(
            f"labels: {len(given.images)} images need as many labels, in the same order; got {len(labels)}"
        )
    plain = [" ".join(label.lower().split()).replace(" ", "_") for label in labels]
    if not all(plain):
        raise BadInputError("labels: an empty one; name what each image shows")
    return [
        LabelledImage(image, ctx.workspace.volume(image), label)
        for image, label in zip(given.images, plain, strict=True)
    ]


def _label_in_name(ctx: ToolContext, image: str) -> str:
    """Return the words that a file name begins with: `benign_03.png` is benign."""
    file = ctx.workspace.image_file(image)[0].name
    found = _NAMED.match(file.partition(".")[0])
    if not found:
        raise BadInputError(
            f"labels: the file name of {image} begins with no word ({file}); say the labels, one an image, or name the "
            "files by them: benign_01.png"
        )
    return found.group()


def _result(ctx: ToolContext, card: ModelCard, trained: TrainedClassifier, notes: list[str]) -> TrainedModel:
    from tools.imaging.plots import curves_png

    curves_png({card.name: trained.history}, ctx.folder / CURVE, x="epoch", y="mean loss", title="Training")
    rows = tuple(
        HeldOut(figure=f"AUC, {r.label}", value=r.auc.value, low=r.auc.low, high=r.auc.high, n=r.auc.n, unit="images")
        for r in trained.results
    )
    few = f"; {trained.judged_on} are too few to rely on that" if trained.judged_on < FEW else ""
    said = "; ".join(f"{r.figure} {r.value:.2f} (95 % interval {r.low:.2f} to {r.high:.2f})" for r in rows)
    return TrainedModel(
        summary=(
            f"Classifier {card.name} was trained on {trained.trained_on} images; {said} on {trained.judged_on} "
            f"held-out images{few}."
        ),
        files=(CURVE,),
        figures=(CURVE,),
        notes=(*notes, *card.limits),
        card=card.name,
        target=", ".join(r.label for r in trained.results),
        trained_on=trained.trained_on,
        held_out=rows,
    )
