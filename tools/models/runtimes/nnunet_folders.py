"""Which of nnU-Net's result folders below a card's weights are run, and why none can be: looked up without torch.

nnU-Net leaves one folder a configuration, TRAINER__PLANS__CONFIGURATION, and all of a dataset's lie side by side;
TotalSegmentator has one dataset a group of organs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, ValidationError

from tools.errors import ToolError, UnavailableError, UnsupportedError
from tools.models.card import ModelCard
from tools.models.runtimes.base import Options
from tools.models.runtimes.nnunet_plans import PREFERRED, Labels, Plans, channel_names, read_json

CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_best.pth")


class NnunetOptions(Options):
    """Table [options] of a card for this runtime."""

    configuration: str = ""
    """Which configuration to run; empty: 3d_fullres, else 3d_lowres, else 2d, whichever was trained."""
    orientation: str = Field(default="RAS", pattern="^[RL][AP][SI]$")
    """How the training images lay in their files; nnU-Net itself does not turn images."""
    names: dict[str, str] = Field(default_factory=dict)
    """Per target: what the folder's dataset.json calls it, where that differs."""
    mirror: bool = False
    """Whether to average over mirrored copies, as nnU-Net does by default: eight times the time in 3-D."""


class ResultFolder(NamedTuple):
    """One trained configuration, read."""

    path: Path
    plans: Plans
    labels: Labels
    channels: tuple[str, ...]
    checkpoints: tuple[Path, ...]
    """One a fold."""


def result_folders(root: Path, options: NnunetOptions) -> list[ResultFolder]:
    """Read the folders to run, one a dataset.

    Raises:
        UnavailableError: there is none, or one is incomplete or damaged.
        UnsupportedError: one asks for something that is not supported.
    """
    by_dataset: dict[Path, list[Path]] = {}
    for plans in sorted(root.rglob("plans.json")):
        if (plans.parent / "dataset.json").is_file():
            by_dataset.setdefault(plans.parent if plans.parent == root else plans.parent.parent, []).append(
                plans.parent
            )
    if not by_dataset:
        raise UnavailableError(
            f"{root.name} holds no nnU-Net result folder: it has plans.json, dataset.json and fold_0"
        )
    found = [_read(*_chosen(folders, options.configuration)) for folders in by_dataset.values()]
    kinds = {folder.channels for folder in found}
    if len({len(kind) for kind in kinds}) > 1:
        raise UnsupportedError(
            f"{root.name}: the folders take different numbers of images; give each a card of its own"
        )
    return found


def refusal(card: ModelCard, root: Path) -> str:
    """Say why what lies there cannot be run with this card, and what would mend it; empty: it can.

    Looked at whenever models are listed, so only the two small JSON files are read.
    """
    try:
        options = NnunetOptions.model_validate(card.options)
    except ValidationError:
        return ""  # said when it is loaded, with the key
    try:
        folders = result_folders(root, options)
    except ToolError as error:
        return str(error)
    channels = folders[0].channels
    if len(channels) > 1 and len(card.series) != len(channels):
        named = ", ".join(f'"{name}"' for name in channels)
        return f"{root.name} takes {len(channels)} images as one input; write series = [{named}] in its card"
    if len(channels) == 1 and card.series:
        return f"{root.name} takes one image, and its card names {len(card.series)} series: take them out of the card"
    return _missing_targets(card, options, folders)


def _missing_targets(card: ModelCard, options: NnunetOptions, folders: list[ResultFolder]) -> str:
    there = {name for folder in folders for name in folder.labels.values}
    wanted = {target: options.names.get(target, target) for target in card.targets}
    if any(name in there for name in wanted.values()) or not wanted:
        return ""
    listed = ", ".join(sorted(there)[:8])
    return (
        f"{folders[0].path.parent.name} has none of the card's targets; it has: {listed}. Name them in the card's "
        "targets, or in [options.names]"
    )


def _chosen(folders: list[Path], asked: str) -> tuple[Path, str]:
    """Return the folder of a dataset to run, and the configuration that was trained in it."""
    by_configuration: dict[str, Path] = {}
    for folder in folders:
        by_configuration.setdefault(_configuration_of(folder), folder)
    if asked in by_configuration:
        return by_configuration[asked], asked
    unnamed = by_configuration.get("")
    if asked:
        if unnamed is not None:
            return unnamed, asked
        there = ", ".join(sorted(by_configuration))
        raise UnsupportedError(f"{folders[0].parent.name} has no trained configuration {asked!r}; there are: {there}")
    for name in PREFERRED:
        if name in by_configuration:
            return by_configuration[name], name
    if unnamed is not None:
        return unnamed, _best_of(read_json(unnamed / "plans.json"))
    name = sorted(by_configuration)[0]
    return by_configuration[name], name


def _configuration_of(folder: Path) -> str:
    """Return which configuration a folder says it was trained with; empty where its name does not say."""
    parts = folder.name.split("__")
    return parts[2] if len(parts) == 3 else ""


def _best_of(plans: dict[str, Any]) -> str:
    there = plans.get("configurations", {})
    return next((name for name in PREFERRED if name in there), PREFERRED[0])


def _read(path: Path, configuration: str) -> ResultFolder:
    dataset = read_json(path / "dataset.json")
    channels = channel_names(dataset)
    plans = Plans.read(read_json(path / "plans.json"), configuration, path.name, len(channels))
    return ResultFolder(path, plans, Labels.read(dataset, path.name), channels, _checkpoints(path))


def _checkpoints(path: Path) -> tuple[Path, ...]:
    found = [fold / name for fold in sorted(path.glob("fold_*")) for name in CHECKPOINTS]
    by_fold = {checkpoint.parent: checkpoint for checkpoint in reversed(found) if checkpoint.is_file()}
    if not by_fold:
        raise UnavailableError(f"{path.name} has no fold_*/checkpoint_final.pth: copy the whole folder")
    return tuple(by_fold[fold] for fold in sorted(by_fold))
