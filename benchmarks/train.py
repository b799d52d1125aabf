"""Training on part of the sample CT's slices: Dice on the held-out ones, beside one threshold that separates best.

The peer is the best that a single pair of Hounsfield thresholds can do on the same held-out slices, chosen on the
slices that were learned from.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from agent.settings import Settings
from knowledge.assets import Assets
from tools.imaging.nifti import read_nifti
from tools.imaging.volume import BoolArray, Volume
from tools.training.metrics import overlap
from tools.training.segmentation import Example, TrainingSettings, train_segmenter
from tools.training.slices import mask_stack, options_for, stack_of
from tools.training.split import split_slices

LIVER = 5  # label of the sample's reference mask
EPOCHS = 20
PIXEL_MM = 4.0


def main() -> None:
    """Train on the liver and print figures."""
    assets = Assets(Settings().cache_dir)
    ct = replace(read_nifti(assets.path("chest-ct", "cxr.nii.gz")), modality="CT", units="HU")
    liver = np.asarray(read_nifti(assets.path("chest-ct", "mask.nii.gz")).array == LIVER)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        settings = TrainingSettings(epochs=EPOCHS, pixel_mm=PIXEL_MM)
        made = train_segmenter([Example("ct", ct, liver)], settings, lambda done, what: None, Path(folder) / "state.pt")
        seconds = time.perf_counter() - started
    said = made.held_out
    peer = _thresholds(ct, liver)
    print(f"liver, {made.trained_on} slices, {EPOCHS} epochs: {seconds:.0f} s")
    print(f"Dice on {said.n} held-out slices {said.value:.3f} ({said.low:.3f} to {said.high:.3f})")
    print(f"best pair of thresholds on the same slices {peer:.3f}; ratio {said.value / peer:.2f}")


def _thresholds(ct: Volume, liver: BoolArray) -> float:
    options = options_for(ct, PIXEL_MM)
    stack, mask = stack_of(ct, options).array, np.asarray(mask_stack(liver, ct, options) >= 0.5)
    split = split_slices([np.asarray(mask.any(axis=(1, 2)))], options.context, 0)
    train, held_out = split.train[0], split.held_out[0]
    steps = np.quantile(stack[train][mask[train]], np.linspace(0, 1, 21))
    pairs = [(low, high) for low in steps for high in steps if low < high]

    def score(rows: np.ndarray, low: float, high: float) -> float:
        return overlap((stack[rows] >= low) & (stack[rows] <= high), mask[rows]).dice

    low, high = max(pairs, key=lambda pair: score(train, *pair))
    return score(held_out, low, high)


if __name__ == "__main__":
    main()
