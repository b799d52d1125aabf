"""Arguments come from the words, and what the words do not say stays empty."""

from __future__ import annotations

from typing import Any

import planning
import pytest

from agent.planner.queries import count_in, phrase_in, query_in
from agent.planner.slots import (
    date_in,
    enumerated,
    fill,
    implied_targets_in,
    labels_in,
    patient_in,
    targets_in,
    uid_in,
)  # fmt: skip


@pytest.mark.parametrize(
    ("said", "query", "count"),
    [
        ("Find old reports that describe a hiatal hernia", "hiatal hernia", None),
        ("Any reports with pneumothorax but without rib fracture", "pneumothorax but without rib fracture", None),
        ("Show 5 reports of emphysema", "emphysema", 5),
        ("Give me the ten most relevant reports on lung masses", "lung masses", 10),
        ("reports: cardiomegaly without effusion", "cardiomegaly without effusion", None),
        ("Which patients had a hiatus hernia in their reports", "hiatus hernia", None),
        ("find similar reports", "", None),
        ("summarise what their reports say", "", None),
    ],
)
def test_search(said: str, query: str, count: int | None) -> None:
    assert query_in(said) == query
    assert count_in(said) == count


@pytest.mark.parametrize(
    ("said", "phrase"),
    [
        ("Draw a box around the patchy opacity in the left base", "patchy opacity in the left base"),
        ("Box the region described as 'opacity in the right lower zone'.", "opacity in the right lower zone"),
        ("Mark the region that matches: elevated right hemidiaphragm", "elevated right hemidiaphragm"),
    ],
)
def test_phrase(said: str, phrase: str) -> None:
    assert phrase_in(said) == phrase


def test_pacs_words() -> None:
    assert patient_in("chest CTs of patient 1234 in the PACS") == "1234"
    assert patient_in("patient ID A-778") == "A-778"
    assert patient_in("the patient has 2 nodules") == ""
    assert date_in("all CTs of 4 May 2023") == "2023-05-04"
    assert date_in("from 20230504") == "2023-05-04"
    assert date_in("on 31.13.2023") == ""
    assert uid_in("get study 1.2.840.113619.2.55 now") == "1.2.840.113619.2.55"
    assert uid_in("resample to 1.5 mm") == ""


def test_a_quantity_that_names_its_structures_by_itself() -> None:
    assert implied_targets_in("What is the CTR?") == ["heart", "lungs"]
    assert implied_targets_in("Emphysema index, please") == ["lungs"]
    assert implied_targets_in("What is the volume?") == []


def test_two_sides_told_apart() -> None:
    assert targets_in("Left versus right kidney, volumes") == ["kidney_left", "kidney_right"]


def test_findings_by_their_short_names() -> None:
    assert labels_in("Is there fluid around the lung, or an enlarged heart?") == ["effusion", "cardiomegaly"]
    assert labels_in("What is this?") == []


@pytest.mark.parametrize(
    ("tool", "said", "wanted"),
    [
        ("measure", "volume and mean density in HU", {"quantities": ["volume", "intensity"]}),
        ("measure", "the surface area, please", {"quantities": ["surface_area"]}),
        ("measure", "longest diameter in mm", {"quantities": ["diameter"]}),
        ("measure", "measure it", {}),
        ("export", "save it as DICOM SEG", {"format": "dicom-seg"}),
        ("export", "a printable model", {"format": "stl"}),
        ("enhance", "N4", {"operation": "bias_correction"}),
        ("enhance", "resample to 1.5 mm isotropic", {"operation": "resample", "spacing_mm": 1.5}),
        ("register", "warp it deformably", {"kind": "deformable"}),
        ("detect", "Where are the lung nodules?", {"target": "nodule"}),
    ],
)
def test_enumerations_and_numbers(tool: str, said: str, wanted: dict[str, Any]) -> None:
    schema = planning.registry().get(tool).args_schema
    refs = planning.registry().get(tool).refs
    assert fill(schema, [n for n in schema["properties"] if n not in refs], said, said) == wanted


def test_a_foreign_tool_is_filled_by_its_schema_alone() -> None:
    flow, tracer = planning.flow_tool(), planning.tracer_tool()
    assert fill(flow.args_schema, ["venc_cm_s"], "blood flow with a venc of 120", "") == {"venc_cm_s": 120.0}
    assert fill(flow.args_schema, ["venc_cm_s"], "blood flow", "") == {}
    assert fill(tracer.args_schema, ["statistic"], "the peak uptake", "") == {"statistic": "peak"}
    assert fill(tracer.args_schema, ["statistic"], "SUVmax please", "") == {"statistic": "maximum"}


@pytest.mark.parametrize(
    ("said", "dates", "face"),
    [
        ("Remove the patient's identity from this ultrasound", [], []),
        ("Take the name out and remove all dates", ["remove"], []),
        ("Anonymise it but keep the face", [], ["keep"]),
    ],
)
def test_a_command_is_no_value_of_an_argument_that_nobody_named(said: str, dates: list[str], face: list[str]) -> None:
    assert enumerated("dates", ["shift", "remove"], said) == dates
    assert enumerated("face", ["auto", "remove", "keep"], said) == face


FACE = {"face": ["auto", "remove", "keep"], "dates": ["shift", "remove"], "text_in_pixels": ["find", "ignore"]}


@pytest.mark.parametrize(
    ("said", "argument", "choice"),
    [
        ("Anonymise this MRI with the face removed", "face", "remove"),
        ("I need a de-identified, defaced copy", "face", "remove"),
        ("Strip the header and cut away the face", "face", "remove"),
        ("Make a copy without the face", "face", "remove"),
        ("Make the face unrecognisable", "face", "remove"),
        ("Does this head have a face in it that should be removed before I share it?", "face", "remove"),
        ("Remove the dates and keep the face", "face", "keep"),
        ("Remove the dates and keep the face", "dates", "remove"),
        ("dates shifted, face removed", "dates", "shift"),
        ("dates shifted, face removed", "face", "remove"),
        ("Remove the patient data but do not remove the face", "face", "keep"),
        ("Anonymise but don't deface", "face", "keep"),
        ("The face must not be removed", "face", "keep"),
        ("Keep the dates out: anonymise with dates removed and face removed", "face", "remove"),
        ("De-identify the scan, but ignore burned-in text", "text_in_pixels", "ignore"),
        ("Remove the patient data", "face", None),
        ("Skull-strip the brain", "face", None),
        ("Remove the noise and keep the edges", "face", None),
        ("Do not shift the dates", "dates", None),
    ],
)
def test_a_command_goes_with_its_noun(said: str, argument: str, choice: str | None) -> None:
    assert next(iter(enumerated(argument, FACE[argument], said)), None) == choice
