"""Writes a trained network as a model card with its weights, where the hub finds both again."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import BadInputError
from tools.models.card import ModelCard, read_card
from tools.models.installed import OWN_CARD
from tools.workspace import write_atomically, writing

if TYPE_CHECKING:
    from tools.imaging.volume import Volume
    from tools.training.classification import TrainedClassifier
    from tools.training.segmentation import TrainedSegmenter

NETWORK = "network.pt"


def save_segmenter(
    weights_dir: Path, target: str, trained: TrainedSegmenter, volumes: Sequence[Volume], name: str | None = None
) -> ModelCard:
    """Write a trained segmenter as a card.

    Args:
        weights_dir: the folder of weights.
        target: what it outlines, in words.
        trained: the network and how it did.
        volumes: what it learned from.
        name: of the card; None: made from the target.
    """
    names = "_".join(target.lower().split())
    said = trained.held_out
    judged = (
        f"Trained here on {trained.trained_on} slices of {len(volumes)} of your images; Dice {said.value:.2f} "
        f"(95 % interval {said.low:.2f} to {said.high:.2f}) on {said.n} held-out {trained.unit}s."
    )
    card = _about(volumes) | {
        "title": f"your own model of the {target.lower()}",
        "verb": "segment",
        "runtime": "trained_segmenter",
        "targets": [names],
        "options": {"slices": trained.options.model_dump(exclude_none=True)},
        "seconds": 10.0,
        "limits": [judged, *limits_of(trained, len(volumes))],
        "source": "trained by readingroom on your labels: a U-Net on slices",
        "citation": "Ronneberger et al., MICCAI 2015",
    }
    return save_model(weights_dir, name or f"{target}-own", trained.network, card)


def save_classifier(
    weights_dir: Path, trained: TrainedClassifier, volumes: Sequence[Volume], name: str | None = None
) -> ModelCard:
    """Write a trained classifier as a card; for the arguments see `save_segmenter`."""
    labels = [r.label for r in trained.results]
    judged = "; ".join(
        f"{r.label} AUC {r.auc.value:.2f} (95 % interval {r.auc.low:.2f} to {r.auc.high:.2f})" for r in trained.results
    )
    card = _about(volumes) | {
        "title": f"your own classifier of {', '.join(labels)}",
        "verb": "classify",
        "runtime": "trained_classifier",
        "targets": labels,
        "options": {
            "picture": trained.picture.model_dump(),
            "labels": labels,
            "operating_points": [r.operating_point for r in trained.results],
        },
        "seconds": 1.0,
        "limits": [
            f"Trained here on {trained.trained_on} of your images; on {trained.judged_on} held-out ones: {judged}.",
            "Judged on images of the same collection; other scanners and patients may do worse.",
        ],
        "source": "trained by readingroom on your labels: a small DenseNet",
        "citation": "Huang et al., CVPR 2017",
    }
    return save_model(weights_dir, name or f"{'-'.join(labels[:3])}-own", trained.network, card)


def limits_of(trained: TrainedSegmenter, images: int) -> tuple[str, ...]:
    """Return what a reader of a trained segmenter's figures must know."""
    if trained.unit == "image":
        return ("Judged on images of the same collection; other scanners and patients may do worse.",)
    few = "one image" if images == 1 else f"{images} images"
    return (f"Learned from and judged on slices of {few}: the figure says nothing of other patients.",)


def _about(volumes: Sequence[Volume]) -> dict[str, Any]:
    return {
        "version": "1",
        "modality": sorted({v.modality for v in volumes if v.modality}),
        "body_part": sorted({v.body_part for v in volumes if v.body_part}),
        "dims": sorted({v.dims for v in volumes}),
        "requires": "it was trained on such images only",
        "trust": "experimental",
        "licence": "yours",
    }


def save_model(weights_dir: Path, wanted: str, network: Mapping[str, Any], card: Mapping[str, Any]) -> ModelCard:
    """Write weights and card into a folder of the card's name and return the card.

    The same training again gives the same weights: its card is returned as it is, and nothing is written twice.

    Args:
        weights_dir: the folder of the weights that a person brought or trained.
        wanted: the card's name in words; a number is added where another model has it.
        network: the state dict.
        card: the card's keys without `name` and `weights`.

    Raises:
        BadInputError: nothing of the wanted name can stand in a file name.
    """
    import tomli_w
    import torch

    stem = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")
    if not stem:
        raise BadInputError(f"the name of a model needs letters or digits, got {wanted!r}")
    buffer = io.BytesIO()
    torch.save(dict(network), buffer)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    number = 1
    while True:
        name = stem if number == 1 else f"{stem}-{number}"
        folder = weights_dir / name
        if _holds(folder, digest):
            return read_card(folder / OWN_CARD)
        if not folder.exists():
            break
        number += 1
    weights = {"file": f"{name}/{NETWORK}", "sha256": {NETWORK: digest}, "get": "train it again"}
    with writing(folder):
        folder.mkdir(parents=True)
        (folder / NETWORK).write_bytes(buffer.getvalue())
    write_atomically(folder / OWN_CARD, tomli_w.dumps({"name": name, **card, "weights": weights}))
    return read_card(folder / OWN_CARD)


def _holds(folder: Path, digest: str) -> bool:
    """Return whether a folder holds the model with these weights already."""
    try:
        kept = read_card(folder / OWN_CARD).weights
    except BadInputError:
        return False
    return kept is not None and kept.sha256.get(NETWORK) == digest and (folder / NETWORK).is_file()
