"""Words for values: units, times, arguments; nothing that drives a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_assistant import FakeAssistant
from tools.facts import AttachmentFacts
from tools.results import Measurement
from ui.render import (
    argument_text,
    bytes_text,
    cited_of,
    clean,
    facts_text,
    figures_of,
    files_of,
    measurements_of,
    seconds_text,
    value_text,
)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (14.2, "14 s"), (119.4, "119 s"), (125, "2 min 05 s")]
)
def test_seconds(seconds, text):
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(512, "512 B"), (34_805_004, "34.8 MB"), (2.5e12, "2.5 TB")])
def test_bytes(count, text):
    assert bytes_text(count) == text


@given(st.text())
def test_clean_text_has_no_control_characters(text):
    shown = clean(text)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)
    assert len(shown) == len(text)


def test_clean_text_cannot_turn_the_direction_of_writing():
    assert clean("scan\u202egnp.exe") == "scan�gnp.exe"
    assert clean("a\nb", keep_lines=True) == "a\nb"


def test_arguments_in_one_line():
    args = {"image": "@img1", "targets": ["lungs", "body"], "prompt": None, "k": 3}
    assert argument_text(args) == "image=@img1  targets=lungs, body  k=3"


def test_facts_say_who_says_so():
    known = AttachmentFacts(id="img1", modality="CT", modality_source="voxel values", dims=3, body_part="CHEST")
    assert facts_text(known) == "img1 · CT (voxel values) · 3-D · Chest"
    unknown = AttachmentFacts(id="img2", dims=2, has_spacing=False, prior=True)
    assert facts_text(unknown) == "img2 · modality unknown · 2-D · no spacing: no millimetres · prior study"
    mask = AttachmentFacts(id="mask1", kind="mask", dims=3, of="img1", label="lungs")
    assert facts_text(mask) == "mask1 · mask · lungs"


def test_a_value_without_unit_says_so():
    row = Measurement(
        target="brain", quantity="mean_intensity", value=412.0, unit="", image="img1", mask="s1", spacing_source="",
        method="mean",
    )  # fmt: skip
    assert value_text(row) == "412.0 (no unit)"


def test_parts_of_an_answer(tmp_path):
    answer = FakeAssistant().ask("x")
    rows = measurements_of(answer.artifacts)
    assert [(step, row.quantity, row.value) for step, row in rows] == [
        ("s2", "volume", 3701.4),
        ("s2", "mean_intensity", -827.3),
    ]
    assert [c.report_id for c in cited_of(answer.artifacts)] == ["CXR1234", "CXR88"]
    assert [f.path.name for f in files_of(answer)] == ["lungs.nii.gz", "key-image.png", "draft.md"]
    assert [f.path.name for f in figures_of(answer)] == ["key-image.png"]
    assert all(f.path.is_file() for f in files_of(answer))
