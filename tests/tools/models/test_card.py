from __future__ import annotations

from pathlib import Path

import pytest

from tools.errors import BadInputError
from tools.facts import AttachmentFacts
from tools.imaging.anatomy import vocabulary
from tools.models import cards
from tools.models.card import read_card
from tools.models.installed import installed_cards, knows_runtime

CARD = """
name = "test-model"
title = "A model"
verb = "segment"
runtime = "hu_threshold"
version = "1"
targets = ["liver", "lung_left", "lung_right"]
modality = ["CT"]
dims = [3]
requires = "it was trained on CT"
seconds = 2
licence = "MIT"
source = "test"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "test.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_card_is_read(tmp_path: Path) -> None:
    card = read_card(write(tmp_path, CARD))
    assert (card.name, card.targets[0], card.modality, card.trust) == ("test-model", "liver", ("CT",), "untested")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CARD + 'colour = "red"\n', "unknown key 'colour'"),
        (CARD.replace('licence = "MIT"\n', ""), "key 'licence' is missing"),
        (CARD.replace("seconds = 2", "seconds = -1"), "key 'seconds'"),
        (CARD.replace("dims = [3]", "dims = [4]"), "key 'dims.0'"),
        (CARD + "[weights]\nsha256 = {}\n", "one of 'file', 'distribution' and 'asset'"),
        (CARD + '[weights]\ndistribution = "deepbet"\n', "need 'sha256'"),
        (CARD + '[weights]\nfile = "a.pt"\nsha256 = { "a.pt" = "abc" }\n', "64 hex digits"),
        (CARD + '[target_limits]\nspleen = "x"\n', "spleen"),
        (CARD + '[weights]\nfile = "../../.ssh/key"\n', "below the folder of weights"),
        (CARD + '[weights]\nfile = "/etc/passwd"\n', "below the folder of weights"),
        (CARD + '[weights]\nfile = "a"\nsha256 = { "../a" = "' + "0" * 64 + '" }\n', "below the folder of weights"),
        ("name = ", "no valid TOML"),
    ],
)
def test_a_wrong_card_names_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInputError, match=r"test\.toml") as caught:
        read_card(write(tmp_path, text))
    assert said in str(caught.value)


def test_a_card_serves_the_sum_of_its_targets(tmp_path: Path) -> None:
    card = read_card(write(tmp_path, CARD))
    assert card.serves("lungs")
    assert card.serves("lung_left")
    assert not card.serves("bones")


def test_a_card_says_why_not(tmp_path: Path) -> None:
    card = read_card(write(tmp_path, CARD))
    assert card.refusal(AttachmentFacts(id="img1", modality="CT", dims=3)) is None
    assert card.refusal(AttachmentFacts(id="img1", modality="MR", dims=3)) == (
        "img1 is MR, CT is needed: it was trained on CT"
    )


@pytest.mark.parametrize("path", sorted(cards().glob("*.toml")), ids=lambda path: path.stem)
def test_our_cards_are_named_after_their_files_and_say_their_limits(path: Path) -> None:
    card = read_card(path)
    assert card.name == path.stem
    assert card.limits
    assert card.requires or not (card.modality or card.body_part or card.dims)
    if card.verb == "segment":
        assert set(card.targets) <= vocabulary().targets


def test_every_card_of_ours_has_a_runtime_and_says_what_is_known_of_it() -> None:
    ours, broken = installed_cards()
    assert not broken
    for card in ours:
        assert knows_runtime(card.runtime), card.name
        assert card.limits, card.name
        assert card.source, card.name
        published = card.runtime == "remote_http" or (card.weights is not None and card.weights.file)
        if card.trust == "untested" and published:
            assert any("could not be had" in limit or "cannot be had" in limit for limit in card.limits), card.name
