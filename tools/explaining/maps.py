"""Heat maps of a classifier's score: Grad-CAM, occlusion, and what changes when a region is filled in."""

from __future__ import annotations

import copy
import dataclasses
import itertools
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.imaging.volume import BoolArray
from tools.models.runtimes.base import Attention, Progress, silent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor
    from torch.nn import Module

HeatMap = NDArray[np.float32]

PATCHES = 8  # an occluding square is an eighth of the input wide
OVERLAP = 0.5
AT_ONCE = 16
REGION_SHARE = 0.1  # of the input's pixels: what is masked to test a map
RANDOM_REGIONS = 20


class Faithfulness(NamedTuple):
    """How much a score falls when the region that a map marks is masked, beside regions of its size elsewhere."""

    score: float
    masked: float
    """Score with the marked region replaced by its surroundings."""
    elsewhere: float
    """Mean score over regions of the same shape moved to other places."""

    @property
    def drop(self) -> float:
        """How much more the marked region matters than others."""
        return self.elsewhere - self.masked


def score_of(attention: Attention, inputs: Tensor | None = None) -> NDArray[np.float64]:
    """Return the network's value of the explained label, one an input."""
    import torch

    with torch.inference_mode():
        values = attention.network(attention.inputs if inputs is None else inputs)
    return np.asarray(values[:, attention.index].double().cpu().numpy())


def grad_cam(attention: Attention) -> HeatMap:
    """Return Grad-CAM of the last feature maps over the input, 0 to 1; all 0 where nothing speaks for the label.

    Source: Selvaraju et al., ICCV 2017.
    """
    from monai.visualize import GradCAM

    explained = attention.network
    with _plain_activations(explained):
        camera = GradCAM(explained, attention.layer or _last_convolution(explained), postprocessing=lambda given: given)
        found = camera(attention.inputs.clone().requires_grad_(), class_idx=attention.index)
    plain = np.maximum(np.asarray(found.detach().cpu().numpy()[0, 0], dtype=np.float32), 0)
    return plain / plain.max() if plain.max() > 0 else plain


def occlusion(attention: Attention, progress: Progress) -> HeatMap:
    """Return by how much the value falls when a square around each pixel is replaced by the input's mean.

    Positive where hiding the pixel speaks against the label; the mean over the squares that cover the pixel. Ours
    because monai.visualize.OcclusionSensitivity indexes in a way that torch is giving up.

    Source: Zeiler and Fergus, ECCV 2014.
    """
    import torch

    shape = attention.inputs.shape[2:]
    sizes = [max(2, n // PATCHES) for n in shape]
    starts = [_starts(n, size) for n, size in zip(shape, sizes, strict=True)]
    corners = list(itertools.product(*starts))
    whole, mean = float(score_of(attention)[0]), attention.inputs.mean()
    fallen, covered = np.zeros(shape, np.float64), np.zeros(shape, np.float64)
    for first in range(0, len(corners), AT_ONCE):
        progress(first / len(corners), "hiding one part after the other")
        now = corners[first : first + AT_ONCE]
        squares = [tuple(slice(c, c + size) for c, size in zip(corner, sizes, strict=True)) for corner in now]
        regions = np.zeros((len(now), *shape), bool)
        for region, square in zip(regions, squares, strict=True):
            region[square] = True
        there = torch.from_numpy(regions)[:, None].to(attention.inputs.device)
        hidden = torch.where(there, mean, attention.inputs)
        for square, value in zip(squares, score_of(attention, hidden), strict=True):
            fallen[square] += whole - value
            covered[square] += 1
    return np.asarray(fallen / covered, dtype=np.float32)


def _starts(length: int, size: int) -> list[int]:
    """Return where squares begin so that they overlap and reach the end."""
    step = max(1, round(size * (1 - OVERLAP)))
    return [*range(0, length - size, step), length - size]


def top_region(heat: HeatMap, share: float = REGION_SHARE) -> BoolArray:
    """Return the pixels with the highest values of a map; none where the map is flat."""
    if float(np.ptp(heat)) == 0:
        return np.zeros(heat.shape, bool)
    limit = np.quantile(heat, 1 - share)
    return np.asarray((heat >= limit) & (heat > heat.min()))


def filled(inputs: Tensor, region: BoolArray) -> Tensor:
    """Return inputs with a region filled in smoothly from its rim: as if what is there were not.

    Source: biharmonic inpainting, Damelin and Hoang, Int J Math Math Sci 2018.
    """
    import torch
    from skimage.restoration import inpaint_biharmonic

    planes = inputs[0].cpu().numpy()
    made = np.stack([inpaint_biharmonic(plane, region, split_into_regions=True) for plane in planes])
    return torch.from_numpy(made[None].astype(np.float32)).to(inputs.device)


def faithfulness(attention: Attention, region: BoolArray, seed: int) -> Faithfulness:
    """Mask a region with the image's mean, and the same shape at random other places; compare the values.

    Source: the deletion test of Samek et al., IEEE Trans Neural Netw Learn Syst 28 (2017) 2660, with one region.
    """
    import torch

    rng = np.random.default_rng(seed)
    shifts = [tuple(int(rng.integers(0, n)) for n in region.shape) for _ in range(RANDOM_REGIONS)]
    regions = [region, *(np.roll(region, s, axis=tuple(range(region.ndim))) for s in shifts)]
    mean = attention.inputs.mean()
    values = []
    for start in range(0, len(regions), AT_ONCE):
        hidden = torch.from_numpy(np.stack(regions[start : start + AT_ONCE])).to(attention.inputs.device)[:, None]
        values.append(score_of(attention, torch.where(hidden, mean, attention.inputs)))
    every = np.concatenate(values)
    return Faithfulness(float(score_of(attention)[0]), float(every[0]), float(every[1:].mean()))


def agreement_with_random_weights(attention: Attention, heat: HeatMap, seed: int) -> float:
    """Return the rank correlation of a map with that of the same network after its weights were drawn anew.

    Grad-CAM where the network has feature maps, else occlusion. A map that stays the same shows the image, not what the
    model learned.

    Source: Adebayo et al., NeurIPS 2018.
    """
    import torch
    from scipy.stats import spearmanr

    network = copy.deepcopy(attention.network)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for module in network.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
    network.eval()
    redrawn = dataclasses.replace(attention, network=network)
    other = occlusion(redrawn, silent) if attention.layer is None else grad_cam(redrawn)
    if float(np.ptp(heat)) == 0 or float(np.ptp(other)) == 0:
        return 0.0
    return float(spearmanr(heat.ravel(), other.ravel()).statistic)


def _last_convolution(network: Module) -> str:
    from torch.nn import Conv2d, Conv3d

    found: list[str] = [name for name, module in network.named_modules() if isinstance(module, Conv2d | Conv3d)]
    return found[-1]


@contextmanager
def _plain_activations(network: Module) -> Iterator[None]:
    """Let gradients reach the feature maps: an activation that works in place would overwrite them."""
    changed = [m for m in network.modules() if getattr(m, "inplace", False)]
    for module in changed:
        module.inplace = False  # type: ignore[assignment]  # a plain attribute of torch's activations
    try:
        yield
    finally:
        for module in changed:
            module.inplace = True  # type: ignore[assignment]
