from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.phantoms import phantom_volume
from tests.phantoms_ct import dice
from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.imaging.geometry import to_orientation, voxel_to_world, world_to_voxel
from tools.imaging.volume import Volume
from tools.models.card import ModelCard
from tools.models.runtimes import onnx_network, torchscript
from tools.models.runtimes.base import Loading

PICTURE = {"size": [8, 6], "labels": ["upper", "left", ""], "operating_points": {"upper": 0.5}}
SCAN = {
    "size": [16, 16, 16], "labels": ["", "spleen"], "intensity": "window", "window": [-57, 164],
    "spacing_mm": [1.5, 1.5, 2.0],
}  # fmt: skip


def quiet(done: float, what: str) -> None:
    """Progress that nobody watches."""


class Halves(torch.nn.Module):
    """Scores a picture by the mean of its upper half, its left half, and nothing."""

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        upper = picture[:, :, :4].mean((1, 2, 3))
        left = picture[..., :3].mean((1, 2, 3))
        return torch.stack([upper, left, torch.zeros_like(left)], 1)


class Bright(torch.nn.Module):
    """Two classes per voxel: the second where the scaled value is above one half, one voxel to the right."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        moved = torch.cat([image[:, :, 1:], image[:, :, -1:]], 2)
        return torch.cat([torch.zeros_like(image), moved * 20 - 10], 1)


def saved(module: torch.nn.Module, example: torch.Tensor, kind: str, folder: Path) -> Path:
    path = folder / f"network.{kind}"
    if kind == "onnx":
        write_onnx(module, path)
    else:
        with pytest.warns(DeprecationWarning, match="jit"):
            torch.jit.trace(module, example).save(str(path))
    return path


def write_onnx(module: torch.nn.Module, path: Path) -> None:
    """Write the two modules above with the onnx package, which needs no exporter."""
    onnx = pytest.importorskip("onnx")
    helper, numbers = onnx.helper, onnx.numpy_helper.from_array
    whole = 2**31 - 1

    def cut(source: str, name: str, axis: int, start: int, end: int) -> list[Any]:
        consts = [numbers(np.array([v], np.int64), f"{name}_{n}") for n, v in enumerate((start, end, axis))]
        return [*consts, helper.make_node("Slice", [source, *(f"{name}_{n}" for n in range(3))], [name])]

    if isinstance(module, Halves):
        parts = [*cut("x", "upper", 2, 0, 4), *cut("x", "left", 3, 0, 3)]
        parts += [numbers(np.array([1, 2, 3], np.int64), "axes"), numbers(np.array([0], np.float32), "zero")]
        for name in ("upper", "left"):
            parts.append(helper.make_node("ReduceMean", [name, "axes"], [f"{name}_mean"], keepdims=0))
        parts.append(helper.make_node("Mul", ["left_mean", "zero"], ["none"]))
        parts.append(numbers(np.array([1], np.int64), "one"))
        parts += [helper.make_node("Unsqueeze", [n, "one"], [f"{n}_u"]) for n in ("upper_mean", "left_mean", "none")]
        parts.append(helper.make_node("Concat", ["upper_mean_u", "left_mean_u", "none_u"], ["y"], axis=1))
        shape: list[Any] = ["n", 1, 8, 6]
    else:
        parts = [*cut("x", "rest", 2, 1, whole), *cut("x", "last", 2, -1, whole)]
        parts.append(helper.make_node("Concat", ["rest", "last"], ["moved"], axis=2))
        parts += [numbers(np.array(v, np.float32), f"c{v}") for v in (0, 20, -10)]
        parts += [
            helper.make_node("Mul", ["moved", "c20"], ["scaled"]),
            helper.make_node("Add", ["scaled", "c-10"], ["b"]),
        ]
        parts += [helper.make_node("Mul", ["x", "c0"], ["a"]), helper.make_node("Concat", ["a", "b"], ["y"], axis=1)]
        shape = ["n", 1, 16, 16, 16]
    nodes = [p for p in parts if hasattr(p, "op_type")]
    consts = [p for p in parts if not hasattr(p, "op_type")]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "test", [value("x", 1, shape)], [value("y", 1, None)], initializer=consts)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())


def runtime_of(path: Path, options: dict[str, Any]) -> Any:
    given = {"name": "test-network", "title": "Test", "verb": "segment", "runtime": "onnx", "version": "1"}
    card = ModelCard.model_validate(given | {"seconds": 1, "licence": "MIT", "source": "test", "options": options})
    module = onnx_network if path.suffix == ".onnx" else torchscript
    return module.load(Loading(card, {path.name: path}, "cpu"))


def picture() -> Volume:
    """12 columns and 16 rows, i to the right and j down; the upper half is bright, the left half a little."""
    array = np.zeros((12, 16, 1), np.float32)
    array[:, :8] += 0.6
    array[:6] += 0.2
    return Volume(array, np.eye(4), modality="CR")


def scan() -> Volume:
    array = np.full((30, 26, 24), -57, np.int16)
    array[6:16, 4:12, 3:15] = 164
    return Volume(array, np.diag([1.5, 1.5, 2.0, 1.0]), spacing_source="NIfTI header", modality="CT", units="HU")


@pytest.mark.parametrize("kind", ["onnx", "pt"])
def test_a_picture_is_scored_the_right_way_round(tmp_path: Path, kind: str) -> None:
    runtime = runtime_of(saved(Halves(), torch.zeros(1, 1, 8, 6), kind, tmp_path), PICTURE)
    rows = runtime.classify(picture(), (), quiet)
    assert [(row.label, row.operating_point) for row in rows] == [("upper", 0.5), ("left", None)]
    assert rows[0].score == pytest.approx(0.7, abs=0.02)
    assert rows[1].score == pytest.approx(0.5, abs=0.04)
    assert rows[0].above is True
    assert [row.label for row in runtime.classify(picture(), ["left"], quiet)] == ["left"]


@pytest.mark.parametrize("kind", ["onnx", "pt"])
@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAR"])
def test_a_volume_is_outlined_on_its_own_voxels(tmp_path: Path, kind: str, codes: str) -> None:
    runtime = runtime_of(saved(Bright(), torch.zeros(1, 1, 16, 16, 16), kind, tmp_path), SCAN)
    volume = to_orientation(scan(), codes)
    mask = runtime.segment(volume, ["spleen"], quiet).masks["spleen"]
    upright = to_orientation(volume.with_array(mask.astype(np.uint8)), "RAS").array > 0
    expected = np.zeros(scan().shape, bool)
    expected[5:15, 4:12, 3:15] = True
    assert dice(upright, expected) > 0.97
    assert (np.argwhere(upright).mean(0) - np.argwhere(scan().array > 0).mean(0))[0] == pytest.approx(-1, abs=0.1)


@pytest.mark.parametrize("kind", ["onnx", "pt"])
def test_what_is_no_network_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"network.{kind}"
    path.write_bytes(b"nothing")
    with pytest.raises(UnavailableError, match=f"network.{kind} is no"):
        runtime_of(path, PICTURE)
    with pytest.raises(UnavailableError, match="needs one file"):
        runtime_of(tmp_path / f"gone.{kind}", PICTURE)


def test_a_file_that_is_not_the_cards_is_refused(tmp_path: Path) -> None:
    path = saved(Halves(), torch.zeros(1, 1, 8, 6), "onnx", tmp_path)
    with pytest.raises(UnavailableError, match="gives 3 scores, its card names 2 labels"):
        runtime_of(path, PICTURE | {"labels": ["upper", "left"]}).classify(picture(), (), quiet)
    with pytest.raises(BadInputError, match="does not take an input of 1 × 1 × 9 × 9"):
        runtime_of(path, PICTURE | {"size": [9, 9]}).classify(picture(), (), quiet)


def test_a_card_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    path = saved(Halves(), torch.zeros(1, 1, 8, 6), "onnx", tmp_path)
    with pytest.raises(BadInputError, match="operating_points names what labels does not: mass"):
        runtime_of(path, PICTURE | {"operating_points": {"mass": 0.5}})
    with pytest.raises(BadInputError, match="size must be two numbers"):
        runtime_of(path, PICTURE | {"size": [8]})


def test_volumes_and_pictures_are_not_mixed_up(tmp_path: Path) -> None:
    path = saved(Halves(), torch.zeros(1, 1, 8, 6), "onnx", tmp_path)
    with pytest.raises(UnsupportedError, match="single pictures"):
        runtime_of(path, PICTURE).classify(scan(), (), quiet)
    with pytest.raises(UnsupportedError, match="not on volumes"):
        runtime_of(path, PICTURE).segment(scan(), ["spleen"], quiet)


# --- an image from an image


class Twice(torch.nn.Module):
    """Twice as many voxels along each axis, each of the value of the one it lies in."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.interpolate(image, scale_factor=2.0, mode="nearest")


FINER = {"size": [8, 8, 8], "labels": ["image"], "intensity": "minmax"}


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAR"])
def test_a_finer_image_lies_where_the_coarse_one_lay(tmp_path: Path, codes: str) -> None:
    path = saved(Twice(), torch.zeros(1, 1, 6, 7, 5), "pt", tmp_path)
    coarse = to_orientation(phantom_volume((6, 7, 5)), codes)
    made = runtime_of(path, FINER).synthesize(coarse, {"operation": "super_resolution"}, quiet)
    upright = to_orientation(coarse, "RAS")
    assert made.shape == tuple(2 * n for n in upright.shape)
    assert made.spacing_mm == pytest.approx([s / 2 for s in upright.spacing_mm])
    assert np.array_equal(made.array[::2, ::2, ::2], upright.array)
    assert made.array.dtype == coarse.array.dtype
    middle = (made.affine_ras @ [0.5, 0.5, 0.5, 1], upright.affine_ras @ [0, 0, 0, 1])
    assert np.allclose(*middle)


def test_a_spacing_that_the_network_does_not_make_is_refused(tmp_path: Path) -> None:
    path = saved(Twice(), torch.zeros(1, 1, 6, 7, 5), "pt", tmp_path)
    with pytest.raises(BadInputError, match=r"makes voxels of 0\.35 × 0\.45 × 1\.25 mm"):
        runtime_of(path, FINER).synthesize(phantom_volume((6, 7, 5)), {"spacing_mm": 1.0}, quiet)
    with pytest.raises(BadInputError, match="makes an image from an image"):
        runtime_of(path, FINER).synthesize(None, {}, quiet)


def test_a_network_that_gives_no_image_is_no_generator(tmp_path: Path) -> None:
    path = saved(Halves(), torch.zeros(1, 1, 8, 6), "pt", tmp_path)
    with pytest.raises((UnavailableError, BadInputError), match="network of 'test-network'"):
        runtime_of(path, FINER).synthesize(phantom_volume((6, 7, 5)), {}, quiet)


# --- outlines of pictures, and landmarks


class Lights(torch.nn.Module):
    """Two outputs per pixel or voxel: nothing, and what is bright."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        bright = image.mean(1, keepdim=True)
        return torch.cat([torch.zeros_like(bright), bright * 20 - 10], 1)


class Heat(torch.nn.Module):
    """Two heat maps: of the brightest place and of the darkest."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([image, 1 - image], 1)


FLAT = {"size": [32, 24], "labels": ["", "lungs"], "intensity": "minmax"}


def lit(*, colour: bool = False) -> Volume:
    """48 columns and 64 rows, axes to the right and down, with a bright rectangle at the upper right."""
    array = np.zeros((48, 64, 1), np.uint8)
    array[30:44, 6:20] = 255
    if colour:
        array = np.repeat(array[..., None], 3, axis=-1)
        array[:10, :, :, 0] = 120
    return Volume(array, np.diag([1.0, -1.0, 1.0, 1.0]), modality="CR")


@pytest.mark.parametrize(("activation", "colour"), [("none", False), ("sigmoid", False), ("none", True)])
def test_a_picture_is_outlined_on_its_own_pixels(tmp_path: Path, activation: str, colour: bool) -> None:
    channels = 3 if colour else 1
    options = FLAT | {"activation": activation, "channels": channels}
    runtime = runtime_of(saved(Lights(), torch.zeros(1, channels, 32, 24), "pt", tmp_path), options)
    volume = lit(colour=colour)
    mask = runtime.segment(volume, ["lungs"], quiet).masks["lungs"]
    truth = np.zeros(volume.shape, bool)
    truth[30:44, 6:20] = True
    assert mask.shape == (48, 64, 1)
    assert mask.dtype == np.bool_
    assert dice(mask, truth) > 0.95


def test_a_picture_network_refuses_volumes_and_scores(tmp_path: Path) -> None:
    runtime = runtime_of(saved(Lights(), torch.zeros(1, 1, 32, 24), "pt", tmp_path), FLAT)
    with pytest.raises(UnsupportedError, match="works on pictures, not on volumes"):
        runtime.segment(scan(), ["lungs"], quiet)
    scores = runtime_of(saved(Halves(), torch.zeros(1, 1, 8, 6), "pt", tmp_path), PICTURE)
    with pytest.raises(UnavailableError, match="a map per label is needed"):
        scores.segment(picture(), ["upper"], quiet)


def test_a_pictures_landmark_is_the_heat_maps_peak(tmp_path: Path) -> None:
    options = FLAT | {"labels": ["carina", ""]}
    runtime = runtime_of(saved(Heat(), torch.zeros(1, 1, 32, 24), "pt", tmp_path), options)
    array = np.zeros((48, 64, 1), np.float32)
    i, j = np.ogrid[:48, :64]
    array[:, :, 0] = 200 * np.exp(-((i - 33) ** 2 + (j - 14) ** 2) / 60)
    (point,) = runtime.landmarks(lit().with_array(array), (), quiet)
    assert point.name == "carina"
    assert point.voxel == pytest.approx((33, 14, 0), abs=1.0)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAR"])
def test_a_volumes_landmark_keeps_its_place_in_any_orientation(tmp_path: Path, codes: str) -> None:
    options = SCAN | {"labels": ["anterior_commissure", "posterior_commissure"], "size": [16, 16, 16],
                      "operating_points": {"posterior_commissure": 2.0}}  # fmt: skip
    runtime = runtime_of(saved(Heat(), torch.zeros(1, 1, 16, 16, 16), "pt", tmp_path), options)
    upright = scan()
    i, j, k = np.ogrid[:30, :26, :24]
    heat = np.exp(-((i - 21) ** 2 + (j - 9) ** 2 + (k - 5) ** 2) / 40)
    upright = upright.with_array((-57 + 200 * heat).astype(np.float32))
    volume = to_orientation(upright, codes)
    (point,) = runtime.landmarks(volume, (), quiet)  # the other map stays below its operating point
    assert point.name == "anterior_commissure"
    expected = world_to_voxel(volume, voxel_to_world(upright, np.array([21.0, 9.0, 5.0])))
    assert point.voxel == pytest.approx(tuple(expected), abs=0.7)
    assert runtime.landmarks(volume, ("posterior_commissure",), quiet) == ()
