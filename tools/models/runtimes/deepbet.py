"""Brain extraction on T1-weighted MR with the two small networks that the package deepbet carries."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from tools.errors import BadInputError, UnsupportedError
from tools.imaging.geometry import closest_canonical, from_canonical
from tools.imaging.volume import BoolArray, Volume
from tools.models.runtimes.base import Loading, Progress, Segmentation

MIN_EXTENT_MM = 80.0  # an infant's brain is longer; a thinner slab shows no whole brain
BRAIN_ML = (250.0, 2500.0)
"""Generous on purpose: a term newborn's brain has about 0.4 l, an adult's intracranial space 1.0 to 1.9 l."""
LATE_ECHO_MS = 50.0  # conventional T1-weighted sequences have echo times below 30 ms


class Deepbet:
    """The target `brain`: brain with ventricles and the fluid around it, as deepbet was trained to see it.

    Args:
        networks: a `deepbet.BrainExtraction`; it keeps state between its calls, so one thread uses it at a time.
    """

    def __init__(self, networks: Any) -> None:
        self._networks = networks
        self._lock = threading.Lock()

    def segment(self, volume: Volume, targets: Sequence[str], progress: Progress) -> Segmentation:
        """Outline the brain; see `SegmentRuntime`."""
        _require_head(volume)
        progress(0.1, "looking for the brain")
        canonical = closest_canonical(volume)
        with self._lock:
            mask = self._extract(np.array(canonical.array, dtype=np.float32))  # a copy: torch wants to own it
        progress(0.9, "checking the mask")
        volume_ml = float(np.count_nonzero(mask)) * canonical.voxel_volume_mm3 / 1000
        if not BRAIN_ML[0] <= volume_ml <= BRAIN_ML[1]:
            raise UnsupportedError(
                f"no brain found: what looks most like one has {volume_ml:.0f} ml, expected {BRAIN_ML[0]:.0f} to "
                f"{BRAIN_ML[1]:.0f} ml; attach a T1-weighted MR image of a whole head"
            )
        native = np.asarray(from_canonical(mask, volume))
        return Segmentation(dict.fromkeys(targets, native), _notes(volume))

    def _extract(self, array: Any) -> BoolArray:
        """Return the brain of a float32 array with axes to Right, Anterior, Superior."""
        try:
            probability = self._networks.run_model(array)
            mask = self._networks.postprocess(probability > 0.5)
        except (AssertionError, ValueError) as error:  # deepbet's way to say that its first look found nothing
            raise UnsupportedError(
                f"no brain found ({error}); attach a T1-weighted MR image of a whole head"
            ) from error
        return np.asarray(mask, dtype=np.bool_)


def load(loading: Loading) -> Deepbet:
    """Load the networks.

    Args:
        loading: with the weights `data/models/model.pt` and `data/models/bbox_model.pt`, both TorchScript.
    """
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch announces the end of TorchScript on every load
        from deepbet import BrainExtraction

        networks = BrainExtraction(
            no_gpu=loading.device == "cpu",
            model_path=str(loading.weights["data/models/model.pt"]),
            bbox_model_path=str(loading.weights["data/models/bbox_model.pt"]),
        )
    return Deepbet(networks)


def _require_head(volume: Volume) -> None:
    if volume.is_colour:
        raise UnsupportedError("an MR image with one value per voxel is needed, got a colour image")
    if not np.isfinite(volume.array).all():
        raise BadInputError("the image holds voxels that are not numbers (NaN or infinite): replace them first")
    extent_mm = [n * step for n, step in zip(volume.shape, volume.spacing_mm, strict=True)]
    if min(extent_mm) < MIN_EXTENT_MM:
        raise UnsupportedError(
            f"the image covers {' × '.join(f'{e:.0f}' for e in extent_mm)} mm; a whole head needs at least "
            f"{MIN_EXTENT_MM:.0f} mm along each axis"
        )
    if float(np.ptp(volume.array)) == 0:
        raise UnsupportedError("every voxel has the same value: there is no brain to find")


def _notes(volume: Volume) -> tuple[str, ...]:
    echo = volume.header.get("EchoTime", "")
    try:
        late = float(echo) > LATE_ECHO_MS
    except ValueError:
        return ("the file does not say how the image is weighted; deepbet was made for T1",)
    if late:
        return (
            f"the echo time is {float(echo):.0f} ms, so this is probably not T1-weighted, for which deepbet was made",
        )
    return ()
