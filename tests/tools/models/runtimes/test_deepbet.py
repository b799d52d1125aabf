from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import ndimage

from tests.phantoms_ct import dice
from tools.errors import BadInputError, UnsupportedError
from tools.imaging.geometry import from_canonical, to_orientation
from tools.imaging.read import read_image
from tools.imaging.volume import Volume
from tools.models.hub import Hub
from tools.models.runtimes.deepbet import Deepbet

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import SampleGetter


class FakeNetworks:
    """Takes what is brighter than 100 for brain; remembers what it was given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.seen: list[Any] = []
        self._error = error

    def run_model(self, array: Any) -> Any:
        self.seen.append(array)
        if self._error:
            raise self._error
        return (array > 100).astype(np.float32)

    def postprocess(self, mask: Any) -> Any:
        return mask


def head(array: np.ndarray | None = None, echo: str = "4.2") -> Volume:
    if array is None:
        array = np.zeros((50, 60, 45), np.float32)
        array[10:35, 20:50, 12:40] = 200
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    return Volume(array, affine, spacing_source="PixelSpacing", modality="MR", header={"EchoTime": echo})


def run(volume: Volume, networks: FakeNetworks | None = None) -> Any:
    return Deepbet(networks or FakeNetworks()).segment(volume, ["brain"], lambda done, what: None)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SRA"])
def test_networks_see_ras_and_the_mask_comes_back_on_the_image(codes: str) -> None:
    upright = head()
    turned = to_orientation(upright, codes)
    networks = FakeNetworks()
    mask = run(turned, networks).masks["brain"]
    assert np.array_equal(networks.seen[0], upright.array)
    assert np.array_equal(mask, from_canonical(upright.array > 100, turned))


def test_late_echo_is_noted() -> None:
    assert any("echo time is 90 ms" in note for note in run(head(echo="90")).notes)
    assert not run(head(echo="3.1")).notes


def test_too_small_to_be_a_brain_is_refused() -> None:
    array = np.zeros((50, 60, 45), np.float32)
    array[20:24, 20:24, 20:24] = 200
    with pytest.raises(UnsupportedError, match="no brain found: what looks most like one has 4 ml"):
        run(head(array))


@pytest.mark.parametrize("error", [AssertionError("Not enough foreground"), ValueError("empty sequence")])
def test_networks_that_find_nothing_are_no_bug(error: Exception) -> None:
    with pytest.raises(UnsupportedError, match="no brain found"):
        run(head(), FakeNetworks(error))


def test_slab_constant_and_nan_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="whole head"):
        run(head(np.random.default_rng(0).random((50, 60, 10), np.float32)))
    with pytest.raises(UnsupportedError, match="same value"):
        run(head(np.full((50, 60, 45), 7, np.float32)))
    broken = np.array(head().array)
    broken[0, 0, 0] = np.nan
    with pytest.raises(BadInputError, match="not numbers"):
        run(head(broken))


@pytest.mark.samples
def test_brain_of_the_template(sample: SampleGetter) -> None:
    """The mask holds all grey and white matter, and fluid beside: 1.7 l of tissue, below 2.0 l in all."""
    path: Path = sample("brain-t1", "t1.nii.gz")
    volume = read_image(path)
    tissue = sum(read_image(sample("brain-t1", name)).array.astype(np.float32) for name in ("gm.nii.gz", "wm.nii.gz"))
    tissue = tissue / 255 > 0.5
    hub = Hub.installed()
    runtime = hub.runtime(hub.get("deepbet"))
    mask = runtime.segment(volume, ["brain"], lambda done, what: None).masks["brain"]
    assert np.count_nonzero(mask & tissue) > 0.999 * np.count_nonzero(tissue)
    assert dice(mask, tissue) > 0.93
    assert 1.7e6 < np.count_nonzero(mask) * volume.voxel_volume_mm3 < 2.0e6


@pytest.mark.samples
def test_skull_and_scalp_around_the_template_are_left_out(sample: SampleGetter) -> None:
    """The template has no skull, so one is put around it: 3 mm of fluid, 6 mm of dark bone, 7 mm of bright scalp."""
    template = read_image(sample("brain-t1", "t1.nii.gz"))
    array = np.pad(template.array.astype(np.float32), 20)
    brain = ndimage.binary_fill_holes(array > 20)
    distance_mm = ndimage.distance_transform_edt(~brain)
    for inner, outer, value in ((0, 3, 40), (3, 9, 15), (9, 16, 200)):
        array[(distance_mm > inner) & (distance_mm <= outer)] = value
    array += np.random.default_rng(0).normal(0, 6, array.shape).astype(np.float32)
    affine = template.affine_ras.copy()
    affine[:3, 3] -= affine[:3, :3] @ np.full(3, 20.0)
    hub = Hub.installed()
    whole = replace(template, array=np.clip(array, 0, None), affine_ras=affine)
    mask = hub.runtime(hub.get("deepbet")).segment(whole, ["brain"], lambda done, what: None).masks["brain"]
    assert dice(mask, brain) > 0.96
    assert np.count_nonzero(mask & (distance_mm > 9)) < 0.001 * np.count_nonzero(mask)
