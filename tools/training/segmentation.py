"""Trains a small U-Net on slices with masks, and judges it on slices that it did not learn from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import BadInputError
from tools.imaging.volume import BoolArray, Volume
from tools.models.runtimes.base import Progress
from tools.training.metrics import Interval, mean_interval, overlap, pooled_dice_interval
from tools.training.run import RunSettings, Watch, begin
from tools.training.slices import FloatStack, SliceOptions, mask_stack, options_for, padded, stack_of, with_context
from tools.training.split import Split, split_slices

if TYPE_CHECKING:
    from torch import Generator, Tensor
    from torch.nn import Module

CHANNELS = (16, 32, 64, 96)
PRIOR_LOGIT = -3.0  # most pixels are not the target; starting from there saves the first hundred steps


@dataclass(frozen=True)
class Example:
    """An image and what is to be learned on it."""

    name: str
    volume: Volume
    mask: BoolArray
    """bool (i, j, k) of the volume; a slice without a voxel inside is an example of what the target is not."""


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(RunSettings):
    """How to train a segmenter."""

    epochs: int = 30
    batch: int = 8
    learning_rate: float = 1e-2
    pixel_mm: float | None = None
    """Side of an input pixel; None: 1/96 of the first image's longest in-plane side."""


@dataclass(frozen=True)
class TrainedSegmenter:
    """A network and how it did on what was held out."""

    network: dict[str, Any]
    """State dict of `make_network`."""
    options: SliceOptions
    held_out: Interval
    """Dice on held-out units."""
    unit: str
    trained_on: int
    """Slices learned from."""
    history: tuple[float, ...] = field(default=())
    """Mean loss per epoch."""


def make_network(channels: int) -> Module:
    """Return the untrained network: slices with their neighbours in, one logit a pixel out."""
    from monai.networks.nets import UNet
    from torch.nn import Conv2d, ConvTranspose2d, init

    network: Module = UNet(
        spatial_dims=2,
        in_channels=channels,
        out_channels=1,
        channels=CHANNELS,
        strides=(2, 2, 2),
        num_res_units=1,
        norm="batch",
        act="relu",
    )
    last = [m for m in network.modules() if isinstance(m, Conv2d | ConvTranspose2d)][-1]
    if last.bias is not None:
        init.constant_(last.bias, PRIOR_LOGIT)
    return network


def train_segmenter(
    examples: Sequence[Example], settings: TrainingSettings, progress: Progress, state_file: Path
) -> TrainedSegmenter:
    """Train on some of the slices and judge on the others.

    Args:
        examples: images with their masks, all of one kind of value.
        settings: how.
        progress: told the epoch; may raise to stop, and a later call with the same examples goes on.
        state_file: where the state is kept between epochs.

    Raises:
        BadInputError: no example, an empty mask, another geometry, or too few slices.
    """
    _require_usable(examples)
    options = options_for(examples[0].volume, settings.pixel_mm or _default_pixel(examples[0].volume))
    stacks = [stack_of(e.volume, options).array for e in examples]
    masks = [mask_stack(e.mask, e.volume, options) for e in examples]
    split = split_slices([m.max(axis=(1, 2)) >= 0.5 for m in masks], options.context, settings.seed)
    run = _Run(options, settings, Watch(progress, state_file))
    network, history = _fit(stacks, masks, split, run)
    progress(0.95, "judging on what was held out")
    held_out = _judge(network, stacks, masks, split, run)
    return TrainedSegmenter(
        network={name: value.detach().cpu() for name, value in network.state_dict().items()},
        options=options,
        held_out=held_out,
        unit=split.unit,
        trained_on=sum(len(t) for t in split.train),
        history=tuple(history),
    )


def _require_usable(examples: Sequence[Example]) -> None:
    if not examples:
        raise BadInputError("examples: at least one image with a mask is needed, got none")
    for example in examples:
        if example.mask.shape != example.volume.shape:
            raise BadInputError(
                f"examples: the mask of {example.name} has the shape {example.mask.shape}, its image "
                f"{example.volume.shape}; they must lie on the same grid"
            )
        if not example.mask.any():
            raise BadInputError(f"examples: the mask of {example.name} is empty; nothing can be learned from it")
    units = {e.volume.units for e in examples}
    dims = {e.volume.dims for e in examples}
    if len(units) > 1 or len(dims) > 1:
        raise BadInputError("examples: images of one kind are needed; Hounsfield and other units, or 2-D and 3-D, mix")


def _default_pixel(volume: Volume) -> float | None:
    """Choose pixels so that the longest side in plane has about 96 of them; None without spacing."""
    if volume.spacing_source is None:
        return None
    steps = [s for s in volume.spacing_mm if not np.isnan(s)]
    longest = max(n * s for n, s in zip(volume.shape, steps, strict=False))
    return round(longest / 96, 3)


@dataclass(frozen=True)
class _Run:
    options: SliceOptions
    settings: TrainingSettings
    watch: Watch


def _fit(
    stacks: Sequence[FloatStack], masks: Sequence[FloatStack], split: Split, run: _Run
) -> tuple[Module, list[float]]:
    from monai.losses import DiceCELoss

    settings = run.settings
    told = {**asdict(settings), **run.options.model_dump(), "train": [t.tolist() for t in split.train]}
    begun = begin(lambda: make_network(run.options.channels), settings, run.watch, told, [*stacks, *masks])
    network, generator = begun.network, begun.generator
    loss_of = DiceCELoss(sigmoid=True, batch=True)
    shows = [mask.max(axis=(1, 2)) >= 0.5 for mask in masks]
    pairs = [(image, int(number)) for image, numbers in enumerate(split.train) for number in numbers]
    with_target = [pair for pair in pairs if shows[pair[0]][pair[1]]]
    without = [pair for pair in pairs if not shows[pair[0]][pair[1]]]
    network.train()
    for epoch in range(len(begun.history), settings.epochs):
        rate = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / settings.epochs))
        for group in begun.optimiser.param_groups:
            group["lr"] = rate
        losses = []
        seen_now = _epoch(with_target, without, generator)
        for start in range(0, len(seen_now), settings.batch):
            done = (epoch + start / len(seen_now)) / settings.epochs
            run.watch.progress(0.05 + 0.9 * done, f"epoch {epoch + 1} of {settings.epochs}")
            chosen = seen_now[start : start + settings.batch]
            seen, wanted = _varied(*_batch(chosen, stacks, masks, run.options), generator)
            loss = loss_of(network(seen.to(settings.device)), wanted.to(settings.device))
            begun.optimiser.zero_grad()
            loss.backward()
            begun.optimiser.step()
            losses.append(float(loss.detach()))
        begun.history.append(float(np.mean(losses)))
        begun.keep()
    return network, begun.history


def _epoch(
    with_target: list[tuple[int, int]], without: list[tuple[int, int]], generator: Generator
) -> list[tuple[int, int]]:
    """Return the slices of one epoch: all that show the target, and half as many others, drawn anew."""
    import torch

    drawn = torch.randperm(len(without), generator=generator)[: max(1, len(with_target) // 2)].tolist()
    pool = [*with_target, *(without[n] for n in drawn)]
    return [pool[n] for n in torch.randperm(len(pool), generator=generator).tolist()]


def _batch(
    chosen: Sequence[tuple[int, int]], stacks: Sequence[FloatStack], masks: Sequence[FloatStack], options: SliceOptions
) -> tuple[Tensor, Tensor]:
    """Return slices and masks of one batch; smaller slices are padded to the largest of it."""
    import torch

    seen = [with_context(stacks[image], [number], options)[0] for image, number in chosen]
    wanted = [padded(masks[image][number][None]) for image, number in chosen]
    size = tuple(max(s.shape[axis] for s in seen) for axis in (1, 2))

    def grown(array: FloatStack, mode: Any) -> FloatStack:
        add = [(0, 0), (0, size[0] - array.shape[1]), (0, size[1] - array.shape[2])]
        return np.pad(array, add, mode=mode)

    images = np.stack([grown(s, "edge") for s in seen])
    return torch.from_numpy(images), torch.from_numpy(np.stack([grown(w, "constant") for w in wanted]))


def _varied(seen: Tensor, wanted: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Turn, scale and shift a batch a little and change its brightness; never mirrored, since sides differ."""
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    count = len(seen)

    def drawn(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=generator) * (high - low) + low

    angle, size = drawn(-0.15, 0.15), drawn(0.92, 1.08)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1], theta[:, 0, 2] = (
        size * torch.cos(angle),
        -size * torch.sin(angle),
        drawn(-0.06, 0.06),
    )
    theta[:, 1, 0], theta[:, 1, 1], theta[:, 1, 2] = (
        size * torch.sin(angle),
        size * torch.cos(angle),
        drawn(-0.06, 0.06),
    )
    grid = affine_grid(theta, list(seen.shape), align_corners=False)
    moved = grid_sample(seen, grid, padding_mode="border", align_corners=False)
    target = grid_sample(wanted, grid, padding_mode="zeros", align_corners=False)
    gain, offset = drawn(0.95, 1.05).view(-1, 1, 1, 1), drawn(-0.05, 0.05).view(-1, 1, 1, 1)
    return moved * gain + offset, target


def _judge(
    network: Module, stacks: Sequence[FloatStack], masks: Sequence[FloatStack], split: Split, run: _Run
) -> Interval:
    """Return the mean Dice of held-out images, or Dice over held-out slices."""
    by_image, by_slice = [], []
    for stack, mask, numbers in zip(stacks, masks, split.held_out, strict=True):
        if len(numbers):
            found = predict(network, stack, numbers, run.options, run.settings.device) >= 0.5
            true = mask[numbers] >= 0.5
            by_image.append(overlap(found, true).dice)
            by_slice += [overlap(f, t) for f, t in zip(found, true, strict=True)]
    if split.unit == "image":
        return mean_interval(by_image, run.settings.seed)
    return pooled_dice_interval(by_slice, run.settings.seed)


def predict(
    network: Module, stack: FloatStack, numbers: Any, options: SliceOptions, device: str, batch: int = 16
) -> FloatStack:
    """Return probabilities of slices, float32 (n, rows, columns)."""
    import torch

    rows, columns = stack.shape[1:]
    network.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(numbers), batch):
            seen = torch.from_numpy(with_context(stack, numbers[start : start + batch], options)).to(device)
            parts.append(torch.sigmoid(network(seen))[:, 0, :rows, :columns].float().cpu().numpy())
    return np.concatenate(parts)
