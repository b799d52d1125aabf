from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.errors import BadInputError
from tools.imaging.anatomy import find_targets, may_show, members_of, resolve, total_classes, vocabulary


@pytest.mark.parametrize(
    ("word", "targets"),
    [
        ("lungs", ("lungs",)),
        ("lung", ("lungs",)),
        ("both lungs", ("lungs",)),
        ("each of the two lungs", ("lung_left", "lung_right")),
        ("Left Lung", ("lung_left",)),
        ("lung_left", ("lung_left",)),
        ("both kidneys", ("kidney_left", "kidney_right")),
        ("kidneys", ("kidney_left", "kidney_right")),
        ("kidney, left", ("kidney_left",)),
        ("left-sided kidney", ("kidney_left",)),
        ("left and right kidney", ("kidney_left", "kidney_right")),
        ("right upper lobe", ("lung_upper_lobe_right",)),
        ("upper right lobe", ("lung_upper_lobe_right",)),
        ("lower lobe of the left lung", ("lung_lower_lobe_left",)),
        ("RML", ("lung_middle_lobe_right",)),
        ("oesophagus", ("esophagus",)),
        ("windpipe", ("trachea",)),
        ("collarbones", ("clavicula_left", "clavicula_right")),
        ("skeleton", ("bones",)),
        ("grey matter", ("gray_matter",)),
        ("liver tumour", ("liver_tumor",)),
        ("L3", ("vertebrae_L3",)),
        ("third lumbar vertebra", ("vertebrae_L3",)),
        ("vertebrae_T1", ("vertebrae_T1",)),
        ("5th left rib", ("rib_left_5",)),
        ("renal", ("kidney_left", "kidney_right")),
        ("rib_right_12", ("rib_right_12",)),
    ],
)
def test_words_become_targets(word: str, targets: tuple[str, ...]) -> None:
    assert resolve(word) == targets


@pytest.mark.parametrize(
    ("word", "nearest"),
    [
        ("kidny", "kidney_left"),
        ("left liver", "liver"),
        ("left middle lobe", "lung_middle_lobe_right"),
        ("", "name an"),
    ],
)
def test_an_unknown_word_is_refused_with_the_nearest(word: str, nearest: str) -> None:
    with pytest.raises(BadInputError, match=nearest):
        resolve(word)


def test_lobes_are_five_and_lungs_are_their_sum() -> None:
    lobes = resolve("lobes")
    assert len(lobes) == 5
    parts = [part for side in members_of("lungs") for part in members_of(side)]
    assert sorted(parts) == sorted(lobes)
    assert members_of("liver") == ()


def test_the_class_list_is_totalsegmentators() -> None:
    classes = total_classes()
    assert len(classes) == len(set(classes)) == 117
    assert (classes[0], classes[50], classes[89], classes[116]) == ("spleen", "heart", "brain", "costal_cartilages")


@pytest.mark.parametrize("target", sorted(vocabulary().targets))
def test_every_target_resolves_to_itself_and_so_do_its_words(target: str) -> None:
    assert resolve(target) == (target,)
    assert resolve(target.replace("_", " ")) == (target,)


def test_every_word_means_targets_that_exist() -> None:
    for phrase, targets in vocabulary().phrases.items():
        assert targets, phrase
        assert set(targets) <= vocabulary().targets, phrase


def mentions(text: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(m.text, m.targets) for m in find_targets(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Segment the lungs in this CT.", [("lungs", ("lungs",))]),
        ("mean density of the left lung in HU", [("left lung", ("lung_left",))]),
        ("Outline both kidneys", [("both kidneys", ("kidney_left", "kidney_right"))]),
        ("liver, spleen and pancreas", [("liver", ("liver",)), ("spleen", ("spleen",)), ("pancreas", ("pancreas",))]),
        ("volume of left kidney and right lung", [("left kidney", ("kidney_left",)), ("right lung", ("lung_right",))]),
        ("segmnt teh spleeen and kindeys", [("spleeen", ("spleen",)), ("kindeys", ("kidney_left", "kidney_right"))]),
        ("hepatic volume", [("hepatic", ("liver",))]),
        ("a lung nodule in the right upper lobe", [
            ("lung nodule", ("lung_nodule",)), ("right upper lobe", ("lung_upper_lobe_right",)),
        ]),
        ("lungs left and right", [("lungs left and right", ("lung_left", "lung_right"))]),
        ("color the mask, I heard of it", []),
        ("What body part is this, T1 or T2?", []),
        ("What is on the right?", []),
        ("pulmonary embolism?", []),
        ("lung window please", []),
        ("", []),
        ("Größe der Leber 肝臓", []),
    ],
)  # fmt: skip
def test_mentions_in_requests(text: str, expected: list[tuple[str, tuple[str, ...]]]) -> None:
    assert mentions(text) == expected


@given(st.text(max_size=300))
def test_any_text_is_searched_without_error_and_places_are_right(text: str) -> None:
    for mention in find_targets(text):
        assert text[mention.start : mention.end] == mention.text
        assert set(mention.targets) <= vocabulary().targets


def test_a_long_request_is_searched_quickly() -> None:
    assert len(find_targets("please segment the liver " * 4000)) == 4000


@pytest.mark.parametrize(
    ("body_part", "target", "shown"),
    [
        ("HEAD", "lungs", False),
        ("HEAD", "brain", True),
        ("CHEST", "lung_upper_lobe_left", True),
        ("CHEST", "brain", False),
        ("CHEST", "liver", True),
        ("CHEST", "prostate", False),
        ("ABDOMEN", "kidney_left", True),
        ("ABDOMEN", "vertebrae_L3", True),
        ("ABDOMEN", "vertebrae_C3", False),
        ("KNEE", "liver", False),
        ("KNEE", "rib_left_5", False),
        ("KNEE", "bones", True),
        ("", "lungs", True),
        ("CHESTABDPELVIS", "brain", True),
        ("SOMETHING ELSE", "brain", True),
    ],
)
def test_a_head_is_not_a_chest(body_part: str, target: str, shown: bool) -> None:
    assert may_show(body_part, target) is shown


def test_regions_name_targets_that_exist() -> None:
    known = vocabulary()
    for names in known.regions.values():
        for name in names:
            assert any(target.startswith(name) for target in known.targets), name
