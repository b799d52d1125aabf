"""TorchXRayVision: the real package where it is installed, else the same contract with a stand-in.

The stand-in is a module of our own with the package's names and small networks; what it proves is our part: pixels,
operating points, empty labels, safe loading. With the real package: `pip install torchxrayvision torchvision`, then
`pytest tests/tools/models/runtimes/test_xrayvision.py`.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.imaging.raster import PICTURE_AFFINE
from tools.imaging.volume import Volume
from tools.models.card import ModelCard
from tools.models.runtimes.base import Loading
from tools.models.runtimes.xrayvision import at_half, load_anatomy, load_findings, square_pixels

IS_REAL = importlib.util.find_spec("torchxrayvision") is not None
real = pytest.mark.skipif(not IS_REAL, reason="needs torchxrayvision and torchvision, which are an extra")
LABELS = ["Effusion", "", "Pleural_Thickening", "Lung Lesion"]
POINTS = [0.2, float("nan"), 0.7, float("nan")]
ANATOMY = ["Left Lung", "Right Lung", "Heart"]


class SmallNet(torch.nn.Module):
    """Stands in for the package's DenseNet: the mean of the film moves each label differently."""

    def __init__(self, weights: object = None, num_classes: int = 4) -> None:
        super().__init__()
        assert weights is None
        self.classifier = torch.nn.Linear(2, num_classes)

    def forward(self, film: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.stack([film.mean((1, 2, 3)), film.amax((1, 2, 3))], 1) / 1024)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module with the package's names, in place of it."""
    known = {"densenet121-res224-all": {"labels": LABELS, "op_threshs": POINTS, "input_resolution": 16}}
    module: Any = ModuleType("torchxrayvision")
    module.models = SimpleNamespace(model_urls=known, DenseNet=SmallNet)
    anatomy: Any = ModuleType("torchxrayvision.baseline_models.chestx_det")
    anatomy.PSPNet = SimpleNamespace(targets=ANATOMY)
    anatomy.pspnet = lambda classes: torch.nn.Conv2d(3, classes, 1)
    monkeypatch.setitem(sys.modules, "torchxrayvision", module)
    monkeypatch.setitem(sys.modules, "torchxrayvision.baseline_models.chestx_det", anatomy)
    torch.manual_seed(0)


def card(**given: Any) -> ModelCard:
    return ModelCard(
        name="xrv", title="X", verb="classify", runtime="torchxrayvision", version="1", seconds=1, licence="x",
        source="x", **given,
    )  # fmt: skip


FINDINGS = card(
    targets=("effusion", "pleural_thickening", "lung_lesion"), options={"weights": "densenet121-res224-all"}
)


def film(array: np.ndarray, **header: str) -> Volume:
    return Volume(array[:, :, None], PICTURE_AFFINE, modality="DX", header=header)


def ramp(shape: tuple[int, int] = (60, 40), top: int = 255, dtype: type = np.uint8) -> np.ndarray:
    return np.linspace(0, top, shape[0] * shape[1]).reshape(shape).astype(dtype)


def saved(network: torch.nn.Module, path: Path) -> Path:
    torch.save(network.state_dict(), path)
    return path


def test_pixels_run_from_minus_to_plus_1024_over_the_bit_depth() -> None:
    square = np.zeros((32, 32), np.uint16)
    square[8:] = 4095
    said = square_pixels(film(square, BitsStored="12"), 32)
    assert (said.min(), said.max()) == (-1024.0, 1024.0)
    assert said.dtype == np.float32
    half = square_pixels(film(square // 2, BitsStored="12"), 32)
    assert half.max() == pytest.approx(-1024 + 2048 * 2047 / 4095)
    assert square_pixels(film(square // 2), 32).max() == pytest.approx(half.max())  # no header: 12 bits hold 2047
    eight = np.full((8, 8), 10, np.uint8)
    eight[0, 0] = 20
    assert square_pixels(film(eight), 8).min() == pytest.approx(2 * 10 / 255 * 1024 - 1024)


def test_the_central_square_is_cut_and_stands_upright() -> None:
    array = np.zeros((60, 40), np.uint8)  # i (columns) 60, j (rows) 40
    array[10:20, :5] = 255  # at the left edge of the central square, at the top
    array[:5] = 255  # outside it
    square = square_pixels(film(array), 40)
    assert (square[:5, :10] == 1024).all()
    assert (square[6:] == -1024).all()
    assert (square[:, 11:] == -1024).all()


@pytest.mark.parametrize(
    ("volume", "error", "said"),
    [
        (film(np.full((9, 9), 7, np.uint8)), BadInputError, r"one value everywhere \(7\): no finding can be scored"),
        (film(np.full((9, 9), np.nan, np.float32)), BadInputError, "values that are no numbers"),
        (Volume(np.zeros((4, 4, 1, 3), np.uint8), PICTURE_AFFINE), UnsupportedError, "got a colour picture"),
        (Volume(np.zeros((4, 4, 4)), np.eye(4)), UnsupportedError, "got a volume of 4 slices"),
    ],
)
def test_what_is_no_gray_film_is_refused(volume: Volume, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        square_pixels(volume, 8)


def test_operating_points_lie_at_one_half() -> None:
    assert [at_half(s, 0.2) for s in (0, 0.1, 0.2, 0.6, 1)] == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_scores_stand_against_operating_points_and_empty_labels_are_left_out(package: None, tmp_path: Path) -> None:
    network = SmallNet()
    with torch.no_grad():
        network.classifier.weight.zero_()
        network.classifier.bias.copy_(torch.logit(torch.tensor([0.6, 0.9, 0.35, 0.3])))
    runtime = load_findings(Loading(FINDINGS, {"w.pt": saved(network, tmp_path / "w.pt")}, "cpu"))

    rows = runtime.classify(film(ramp()), (), lambda done, what: None)

    assert [row.label for row in rows] == ["effusion", "pleural_thickening", "lung_lesion"]
    assert [row.score for row in rows] == pytest.approx([0.75, 0.25, 0.3], abs=1e-6)
    assert [row.operating_point for row in rows] == [0.5, 0.5, None]
    assert [row.above for row in rows] == [True, False, None]
    one = runtime.classify(film(ramp()), ("lung_lesion",), lambda done, what: None)
    assert [row.label for row in one] == ["lung_lesion"]


def test_a_whole_pickled_model_is_refused_with_how_to_convert_it(package: None, tmp_path: Path) -> None:
    path = tmp_path / "published.pt"
    torch.save(torch.nn.Linear(1, 1), path)
    with pytest.raises(UnavailableError, match=r"could run any code.*xrv\.models\.DenseNet.*published\.pt"):
        load_findings(Loading(FINDINGS, {"w": path}, "cpu"))


def test_weights_of_another_network_and_no_weights_are_refused(package: None, tmp_path: Path) -> None:
    other = saved(torch.nn.Linear(3, 3), tmp_path / "o.pt")
    with pytest.raises(UnavailableError, match=r"'o\.pt' do not fit model 'xrv'"):
        load_findings(Loading(FINDINGS, {"w": other}, "cpu"))
    (tmp_path / "t.pt").write_text("text")
    with pytest.raises(UnavailableError, match=r"'t\.pt'"):
        load_findings(Loading(FINDINGS, {"w": tmp_path / "t.pt"}, "cpu"))
    torch.save([1], tmp_path / "l.pt")
    with pytest.raises(UnavailableError, match="must be a state dict, got list"):
        load_findings(Loading(FINDINGS, {"w": tmp_path / "l.pt"}, "cpu"))


def test_a_card_of_other_targets_or_weights_is_refused(package: None, tmp_path: Path) -> None:
    path = saved(SmallNet(), tmp_path / "w.pt")
    with pytest.raises(BadInputError, match="names scoliosis, which its weights do not score"):
        load_findings(Loading(card(targets=("scoliosis",), options=FINDINGS.options), {"w": path}, "cpu"))
    with pytest.raises(BadInputError, match="the package knows no 'x'"):
        load_findings(Loading(card(options={"weights": "x"}), {"w": path}, "cpu"))


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torchxrayvision", None)
    with pytest.raises(UnavailableError, match=r"pip install 'readingroom\[xray\]'"):
        load_findings(Loading(FINDINGS, {"w": tmp_path}, "cpu"))


def test_anatomy_lies_on_the_film_it_was_found_on(package: None, tmp_path: Path) -> None:
    network = torch.nn.Conv2d(3, 3, 1)
    with torch.no_grad():
        network.weight.zero_()
        network.bias.copy_(torch.tensor([-1.0, 0.0, -100.0]))
        network.weight[0, 0] = 1.0  # bright pixels are "Left Lung"
    state = {f"module.{key}": value for key, value in network.state_dict().items()}  # as published, from DataParallel
    torch.save(state, tmp_path / "p.pth")
    labels = {"Left Lung": "lung_left", "Right Lung": "lung_right", "Heart": "heart"}
    named = card(targets=("lung_left", "lung_right", "heart"), options={"labels": labels})
    runtime = load_anatomy(Loading(named, {"w": tmp_path / "p.pth"}, "cpu"))
    array = np.zeros((600, 400), np.uint8)
    array[150:250, 300:380] = 255

    found = runtime.segment(film(array), ("lung_left", "heart"), lambda done, what: None)

    mask = found.masks["lung_left"]
    assert mask.shape == (600, 400, 1)
    truth = (array == 255)[:, :, None]
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.98
    assert not found.masks["heart"].any()
    assert found.notes == ("Only the central square of the film was looked at.",)


@real
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("weights", ["densenet121-res224-all", "densenet121-res224-chex", "resnet50-res512-all"])
def test_the_real_package_gives_the_same_scores(weights: str, tmp_path: Path) -> None:
    import torchxrayvision as xrv

    torch.manual_seed(1)
    said = xrv.models.model_urls[weights]
    points = torch.tensor(said["op_threshs"])
    if weights.startswith("resnet"):
        from torchvision.models import resnet50

        network = resnet50(num_classes=18, weights=None)
        network.conv1 = torch.nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    else:
        network = xrv.models.DenseNet(weights=None)
        torch.nn.init.normal_(network.classifier.weight, std=0.3)
    named = {label.lower().replace(" ", "_") for label in said["labels"] if label}
    runtime = load_findings(
        Loading(
            card(targets=tuple(named), options={"weights": weights}), {"w": saved(network, tmp_path / "w.pt")}, "cpu"
        )
    )
    array = np.random.default_rng(0).integers(0, 255, (310, 290)).astype(np.uint8)

    rows = runtime.classify(film(array), (), lambda done, what: None)

    pixels = xrv.utils.normalize(array.T, 255)[None]
    pixels = xrv.datasets.XRayResizer(said["input_resolution"])(xrv.datasets.XRayCenterCrop()(pixels))
    with torch.inference_mode():
        raw = torch.sigmoid(network.eval()(torch.from_numpy(pixels)[None]))
        published = xrv.models.op_norm(raw, points)[0]
    places = [n for n, label in enumerate(said["labels"]) if label]
    assert len(rows) == len(places)
    for row, place in zip(rows, places, strict=True):
        expected = raw[0, place] if torch.isnan(points[place]) else published[place]
        assert row.score == pytest.approx(float(expected), abs=1e-4)


@real
@pytest.mark.filterwarnings("ignore")
def test_the_real_anatomy_network_loads_and_outlines(tmp_path: Path) -> None:
    from torchxrayvision.baseline_models.chestx_det import PSPNet, pspnet

    from tools.models import cards
    from tools.models.card import read_card

    torch.manual_seed(2)
    network = pspnet(len(PSPNet.targets)).eval()
    torch.save({f"module.{key}": value for key, value in network.state_dict().items()}, tmp_path / "p.pth")
    ours = read_card(cards() / "torchxrayvision-pspnet-anatomy.toml")
    runtime = load_anatomy(Loading(ours, {"w": tmp_path / "p.pth"}, "cpu"))
    array = np.random.default_rng(0).integers(0, 255, (300, 256)).astype(np.uint8)

    found = runtime.segment(film(array), ours.targets, lambda done, what: None)

    assert len(found.masks) == len(ours.targets) == 14
    pixels = torch.from_numpy((square_pixels(film(array), 512) + 1024) / 2048)[None, None].repeat(1, 3, 1, 1)
    mean, deviation = (torch.tensor(v)[None, :, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        heart = torch.sigmoid(network((pixels - mean) / deviation))[0, PSPNet.targets.index("Heart")]
    share = float((heart >= 0.5).float().mean())
    assert found.masks["heart"][22:278].mean() == pytest.approx(share, abs=0.02)


def test_a_map_over_the_square_lies_on_the_film_again(package: None, tmp_path: Path) -> None:
    runtime = load_findings(Loading(FINDINGS, {"w.pt": saved(SmallNet(), tmp_path / "w.pt")}, "cpu"))
    volume = film(ramp((60, 40)))
    attention = runtime.attention(volume, "pleural_thickening")
    assert attention.index == LABELS.index("Pleural_Thickening")
    assert tuple(attention.inputs.shape) == (1, 1, 16, 16)
    found = np.zeros((16, 16), np.float32)
    found[0, :] = 1.0  # the top row of the square
    back = attention.to_image(found)
    assert back.shape == volume.shape
    rows = np.flatnonzero(back[:, :, 0].max(axis=0) > 0.5)
    top = (volume.shape[1] - min(volume.shape[:2])) // 2
    assert rows[0] == top
    assert rows[-1] <= top + 4
