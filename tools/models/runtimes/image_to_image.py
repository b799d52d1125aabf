"""Networks that make an image from an image, a finer or a cleaner one: ONNX and TorchScript files behind `enhance`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import BadInputError, UnavailableError
from tools.free_memory import require_memory
from tools.imaging.geometry import to_orientation
from tools.imaging.volume import Volume
from tools.models.runtimes.monai_bundle import require_scan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tools.models.runtimes.array_network import ArrayOptions, Network
    from tools.models.runtimes.base import Loading, Progress

_BYTES_A_VOXEL = 200.0  # of activations, for a network of a few dozen channels


def made_from(
    volume: Volume, run: tuple[Network, Loading, ArrayOptions], parameters: Mapping[str, Any], progress: Progress
) -> Volume:
    """Return what a network makes of a volume: the same place in the patient, in as many voxels as it gives.

    The values that the network's answer is in are those that it was given: they are scaled back. How much finer the
    grid is, the answer's own size says; the outer edges stay where they are.

    Args:
        volume: the image.
        run: the network, what the hub lent, and the card's options.
        parameters: `spacing_mm`, where a person wants one: refused where the network's is another.
        progress: told how far the work is.

    Raises:
        UnsupportedError, BadInputError: no volume, no spacing, or a spacing that the network does not make.
        UnavailableError: the answer is no image.
    """
    network, loading, options = run
    require_scan(volume)
    require_memory(_BYTES_A_VOXEL * float(np.prod(volume.shape)), "this network")
    upright = to_orientation(volume, options.orientation)
    values = np.asarray(upright.array, np.float32)
    low, span = _scale(values, options)
    progress(0.1, "running the network")
    answer = np.asarray(network(((values - low) / span)[None, None]), np.float32)
    if not _is_image(answer.shape, values.shape):
        raise UnavailableError(
            f"the network of {loading.card.name!r} gives {answer.shape} for an image of {values.shape}: one channel "
            "and a whole multiple of its size were expected"
        )
    progress(0.9, "placing the image")
    made = _placed(answer[0, 0] * span + low, upright)
    _require_spacing(made, parameters, loading.card.name)
    return made


def _is_image(answer: tuple[int, ...], source: tuple[int, ...]) -> bool:
    """Return whether an answer is one image with a whole number of voxels for each of the source's."""
    is_single = len(answer) == 5 and answer[:2] == (1, 1)
    return is_single and all(n % m == 0 for n, m in zip(answer[2:], source, strict=True))


def _scale(values: NDArray[np.float32], options: ArrayOptions) -> tuple[float, float]:
    """Return what is taken off and what is divided by, so that the answer can be brought back."""
    match options.intensity:
        case "minmax":
            low, high = float(values.min()), float(values.max())
            return low, max(high - low, 1e-8)
        case "window":
            return options.window[0], options.window[1] - options.window[0]
        case "zscore":
            return float(values.mean()), max(float(values.std()), 1e-8)
    return 0.0, 1.0


def _placed(array: NDArray[np.float32], source: Volume) -> Volume:
    """Return values on the source's place, its outer edges where they were."""
    factors = np.array(array.shape) / np.array(source.shape)
    finer = np.diag([*(1 / factors), 1.0])
    finer[:3, 3] = (1 / factors - 1) / 2
    dtype = source.array.dtype
    values = np.rint(array).clip(*_range_of(dtype)) if dtype.kind in "iu" else array
    return Volume(
        values.astype(dtype), source.affine_ras @ finer, source.spacing_source, source.modality, units=source.units
    )


def _range_of(dtype: np.dtype[Any]) -> tuple[int, int]:
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def _require_spacing(made: Volume, parameters: Mapping[str, Any], name: str) -> None:
    wanted = parameters.get("spacing_mm")
    if wanted is not None and not np.allclose(made.spacing_mm, float(wanted), rtol=0.02):
        steps = " × ".join(f"{s:.3g}" for s in made.spacing_mm)
        raise BadInputError(
            f"spacing_mm: {name} makes voxels of {steps} mm of this image, not of {wanted:g} mm; leave it out, or use "
            "operation 'resample'"
        )
