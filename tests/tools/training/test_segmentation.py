"""Training a segmenter: it learns, it says how well on what it did not see, it goes on after a stop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tools.errors import BadInputError, CancelledError, UnsupportedError
from tools.imaging.geometry import to_orientation
from tools.imaging.volume import BoolArray, Volume
from tools.training.segmentation import Example, TrainedSegmenter, TrainingSettings, train_segmenter
from tools.training.slices import mask_stack, options_for, stack_of, to_image
from tools.training.split import split_slices

SETTINGS = TrainingSettings(epochs=6, pixel_mm=3.0, batch=8)


def columns(seed: int = 0, units: str = "HU") -> tuple[Volume, BoolArray]:
    """Two dense columns in soft tissue, the target left of the middle; 48 × 40 × 40, axes as in RAS+."""
    rng = np.random.default_rng(seed)
    i, j, k = np.ogrid[:48, :40, :40]
    inside = np.asarray(((i - 14) ** 2 + (j - 22) ** 2 < 9**2) & (k >= 4) & (k < 36))
    other = np.asarray(((i - 36) ** 2 + (j - 22) ** 2 < 8**2) & (k >= 0))  # as dense, on the other side
    array = np.where(inside | other, 120, -20) + rng.normal(0, 15, inside.shape)
    affine = np.diag([3.0, 3.0, 5.0, 1.0])
    return Volume(array.astype(np.int16), affine, "NIfTI header", modality="CT", units=units), inside


def trained(tmp_path: Path, examples: list[Example], **more: object) -> TrainedSegmenter:
    return train_segmenter(examples, replace(SETTINGS, **more), lambda done, what: None, tmp_path / "state.pt")


def test_it_learns_one_of_two_columns_by_its_side_and_is_judged_on_other_slices(tmp_path: Path) -> None:
    volume, inside = columns()
    made = trained(tmp_path, [Example("mask1", volume, inside)], epochs=16)
    assert made.unit == "slice"
    assert made.history[-1] < 0.6 * made.history[0]
    assert made.held_out.value > 0.8
    assert made.held_out.low <= made.held_out.value <= made.held_out.high
    assert made.trained_on + made.held_out.n <= 40


def test_the_same_seed_gives_the_same_network(tmp_path: Path) -> None:
    volume, inside = columns()
    examples = [Example("mask1", volume, inside)]
    first = trained(tmp_path / "..", examples, epochs=2)
    (tmp_path / "b").mkdir()
    second = trained(tmp_path / "b", examples, epochs=2)
    assert all(np.array_equal(first.network[n].numpy(), second.network[n].numpy()) for n in first.network)


def test_a_stopped_training_goes_on_where_it_was(tmp_path: Path) -> None:
    volume, inside = columns()
    examples = [Example("mask1", volume, inside)]

    def stop(done: float, what: str) -> None:
        if what.startswith("epoch 3"):
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        train_segmenter(examples, replace(SETTINGS, epochs=4), stop, tmp_path / "state.pt")
    told: list[str] = []
    went_on = train_segmenter(
        examples, replace(SETTINGS, epochs=4), lambda done, what: told.append(what), tmp_path / "state.pt"
    )
    assert not any(w.startswith(("epoch 1", "epoch 2")) for w in told)
    (tmp_path / "whole").mkdir()
    at_once = trained(tmp_path / "whole", examples, epochs=4)
    assert went_on.history == pytest.approx(at_once.history, rel=1e-4)


def test_whole_images_are_held_out_where_there_are_three(tmp_path: Path) -> None:
    examples = [Example(f"mask{n}", *columns(n)) for n in range(3)]
    made = trained(tmp_path, examples, epochs=1)
    assert (made.unit, made.held_out.n) == ("image", 1)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAR", "PIL"])
def test_slices_go_to_the_network_and_back_to_the_same_voxels(codes: str) -> None:
    volume, inside = columns()
    turned = to_orientation(volume, codes)
    mask = to_orientation(volume.with_array(inside), codes).array
    options = options_for(volume, 3.0)
    assert np.array_equal(stack_of(turned, options).array, stack_of(volume, options).array)
    back = to_image(mask_stack(mask, turned, options), turned, options) >= 0.5
    assert np.array_equal(back, mask)


def test_no_slice_is_both_learned_from_and_judged_on() -> None:
    has = np.zeros(60, bool)
    has[10:50] = True
    split = split_slices([has], 1, seed=3)
    assert len(split.held_out[0]) >= 8
    assert not set(split.train[0]) & {n + d for n in split.held_out[0].tolist() for d in (-1, 0, 1)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v, m: (v, np.zeros_like(m)), "is empty"),
        (lambda v, m: (v, m[:-1]), "same grid"),
        (lambda v, m: (v, m & (np.arange(40) < 10)), "at least 8"),
        (lambda v, m: (v.with_array(np.full(v.shape, np.nan, np.float32)), m), "not numbers"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(change: object, said: str, tmp_path: Path) -> None:
    volume, inside = change(*columns())  # type: ignore[operator]
    with pytest.raises(BadInputError, match=said):
        trained(tmp_path, [Example("mask1", volume, inside)])


def test_a_model_of_hounsfield_units_refuses_other_values() -> None:
    volume, _ = columns()
    other, _ = columns(units="")
    with pytest.raises(UnsupportedError, match="Hounsfield"):
        stack_of(other, options_for(volume, 3.0))
