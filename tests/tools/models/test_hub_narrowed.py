"""A step may name its model: every verb that asks the hub gets that one, or the reason why it does not fit."""

from __future__ import annotations

import pytest

from tools.errors import NotFoundError, UnsupportedError
from tools.facts import AttachmentFacts
from tools.models.card import ModelCard
from tools.models.hub import Hub

CHEST = AttachmentFacts(id="img1", modality="CT", body_part="CHEST", dims=3)
HEAD_MR = AttachmentFacts(id="img1", modality="MR", body_part="HEAD", dims=3)


def card(name: str, verb: str = "segment", *, seconds: float = 1.0, targets: tuple[str, ...] = ("lungs",)) -> ModelCard:
    return ModelCard(
        name=name, title=name, verb=verb, version="1", licence="MIT", source="test", runtime="hu_threshold",
        targets=targets, modality=("CT",), dims=(3,), requires="it needs air", seconds=seconds,
    )  # fmt: skip


@pytest.fixture
def hub() -> Hub:
    return Hub([card("quick"), card("slow", seconds=60), card("nodules", "detect", targets=("nodule",))])


def test_the_named_model_is_chosen_and_the_reason_says_so(hub: Hub) -> None:
    assert hub.choose("segment", CHEST, ("lungs",)).card.name == "quick"
    choice = hub.narrowed("segment", "slow").choose("segment", CHEST, ("lungs",))
    assert (choice.card.name, choice.reason) == ("slow", "the model that was asked for")
    assert hub.choose("segment", CHEST, ("lungs",)).card.name == "quick"  # the whole hub stays as it was


def test_models_of_other_verbs_stay(hub: Hub) -> None:
    narrow = hub.narrowed("segment", "slow")
    assert [c.name for c in narrow.cards] == ["nodules", "slow"]
    assert narrow.choose("detect", CHEST, ("nodule",)).card.name == "nodules"


def test_a_loaded_model_is_shared(hub: Hub) -> None:
    narrow = hub.narrowed("segment", "slow")
    assert narrow.runtime(narrow.get("slow")) is hub.runtime(hub.get("slow"))


def test_none_leaves_the_choice_to_the_hub(hub: Hub) -> None:
    assert hub.narrowed("segment", None) is hub


@pytest.mark.parametrize(
    ("model", "error", "said"),
    [
        ("nothing", NotFoundError, "no model named 'nothing'; for segment there are: quick, slow"),
        ("nodules", UnsupportedError, "'nodules' serves detect, not segment; for segment there are: quick, slow"),
    ],
)
def test_a_model_that_cannot_serve_the_verb_is_refused(hub: Hub, model: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        hub.narrowed("segment", model)


def test_a_model_that_does_not_fit_the_image_or_the_target_says_why(hub: Hub) -> None:
    narrow = hub.narrowed("segment", "slow")
    with pytest.raises(UnsupportedError, match=r"img1 is MR, CT is needed.*\(model slow\)"):
        narrow.choose("segment", HEAD_MR.model_copy(update={"body_part": ""}), ("lungs",))
    with pytest.raises(UnsupportedError, match="model 'slow' cannot segment 'liver'; there are: lungs"):
        narrow.choose("segment", CHEST, ("liver",))
