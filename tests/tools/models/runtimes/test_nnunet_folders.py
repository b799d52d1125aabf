"""nnU-Net's folders as people publish them: BraTS, TotalSegmentator, slices, several configurations, cascades."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.nnunet_folders import (
    BRATS_LABELS,
    as_written_under_numpy_1,
    configuration,
    old_configuration,
    plans_with,
    trained_network,
    write_folder,
)
from tests.phantoms_ct import dice
from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.facts import AttachmentFacts
from tools.imaging.geometry import to_orientation
from tools.imaging.volume import Volume
from tools.models.card import ModelCard
from tools.models.hub import Choice, Hub
from tools.models.runtimes.base import silent
from tools.models.shares import shares_of
from tools.verbs.outlining import require_alike

pytest.importorskip("dynamic_network_architectures")

GRID = np.diag([1.5, 1.5, 2.0, 1.0])
SHAPE = (26, 22, 18)
SERIES = ("T1", "T1ce", "T2", "Flair")
ONE_STEP = {"background": 0, "spleen": 1, "kidney_right": 2}


def block(*spans: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(*span) for span in spans)] = True
    return mask


WHOLE = block((4, 16), (5, 15), (3, 11))
CORE = block((6, 13), (6, 12), (4, 9))
ENHANCING = block((6, 9), (6, 12), (4, 9))


def brats_case() -> tuple[list[Volume], np.ndarray]:
    """A head whose outside is zero, with a tumour nearer to one side that each series shows in part."""
    inside = block((2, 24), (2, 20), (1, 17))
    rng = np.random.default_rng(3)
    shown = {"T1": (CORE, -60), "T1ce": (ENHANCING, 200), "T2": (WHOLE, 80), "Flair": (WHOLE, 160)}
    images = []
    for name in SERIES:
        where, by = shown[name]
        array = np.where(inside, rng.normal(300, 5, SHAPE) + by * where, 0).astype(np.float32)
        images.append(Volume(array, GRID, spacing_source="NIfTI header", modality="MR"))
    return images, WHOLE.astype(np.int16) + CORE + ENHANCING


def ct_case() -> tuple[Volume, np.ndarray]:
    array = np.random.default_rng(0).normal(0, 10, SHAPE).astype(np.int16)
    spleen, kidney = block((3, 11), (4, 10), (2, 8)), block((14, 22), (9, 18), (9, 15))
    array[spleen] += 150
    array[kidney] += 300
    volume = Volume(array, GRID, spacing_source="NIfTI header", modality="CT", units="HU")
    return volume, spleen + 2 * kidney.astype(np.int16)


@pytest.fixture(scope="module")
def brats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layout of nnU-Net's own conversion of BraTS 2021: four channels, three regions that overlap."""
    weights = tmp_path_factory.mktemp("weights")
    dataset = {
        "channel_names": {str(n): name for n, name in enumerate(SERIES)}, "labels": BRATS_LABELS, "numTraining": 1251,
        "file_ending": ".nii.gz", "regions_class_order": [1, 2, 3], "overwrite_image_reader_writer": "SimpleITKIO",
    }  # fmt: skip
    chosen = configuration("3d_fullres", ["ZScoreNormalization"] * 4, True)
    plans = plans_with({"3d_fullres": chosen}, 4, "Dataset137_BraTS2021")
    images, truth = brats_case()
    learnt = trained_network(plans, "3d_fullres", dataset, images, truth)
    write_folder(weights / "brats", plans, dataset, learnt, "3d_fullres")
    return weights


@pytest.fixture(scope="module")
def total(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of TotalSegmentator's parts: plans of nnU-Net 2.1, a checkpoint written under numpy 1.

    Beside it, as in ~/.totalsegmentator/nnunet/results, a coarser network of the same labels, whose weights are zero.
    """
    weights = tmp_path_factory.mktemp("weights")
    plans = plans_with({"3d_fullres": old_configuration()}, 1, "Dataset291_TotalSegmentator_part1_organs_1559subj")
    del plans["label_manager"]
    dataset = {"channel_names": {"0": "CT"}, "labels": ONE_STEP, "numTraining": 1559, "file_ending": ".nii.gz"}
    volume, truth = ct_case()
    learnt = trained_network(plans, "3d_fullres", dataset, [volume], truth)
    trainer = "nnUNetTrainerNoMirroring"
    folder = write_folder(weights / "total", plans, dataset, learnt, "3d_fullres", trainer)
    coarse = plans | {"dataset_name": "Dataset297_TotalSegmentator_total_3mm_1559subj"}
    nothing = {name: value * 0 for name, value in learnt.items()}
    write_folder(weights / "total", coarse, dataset, nothing, "3d_fullres", "nnUNetTrainer_4000epochs_NoMirroring")
    as_written_under_numpy_1(folder / "fold_0" / "checkpoint_final.pth")
    return weights


def card(file: str, **fields: Any) -> ModelCard:
    given = {"name": file, "title": file, "verb": "segment", "runtime": "nnunet", "version": "2", "seconds": 1}
    more = {"licence": "MIT", "source": "test", "weights": {"file": file}, "modality": ["CT"], "dims": [3]}
    return ModelCard.model_validate(given | more | fields)


def brats_card(**fields: Any) -> ModelCard:
    names = {"brain_tumor": "whole tumor", "tumor_core": "tumor core", "enhancing_tumor": "enhancing tumor"}
    return card(
        "brats", modality=["MR"], targets=list(names), **({"series": SERIES, "options": {"names": names}} | fields)
    )


def outlined(weights: Path, model: ModelCard, volumes: list[Volume], targets: list[str]) -> dict[str, np.ndarray]:
    hub = Hub([model], weights_dir=weights)
    assert hub.status(model).state == "ready", hub.status(model).remedy
    choice = Choice(model, "test")
    return dict(hub.use(choice, lambda runtime: runtime.segment_series(volumes, targets, silent)).value.masks)


@pytest.mark.parametrize("codes", ["RAS", "LPI"])
def test_brats_takes_four_images_and_gives_regions_that_overlap(brats: Path, codes: str) -> None:
    images, _ = brats_case()
    turned = [to_orientation(image, codes) for image in images]
    masks = outlined(brats, brats_card(), turned, ["brain_tumor", "tumor_core", "enhancing_tumor"])
    expected = {"brain_tumor": WHOLE, "tumor_core": CORE, "enhancing_tumor": ENHANCING}
    for target, mask in expected.items():
        there = to_orientation(images[0].with_array(mask.astype(np.uint8)), codes).array > 0
        assert dice(masks[target], there) > 0.8, target
    assert not (masks["enhancing_tumor"] & ~masks["tumor_core"]).any()
    assert not (masks["tumor_core"] & ~masks["brain_tumor"]).any()


def test_the_order_of_the_images_is_the_folders(brats: Path) -> None:
    images, _ = brats_case()
    swapped = outlined(brats, brats_card(), [images[0], images[3], images[2], images[1]], ["enhancing_tumor"])
    assert dice(swapped["enhancing_tumor"], ENHANCING) < 0.6


def test_too_few_images_are_refused_before_anything_is_loaded(brats: Path) -> None:
    hub = Hub([brats_card()], weights_dir=brats)
    head = AttachmentFacts(id="img1", modality="MR", body_part="HEAD", dims=3)
    with pytest.raises(
        UnsupportedError, match=r"brats takes 4 aligned images .*\(T1, T1ce, T2, Flair\), got 1: attach"
    ):
        shares_of(hub, "segment", head, ["brain_tumor"])
    shares = shares_of(hub, "segment", head, ["brain_tumor"], images=4)
    assert shares[0].choice.card.name == "brats"
    with pytest.raises(UnsupportedError, match="series: img2 is CT, MR is needed"):
        require_alike(shares, [AttachmentFacts(id="img2", modality="CT", body_part="HEAD", dims=3)])
    assert hub.loaded() == {}
    images, _ = brats_case()
    with pytest.raises(BadInputError, match=r"4 aligned images .*T1ce.* are needed, got 2"):
        outlined(brats, brats_card(), images[:2], ["brain_tumor"])
    moved = replace(images[3], affine_ras=np.diag([1.5, 1.5, 2.5, 1.0]))
    with pytest.raises(BadInputError, match="all must lie on one grid"):
        outlined(brats, brats_card(), [*images[:3], moved], ["brain_tumor"])


def test_the_list_says_what_a_card_must_name(brats: Path, total: Path) -> None:
    unnamed = brats_card(series=())
    status = Hub([unnamed], weights_dir=brats).status(unnamed)
    assert status.state == "needs weights"
    assert status.remedy == (
        'brats takes 4 images as one input; write series = ["T1", "T1ce", "T2", "Flair"] in its card'
    )
    with pytest.raises(UnavailableError, match="write series ="):
        Hub([unnamed], weights_dir=brats).runtime(unnamed)
    several = card("total", targets=["spleen"], series=["CT", "PET"])
    assert "takes one image" in Hub([several], weights_dir=total).status(several).remedy
    other = card("total", targets=["aorta"])
    assert "has none of the card's targets; it has: kidney_right, spleen" in (
        Hub([other], weights_dir=total).status(other).remedy
    )


def test_totalsegmentators_older_plans_and_checkpoints_run(total: Path) -> None:
    volume, truth = ct_case()
    masks = outlined(total, card("total", targets=["spleen", "kidney_right"]), [volume], ["spleen", "kidney_right"])
    assert dice(masks["spleen"], truth == 1) > 0.8
    assert dice(masks["kidney_right"], truth == 2) > 0.8


def test_a_network_of_slices_is_led_through_the_volume(tmp_path: Path) -> None:
    volume, truth = ct_case()
    dataset = {"channel_names": {"0": "CT"}, "labels": ONE_STEP, "numTraining": 2, "file_ending": ".nii.gz"}
    flat = configuration("2d", ["CTNormalization"], False, dims=2)
    plans = plans_with({"2d": flat})
    learnt = trained_network(plans, "2d", dataset, [volume], truth)
    write_folder(tmp_path / "slices", plans, dataset, learnt, "2d")
    model = card("slices", targets=["spleen", "kidney_right"], options={"mirror": True})
    masks = outlined(tmp_path, model, [volume], ["spleen", "kidney_right"])
    assert dice(masks["spleen"], truth == 1) > 0.8
    assert dice(masks["kidney_right"], truth == 2) > 0.8


def test_the_full_resolution_is_taken_where_a_dataset_has_several_and_a_cascade_is_refused_with_its_reason(
    tmp_path: Path,
) -> None:
    """As nnUNet_results has them: one folder a configuration, the plans of all in each."""
    chosen = configuration("3d_fullres", ["CTNormalization"], False)
    cascade = {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}
    low = configuration("3d_lowres", ["CTNormalization"], False) | {"next_stage": "3d_cascade_fullres"}
    there = {"2d": configuration("2d", ["CTNormalization"], False, 2), "3d_lowres": low, "3d_fullres": chosen}
    plans = plans_with(there | {"3d_cascade_fullres": cascade})
    dataset = {"channel_names": {"0": "CT"}, "labels": ONE_STEP, "numTraining": 2, "file_ending": ".nii.gz"}
    for name in ("2d", "3d_cascade_fullres", "3d_fullres", "3d_lowres"):
        write_folder(tmp_path / "all", plans, dataset, {}, name)
    write_folder(tmp_path / "cascade", plans, dataset, {}, "3d_cascade_fullres")
    from tools.models.runtimes.nnunet_folders import NnunetOptions, result_folders

    def taken(**options: Any) -> str:
        (folder,) = result_folders(tmp_path / "all", NnunetOptions.model_validate(options))
        return folder.path.name.rpartition("__")[2]

    assert taken() == "3d_fullres"
    assert taken(configuration="3d_lowres") == "3d_lowres"
    assert taken(configuration="2d") == "2d"
    model = card("cascade", targets=["spleen"])
    hub = Hub([model], weights_dir=tmp_path)
    assert hub.status(model).state == "needs weights"
    assert "3d_cascade_fullres is the second stage of a cascade" in hub.status(model).remedy
    assert "bring the folder of 3d_fullres or 3d_lowres" in hub.status(model).remedy


@pytest.mark.parametrize(
    ("labels", "order", "said"),
    [
        (BRATS_LABELS, None, "regions_class_order must hold one number for each of whole tumor, tumor core, enhancing"),
        (BRATS_LABELS, [1, 2], "regions_class_order"),
        ({"0": "background", "1": "spleen"}, None, "as nnU-Net v2 writes them"),
        ({"background": 0}, None, "names no labels"),
    ],
)
def test_labels_that_say_too_little_are_named(tmp_path: Path, labels: Any, order: Any, said: str) -> None:
    plans = plans_with({"3d_fullres": configuration("3d_fullres", ["CTNormalization"], False)})
    dataset = {"channel_names": {"0": "CT"}, "labels": labels, "regions_class_order": order}
    folder = write_folder(tmp_path / "odd", plans, dataset, {}, "3d_fullres")
    model = card("odd", targets=["spleen"])
    assert said in Hub([model], weights_dir=tmp_path).status(model).remedy
    (folder / "plans.json").write_text(json.dumps(plans | {"configurations": {}}))
    assert "odd" not in Hub([model], weights_dir=tmp_path).loaded()
