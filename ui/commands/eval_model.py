"""`readingroom eval model`: one model on a folder of labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from agent.assistant import Assistant
    from tools.models.card import ModelCard
    from tools.models.runtimes.base import Progress

ERROR_RATE = 0.1


def model(  # noqa: PLR0913  one parameter an option
    card: Annotated[str, typer.Argument(metavar="CARD", help="A model's name; see 'readingroom models list'.")],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help="Folder with images/ and labels/ (masks), or with one folder of images a label."
        ),
    ],
    *,
    groups: Annotated[
        Path | None, typer.Option("--groups", help="CSV with a column 'file' and one column an attribute.")
    ] = None,
    target: Annotated[str, typer.Option("--target", help="What the masks outline; else the card's only target.")] = "",
    modality: Annotated[str, typer.Option("--modality", help="Of images that do not say it: CT, MR, CR, …")] = "",
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Keep a calibration file, from which 'assess' makes conformal sets.")
    ] = False,
    out: Annotated[Path, typer.Option("--out", help="Folder of the report.")] = Path("model-report"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Check a model on labelled images: subgroups, corruptions, calibration, shortcuts; writes a report with plots."""
    from ui.assistants import open_assistant
    from ui.console import Terminal

    assistant, terminal = open_assistant(), Terminal()
    chosen = assistant.hub.get(card)
    wanted = _Wanted(data, groups, target, modality, calibrate, out)
    with terminal.amounts(f"evaluating {chosen.name}", in_bytes=False) as show:
        files = _evaluated(assistant, chosen, wanted, lambda done, _: show(round(100 * done), 100))
    if as_json:
        import json

        terminal.json(json.loads((out / "model-report.json").read_text(encoding="utf-8")))
        return
    terminal.show(*(str(file) for file in files))


class _Wanted:
    """What the person asked for."""

    def __init__(self, data: Path, groups: Path | None, target: str, modality: str, calibrate: bool, out: Path) -> None:
        self.data, self.groups, self.target, self.modality = data, groups, target, modality
        self.calibrate, self.out = calibrate, out


def _evaluated(assistant: Assistant, card: ModelCard, wanted: _Wanted, progress: Progress) -> list[Path]:
    from tools.errors import BadInputError
    from tools.training.folder import is_segmentation

    masks = is_segmentation(wanted.data)
    if card.verb not in ("segment", "classify") or masks != (card.verb == "segment"):
        holds = "images with masks" if masks else "one folder a label"
        raise BadInputError(
            f"model {card.name!r} serves {card.verb}, and {wanted.data.name!r} holds {holds}: a segmenter needs "
            "images/ and labels/, a classifier one folder a label"
        )
    run = _segmenter if masks else _classifier
    return run(assistant, card, wanted, progress)


def _segmenter(assistant: Assistant, card: ModelCard, wanted: _Wanted, progress: Progress) -> list[Path]:
    from tools.errors import BadInputError
    from tools.evaluation.attributes import read_attributes
    from tools.evaluation.model_report import write_segmenter_report
    from tools.evaluation.segmenter import evaluate_segmenter
    from tools.models.hub import Choice
    from tools.training.folder import read_pairs

    target = wanted.target or (card.targets[0] if len(card.targets) == 1 else "")
    if not target:
        raise BadInputError(f"--target: {card.name} finds {', '.join(card.targets[:8])} …; say which the masks outline")
    pairs = read_pairs(wanted.data, wanted.modality)
    if not pairs:
        raise BadInputError(f"{wanted.data.name}/images holds no image")
    groups = read_attributes(wanted.groups, [p.name for p in pairs]) if wanted.groups else {}
    seed = assistant.settings.seed
    used = assistant.hub.use(
        Choice(card, "asked for by name"),
        lambda runtime: evaluate_segmenter(runtime, target, pairs, groups, progress, seed=seed),
    )
    return write_segmenter_report(card, used.value, wanted.out)


def _classifier(assistant: Assistant, card: ModelCard, wanted: _Wanted, progress: Progress) -> list[Path]:
    from tools.errors import BadInputError
    from tools.evaluation import conformal
    from tools.evaluation.attributes import read_attributes
    from tools.evaluation.classifier import evaluate_classifier
    from tools.evaluation.model_report import write_classifier_report
    from tools.models.hub import Choice
    from tools.training.folder import read_labelled

    images = read_labelled(wanted.data, wanted.modality)
    groups = read_attributes(wanted.groups, [i.name for i in images]) if wanted.groups else {}
    labels = sorted({i.label for i in images})
    if not any(card.named(label) == label for label in labels):
        raise BadInputError(
            f"no folder of {wanted.data.name!r} has the name of a finding of {card.name}: {', '.join(labels[:6])} "
            f"against {', '.join(card.targets[:8])}"
        )
    seed = assistant.settings.seed
    used = assistant.hub.use(
        Choice(card, "asked for by name"),
        lambda runtime: evaluate_classifier(runtime, images, groups, seed, progress),
    )
    files = write_classifier_report(card, used.value, len(images), wanted.out)
    if wanted.calibrate:
        made = conformal.calibrate(card.name, used.value.scores, used.value.truth, ERROR_RATE)
        path = assistant.settings.weights_dir / card.name / conformal.FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        conformal.save(made, path)
        files.append(path)
    return files
