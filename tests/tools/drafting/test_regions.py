"""What a report speaks of, per modality and body part: in reading order, and true to what the modality shows."""

from __future__ import annotations

import pytest

from tools.drafting.regions import Region, region_of, regions
from tools.grounding.statement import read_statement
from tools.imaging.anatomy import may_show
from tools.imaging.terms import body_part_term
from tools.models.hub import Hub

CHEST_CT = "lungs, airways, pleura, heart, mediastinum, diaphragm, bones, upper abdomen"
CASES = {
    ("CT", "CHEST"): CHEST_CT,
    ("CR", "CHEST"): "devices, lungs, pleura, heart, mediastinum, diaphragm, bones",
    ("DX", "CHEST"): "devices, lungs, pleura, heart, mediastinum, diaphragm, bones",
    (
        "CT",
        "ABDOMEN",
    ): "liver, gallbladder, pancreas, spleen, adrenal, kidneys, urinary bladder, stomach, peritoneum, "
    "vessels, lymph nodes, bones, lung bases",
    (
        "MR",
        "ABDOMEN",
    ): "liver, gallbladder, pancreas, spleen, adrenal, kidneys, urinary bladder, stomach, peritoneum, vessels, "
    "lymph nodes, bones, lung bases",
    ("US", "ABDOMEN"): "liver, gallbladder, pancreas, spleen, kidneys, urinary bladder, peritoneum, vessels",
    ("CR", "ABDOMEN"): "kidneys, stomach, peritoneum, bones",
    (
        "CT",
        "PELVIS",
    ): "urinary bladder, prostate, seminal, bowel, peritoneum, vessels, lymph nodes, bones, muscles, lower abdomen",
    ("CR", "PELVIS"): "bones, muscles",
    ("US", "PELVIS"): "urinary bladder, prostate, seminal, peritoneum",
    ("MR", "PROSTATE"): "prostate, peripheral, transition, capsule, neurovascular, urinary bladder, lymph nodes, bones",
    ("CT", "HEAD"): "brain, posterior, ventricles, midline, intracranial vessels, orbits, paranasal, skull",
    (
        "MR",
        "HEAD",
    ): "brain, posterior, ventricles, midline, diffusion, sella, intracranial vessels, orbits, paranasal, skull",
    ("CT", "NECK"): "pharynx, salivary, thyroid, lymph nodes, vessels, airway, cervical, lung apices",
    ("US", "NECK"): "salivary, thyroid, lymph nodes, vessels",
    ("CT", "SPINE"): "alignment, vertebral, discs, facet, spinal canal, paraspinal, other",
    ("MR", "LSPINE"): "alignment, vertebral, bone marrow, discs, facet, spinal canal, spinal cord, paraspinal, other",
    ("CR", "CSPINE"): "alignment, vertebral, discs, facet, paraspinal",
    ("MR", "KNEE"): "menisci, cruciate, collateral, extensor, cartilage, bones, joint fluid, popliteal",
    ("CR", "KNEE"): "bones, joints, soft tissues, devices",
    ("MR", "SHOULDER"): "rotator, biceps, acromioclavicular, glenohumeral, bones, muscles, bursa",
    ("DX", "HAND"): "bones, joints, soft tissues, devices",
    ("MR", "ANKLE"): "bones, bone marrow, joints, ligaments, muscles, vessels, soft tissues",
    ("MG", "BREAST"): "breast composition, focal, microcalcifications, asymmetries, skin, axillary, devices",
    ("US", "BREAST"): "breast composition, focal, skin, axillary, devices",
    ("MR", "BREAST"): "breast composition, focal, enhancement, skin, axillary, devices",
    ("CT", "HEART"): "chambers, myocardium, valves, coronary, pericardium, great vessels, other structures",
    ("US", "HEART"): "chambers, myocardium, valves, pericardium, great vessels",
    ("PT", "WHOLEBODY"): "head and neck, chest, abdomen and pelvis, skeleton, skin",
    ("PT", "CHEST"): "head and neck, chest, abdomen and pelvis, skeleton, skin",
}


@pytest.mark.parametrize(("modality", "body_part"), CASES)
def test_a_report_has_the_parts_that_its_modality_shows_in_reading_order(modality: str, body_part: str) -> None:
    region = region_of(body_part, (), modality)
    assert region is not None
    names = [s.name for s in region.shown_by(modality)]
    wanted = CASES[modality, body_part].split(", ")
    assert len(names) == len(wanted), names
    assert [n.startswith(w) for n, w in zip(names, wanted, strict=True)] == [True] * len(wanted), names


def test_a_study_of_several_regions_tells_each_once_and_no_edge() -> None:
    names = [s.name for s in _region("CHESTABDPELVIS", "CT").shown_by("CT")]
    assert len(set(names)) == len(names)
    assert [n for n in names if n in ("lungs", "liver", "prostate or uterus")] == [
        "lungs",
        "liver",
        "prostate or uterus",
    ]
    assert not {"upper abdomen", "lung bases", "lower abdomen"} & set(names)
    assert names.count("urinary bladder") == 1


def _region(body_part: str, modality: str) -> Region:
    region = region_of(body_part, (), modality)
    assert region is not None
    return region


def test_where_the_header_is_silent_what_was_looked_at_says_the_region() -> None:
    looked_at = ("lungs", "liver", "brain", "femur_left", "tail", "lungs liver", "liver kidney_left", "brain liver")
    assert [getattr(region_of("", targets.split(), "CT"), "name", "") for targets in looked_at] == [
        "CHEST", "ABDOMEN", "HEAD", "PELVIS", "", "CHEST", "ABDOMEN", "WHOLEBODY",
    ]  # fmt: skip


def test_no_part_is_called_by_a_finding() -> None:
    """Where scores are evidence, a finding that is named is one that is stated."""
    for name in {s.name for r in regions() for s in r.structures}:
        assert read_statement(f"Not examined by any tool: {name}.").mentions == (), name


def test_every_body_part_of_the_standard_that_a_template_names_is_a_term() -> None:
    for region in regions():
        for part in (region.name, *region.also):
            assert part in ("PET", "*") or body_part_term(part), part


def test_whatever_a_model_outlines_has_a_place_in_its_regions_report() -> None:
    """Else its sentence would stand last, and its part of the report be called not examined."""
    missing = {
        (card.name, part, modality, target)
        for card in Hub.installed().cards
        if card.verb == "segment" and "*" not in card.targets
        for modality in card.modality
        for part in card.body_part
        for target in card.targets
        if body_part_term(part) and may_show(part, target) and not _holds(part, modality, target)
    }
    assert missing == set()


def _holds(part: str, modality: str, target: str) -> bool:
    return any(s.holds(target) for s in _region(body_part_term(part), modality).shown_by(modality))
