"""`readingroom train`: a model card from a folder of labelled images."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from agent.assistant import Assistant
    from tools.models.card import ModelCard
    from tools.models.runtimes.base import Progress


def train(
    data: Annotated[
        Path,
        typer.Argument(
            help="Folder with images/ and labels/ (masks of the same names), or with one folder of images a label."
        ),
    ],
    *,
    target: Annotated[str, typer.Option("--target", help="What the masks outline, in a word or two.")] = "",
    name: Annotated[str | None, typer.Option("--name", help="Name of the model; else made from the target.")] = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1, max=1000, help="How often each image is seen.")] = 30,
    modality: Annotated[str, typer.Option("--modality", help="Of images that do not say it: CT, MR, CR, …")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Train a model on your own labels and register it; stopped with Ctrl-C, the same command goes on."""
    from ui.assistants import open_assistant
    from ui.console import Terminal

    assistant, terminal = open_assistant(), Terminal()
    with terminal.amounts("training", in_bytes=False) as show:
        card = _trained(
            assistant, data, _Wanted(target, name, epochs, modality), lambda f, _: show(round(100 * f), 100)
        )
    if as_json:
        terminal.json(card.model_dump(mode="json"))
        return
    terminal.show(f"{card.name}: {card.title}", *(f"  {limit}" for limit in card.limits))
    terminal.show(f"  weights and card lie in {assistant.settings.weights_dir / card.name}")


class _Wanted:
    """What the person asked for."""

    def __init__(self, target: str, name: str | None, epochs: int, modality: str) -> None:
        self.target, self.name, self.epochs, self.modality = target, name, epochs, modality


def _trained(assistant: Assistant, data: Path, wanted: _Wanted, progress: Progress) -> ModelCard:
    from tools.errors import BadInputError
    from tools.training.cards import save_classifier, save_segmenter
    from tools.training.classification import ClassifierSettings, train_classifier
    from tools.training.folder import is_segmentation, read_labelled, read_pairs
    from tools.training.segmentation import TrainingSettings, train_segmenter

    settings = assistant.settings
    device, seed, weights_dir = assistant.hub.device, settings.seed, settings.weights_dir
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    state = settings.data_dir / f"training-{hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:12]}.pt"
    if is_segmentation(data):
        if not wanted.target:
            raise BadInputError("--target: say what the masks outline, such as --target lesion")
        pairs = read_pairs(data, wanted.modality)
        made = train_segmenter(pairs, TrainingSettings(epochs=wanted.epochs, seed=seed, device=device), progress, state)
        card = save_segmenter(weights_dir, wanted.target, made, [p.volume for p in pairs], wanted.name)
    else:
        images = read_labelled(data, wanted.modality)
        how = ClassifierSettings(epochs=wanted.epochs, seed=seed, device=device)
        classifier = train_classifier(images, how, progress, state)
        card = save_classifier(weights_dir, classifier, [i.volume for i in images], wanted.name)
    state.unlink(missing_ok=True)
    return card
