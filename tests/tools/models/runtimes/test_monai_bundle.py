from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from tests.bundles import convolution, loading, spleen_config, spleen_weights, write_bundle, zipped
from tests.phantoms_ct import dice
from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.imaging.geometry import to_orientation, voxel_to_world
from tools.imaging.volume import Volume
from tools.models.runtimes.monai_bundle import load


def quiet(done: float, what: str) -> None:
    """Progress that nobody watches."""


def scan(affine: np.ndarray | None = None) -> Volume:
    """An asymmetric block of 140 HU, nearer to the left, the back and the feet."""
    array = np.full((60, 50, 40), -50, np.int16)
    array[10:30, 12:20, 5:25] = 140
    grid = np.diag([1.5, 1.5, 2.0, 1.0]) if affine is None else affine
    return Volume(array, grid, spacing_source="NIfTI header", modality="CT", units="HU")


@pytest.fixture
def spleen(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "spleen", spleen_config(), spleen_weights())


def mask_of(runtime: Any, volume: Volume) -> np.ndarray:
    found = runtime.segment(volume, ["spleen"], quiet).masks["spleen"]
    assert found.dtype == np.bool_
    assert found.shape == volume.shape
    return np.asarray(found)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SPR", "AIL"])
def test_the_network_sees_its_own_axes_and_the_mask_lies_on_the_image(spleen: Path, codes: str) -> None:
    """The network moves what it finds one voxel to the left: 1.5 mm in the world, however the image lies."""
    volume = to_orientation(scan(), codes)
    mask = mask_of(load(loading(spleen)), volume)
    upright = to_orientation(volume.with_array(mask.astype(np.uint8)), "RAS").array > 0
    expected = np.zeros(scan().shape, bool)
    expected[9:29, 12:20, 5:25] = True
    assert np.array_equal(upright, expected)


@pytest.mark.parametrize("codes", ["LPS", "SPR"])
def test_a_bundle_that_does_not_invert_its_steps_is_brought_back_too(tmp_path: Path, codes: str) -> None:
    config = spleen_config()
    config["postprocessing"]["transforms"] = [{"_target_": "AsDiscreted", "keys": "pred", "argmax": True}]
    bundle = write_bundle(tmp_path / "spleen", config, spleen_weights())
    volume = to_orientation(scan(), codes)
    mask = mask_of(load(loading(bundle)), volume)
    upright = to_orientation(volume.with_array(mask.astype(np.uint8)), "RAS").array > 0
    expected = np.zeros(scan().shape, bool)
    expected[9:29, 12:20, 5:25] = True
    assert np.array_equal(upright, expected)


def test_oblique_and_anisotropic_images_keep_their_world(spleen: Path) -> None:
    turned = nib.eulerangles.euler2mat(0.3, 0.1, -0.2) @ np.diag([0.9, 1.7, 3.0])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turned, (-40, 12, 300)
    volume = to_orientation(scan(affine), "PLS")
    mask = mask_of(load(loading(spleen)), volume)
    bright = volume.array > 0
    assert dice(mask, bright) > 0.8
    moved = voxel_to_world(volume, np.argwhere(mask).mean(0)) - voxel_to_world(volume, np.argwhere(bright).mean(0))
    along_i = -turned[:, 0] / np.linalg.norm(turned[:, 0])
    assert moved @ along_i == pytest.approx(1.5, abs=0.3)
    assert np.linalg.norm(moved) < 1.9


def test_a_zip_is_read_where_it_lies(spleen: Path) -> None:
    expected = mask_of(load(loading(spleen)), scan())
    archive = zipped(spleen)
    assert np.array_equal(mask_of(load(loading(archive)), scan()), expected)
    shutil.rmtree(spleen)
    assert np.array_equal(mask_of(load(loading(spleen)), scan()), expected)


def test_torchscript_weights_serve_where_no_checkpoint_is(spleen: Path) -> None:
    expected = mask_of(load(loading(spleen)), scan())
    network = load(loading(spleen)).bundle.network
    (spleen / "models" / "model.pt").unlink()
    with pytest.warns(DeprecationWarning, match="jit"):
        torch.jit.trace(network, torch.zeros(1, 1, 32, 32, 32)).save(str(spleen / "models" / "model.ts"))
    assert np.array_equal(mask_of(load(loading(spleen)), scan()), expected)


def test_several_aligned_series_make_one_input(tmp_path: Path) -> None:
    """As in brats_mri_segmentation: four channels, three sigmoid outputs, one label map."""
    config = spleen_config(channels_in=4)
    config["second"] = convolution(1, 3)
    config["preprocessing"]["transforms"] = [
        {"_target_": "LoadImaged", "keys": "@image_key", "image_only": False},
        {"_target_": "NormalizeIntensityd", "keys": "@image_key", "nonzero": True, "channel_wise": True},
    ]
    steps = config["postprocessing"]["transforms"]
    steps[0] = {"_target_": "Activationsd", "keys": "pred", "sigmoid": True}
    steps[2] = {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5}
    func = "$lambda x: torch.where(x[[2]] > 0, 4, torch.where(x[[0]] > 0, 1, torch.where(x[[1]] > 0, 2, 0)))"
    steps.insert(3, {"_target_": "Lambdad", "keys": "pred", "func": func})
    weights = spleen_weights(shift=0, channels_in=4)
    weights["0.conv.weight"][:] = 0
    weights["0.conv.weight"][0, 3, 1, 1, 1] = 1.0  # looks at the fourth series only
    weights["1.conv.weight"] = torch.full((3, 1, 1, 1, 1), 20.0)
    weights["1.conv.bias"] = torch.tensor([-500.0, -20.0, -500.0])
    names = {"0": "Tumor core", "1": "Whole tumor", "2": "Enhancing tumor"}
    bundle = write_bundle(tmp_path / "brats", config, weights, names)
    options = {"labels": {"brain_tumor": [1, 2, 4]}}
    series = ("T1c", "T1", "T2", "FLAIR")
    runtime = load(loading(bundle, targets=("brain_tumor",), options=options, series=series))
    flair = scan()
    others = [flair.with_array(np.random.default_rng(n).normal(100, 5, flair.shape)) for n in range(3)]
    found = runtime.segment_series([*others, flair], ["brain_tumor"], quiet)
    assert dice(found.masks["brain_tumor"], flair.array > 0) > 0.99
    with pytest.raises(BadInputError, match="4 aligned images of one examination"):
        runtime.segment(flair, ["brain_tumor"], quiet)
    moved = replace(flair, affine_ras=np.diag([1.5, 1.5, 2.5, 1.0]))
    with pytest.raises(BadInputError, match="one grid"):
        runtime.segment_series([*others, moved], ["brain_tumor"], quiet)


def test_parts_make_up_a_whole(tmp_path: Path) -> None:
    config = spleen_config()
    config["second"] = convolution(1, 3)
    weights = spleen_weights(shift=0)
    weights["1.conv.weight"] = torch.tensor([0.0, 30.0, 10.0]).reshape(3, 1, 1, 1, 1)
    weights["1.conv.bias"] = torch.tensor([0.0, -20.0, -3.0])  # 1 above 0.85, 2 from 0.3
    bundle = write_bundle(tmp_path / "lungs", config, weights, {"0": "background", "1": "lung_left", "2": "lung_right"})
    array = np.full((40, 40, 40), -57, np.int16)
    array[5:12, 5:30, 5:30] = 164
    array[20:30, 5:30, 5:30] = 70
    volume = Volume(array, np.diag([1.5, 1.5, 2.0, 1.0]), spacing_source="NIfTI header", modality="CT")
    runtime = load(loading(bundle, targets=("lung_left", "lung_right", "lungs"), options={"labels": {"lungs": [1, 2]}}))
    masks = runtime.segment(volume, ["lungs", "lung_left", "lung_right"], quiet).masks
    assert np.array_equal(masks["lung_left"][6:11, 10:25, 10:25], np.ones((5, 15, 15), bool))
    assert masks["lung_right"][22:28, 10:25, 10:25].all()
    assert np.array_equal(masks["lungs"], masks["lung_left"] | masks["lung_right"])


@pytest.mark.parametrize(
    ("entry", "value", "said"),
    [
        ("datalist", "$__import__('os').system('true')", "__import__"),
        ("imports", ["$import subprocess"], "imports 'subprocess'"),
        ("imports", ["$from importlib import import_module"], "imports 'importlib'"),
        ("run", ["$os.system('true')"], "os.system"),
        ("run", ["$().__class__.__bases__"], "private name"),
        ("run", ["$eval('1')"], "'eval'"),
        ("run", ["$open('/etc/hostname').read()"], "'open'"),
        ("network_def", "$[x for x in (1).__class__.__mro__]", "private name"),
        ("network_def", "$exec", "'exec'"),
        ("network_def", "$torch.os.system('true')", "torch.os.system"),
        ("network_def", "$torch.load('../x.pt')", "outside itself"),
        ("network_def", "$torch.randn(3)", "torch.randn"),
        ("imports", ["$open(@dataset_dir, 'w')"], "'open'"),
        ("imports", ["$open(@dataset_dir, 'r').read()"], "'open'"),
        ("network_def", "$numpy.fromfile('x')", "numpy.fromfile"),
        ("network_def", "$numpy.zeros(3).tofile('x')", ".tofile"),
        ("network_def", "$glob.glob('*')", "'glob'"),
        ("network_def", "$[1] * 10000000", "too long"),
        ("network_def", "$9 ** 9 ** 9", "Pow"),
        ("network_def", "$range(100000000)", "too long"),
        ("network_def", "$monai.bundle.download('spleen')", "monai.bundle.download"),
        ("network_def", {"_target_": "os.system", "command": "true"}, "os.system"),
        ("network_def", {"_target_": "monai.apps.utils.download_url", "url": "x"}, "download_url"),
        ("network_def", {"_target_": "subprocess.run", "args": "true"}, "subprocess.run"),
        ("network_def", {"_target_": "scripts.net.Own"}, "scripts.net.Own"),
        ("network_def", {"_target_": "DenseNet121", "pretrained": True}, "pretrained"),
        ("network_def", {"_target_": "UNet", "_mode_": "debug"}, "_mode_"),
        ("network_def", "@network", "refers to itself"),
    ],
)  # fmt: skip
def test_a_bundle_that_asks_to_run_code_is_refused_with_its_line(
    tmp_path: Path, entry: str, value: object, said: str
) -> None:
    config = {**spleen_config(), entry: value}
    bundle = write_bundle(tmp_path / "spleen", config, spleen_weights())
    with pytest.raises(UnsupportedError, match=r"configs/inference\.json") as refused:
        load(loading(bundle))
    assert said in str(refused.value)


def test_the_line_that_offends_is_named(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "spleen", {**spleen_config(), "run": ["$os.system('true')"]}, spleen_weights())
    lines = (bundle / "configs" / "inference.json").read_text().splitlines()
    number = next(n for n, line in enumerate(lines, start=1) if "os.system" in line)
    with pytest.raises(UnsupportedError, match=f"line {number}: refused, for .*os.system"):
        load(loading(bundle))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    weights = {**spleen_weights(), "1.conv.weight": torch.zeros(5, 1, 1, 1, 1)}
    bundle = write_bundle(tmp_path / "spleen", spleen_config(), weights)
    with pytest.raises(UnavailableError, match=r"do not fit its network: .*1\.conv\.weight"):
        load(loading(bundle))


class Payload:
    """An object whose unpickling would run code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("it ran",))


def test_checkpoints_that_hold_objects_are_not_loaded(spleen: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"model": Payload()}, spleen / "models" / "model.pt")
    with pytest.raises(UnavailableError, match="more than tensors"):
        load(loading(spleen))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("models/model.pt", b"not a checkpoint", "model.pt"),
        ("models/model.pt", b"", "model.pt"),
        ("models/model.pt", None, "no file 'models/model.pt'"),
        ("configs/inference.json", b"{", "configs/inference.json is damaged"),
        ("configs/inference.json", b"[]", "one object"),
        ("configs/inference.json", None, "no configs/inference.json"),
        ("configs/metadata.json", b"\x00", "metadata.json is damaged"),
        ("configs/metadata.json", None, "no configs/metadata.json"),
    ],
)
def test_damaged_bundles_say_which_file(spleen: Path, name: str, content: bytes | None, said: str) -> None:
    if content is None:
        (spleen / name).unlink()
    else:
        (spleen / name).write_bytes(content)
    with pytest.raises(UnavailableError, match=said):
        load(loading(spleen))


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "spleen.zip"
    path.write_bytes(b"PK nothing")
    with pytest.raises(UnavailableError, match="neither a folder nor a zip"):
        load(loading(path))


def test_a_checkpoint_outside_the_bundle_is_not_read(spleen: Path) -> None:
    config = spleen_config()
    config["checkpointloader"]["load_path"] = "../../other.pt"
    (spleen / "configs" / "inference.json").write_text(json.dumps(config))
    with pytest.raises(UnsupportedError, match="outside itself"):
        load(loading(spleen))


def test_images_that_no_volumetric_network_can_use_are_refused(spleen: Path) -> None:
    runtime = load(loading(spleen))
    slab = Volume(np.zeros((20, 20, 1), np.int16), np.eye(4), spacing_source="NIfTI header")
    with pytest.raises(UnsupportedError, match="single slice"):
        runtime.segment(slab, ["spleen"], quiet)
    with pytest.raises(UnsupportedError, match="no physical spacing"):
        runtime.segment(replace(scan(), spacing_source=None), ["spleen"], quiet)
    broken = np.array(scan().array, np.float32)
    broken[3, 3, 3] = np.nan
    with pytest.raises(BadInputError, match="not numbers"):
        runtime.segment(replace(scan(), array=broken), ["spleen"], quiet)


def test_an_image_larger_than_memory_is_refused_with_the_number(spleen: Path) -> None:
    runtime = load(loading(spleen))
    vast = Volume(
        np.broadcast_to(np.int16(0), (200, 200, 200)), np.diag([80.0, 80, 80, 1]), spacing_source="NIfTI header"
    )
    with pytest.raises(UnavailableError, match=r"needs about [\d.]+ GB of memory, [\d.]+ GB are free"):
        runtime.segment(vast, ["spleen"], quiet)


def test_a_stop_between_two_batches_is_obeyed(spleen: Path) -> None:
    runtime = load(loading(spleen))
    seen: list[float] = []

    def stop(done: float, what: str) -> None:
        seen.append(done)
        if done > 0.3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        runtime.segment(scan(), ["spleen"], stop)
    assert seen == sorted(seen)
