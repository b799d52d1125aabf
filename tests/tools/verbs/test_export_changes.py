"""A comparison in every format that knows it: values, the prior's values, differences, their ±, both sources."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pydicom
import pytest
from fhir.resources.R4B.bundle import Bundle

from tests.phantoms import phantom_volume, write_dicom_series
from tests.tools.verbs.test_export_dicom import context, keep, walk
from tools.changes import Change, ChangeRow
from tools.errors import UnsupportedError
from tools.facts import AttachmentFacts
from tools.verbs.export import export
from tools.workspace import Workspace

GREW = ChangeRow(
    target="liver", quantity="volume", status="changed", current=1500.0, prior=1400.0, unit="ml", difference=100.0,
    percent=7.14, uncertainty=20.5, limit=20.5, rule="half a voxel", current_source="img1", prior_source="img1",
)  # fmt: skip
GONE = ChangeRow(
    target="kidney_left", quantity="volume", status="resolved", prior=150.0, unit="ml", rule="looked for",
    current_source="img1", prior_source="img1",
)  # fmt: skip
SIDES = {"current": "img1", "prior": "img1", "current_date": "2026-01-02", "prior_date": "2025-01-02"}


@pytest.fixture
def changed(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path / "reading")
    write_dicom_series(tmp_path / "series", phantom_volume())
    facts = AttachmentFacts(id="img1", modality="CT", body_part="CHEST", dims=3)
    workspace.add_attachment(tmp_path / "series", facts)
    keep(workspace, "s5", Change(summary="The liver grew.", rows=(GREW, GONE), **SIDES), ("img1",))
    return workspace


def written(workspace: Workspace, form: str) -> Path:
    ctx = context(workspace)
    (name,) = export(ctx, artifacts=["s5"], format=form).files
    return ctx.folder / name


def test_the_table_has_both_values_dates_and_sources(changed: Workspace) -> None:
    with written(changed, "csv").open(encoding="utf-8") as file:
        grew, gone = csv.DictReader(file)
    assert (grew["current"], grew["prior"], grew["difference"], grew["uncertainty"]) == (
        "1500.0", "1400.0", "100.0", "20.5",
    )  # fmt: skip
    assert (grew["status"], grew["prior_date"], grew["prior_source"]) == ("changed", "2025-01-02", "img1")
    assert (gone["status"], gone["current"]) == ("resolved", "")


def test_the_report_has_coded_values_and_the_range_of_their_uncertainty(changed: Workspace) -> None:
    items = walk(pydicom.dcmread(written(changed, "dicom-sr")))
    values = {
        item.ConceptNameCodeSequence[0].CodeMeaning: float(item.MeasuredValueSequence[0].NumericValue)
        for item in items
        if item.get("ValueType") == "NUM"
    }
    assert values["Volume"] == 1500
    assert values["Difference of Volume to the prior"] == 100
    numbers = [item for item in items if item.get("ValueType") == "NUM"]
    spread = {
        item.ConceptNameCodeSequence[0].CodeValue: float(item.MeasuredValueSequence[0].NumericValue)
        for item in numbers
        if item.RelationshipType == "HAS PROPERTIES"
    }
    assert spread == {"371886008": 20.5, "371885007": 20.5}  # upper and lower range of measurement uncertainty
    verdicts = [
        item.ConceptCodeSequence[0].CodeMeaning
        for item in items
        if item.get("ValueType") == "CODE" and item.ConceptNameCodeSequence[0].CodeMeaning == "Change since the prior"
    ]
    assert verdicts == ["changed", "resolved"]
    assert any("2025-01-02" in str(item.get("TextValue", "")) for item in items)


def test_fhir_has_the_prior_value_the_difference_and_its_range_as_components(changed: Workspace) -> None:
    text = written(changed, "fhir").read_text(encoding="utf-8")
    Bundle.model_validate(json.loads(text))
    grew, gone = [e["resource"] for e in json.loads(text)["entry"] if e["resource"]["resourceType"] == "Observation"]
    assert grew["valueQuantity"] == {
        "value": 1500.0, "unit": "ml", "system": "http://unitsofmeasure.org", "code": "mL",
    }  # fmt: skip
    parts = {c["code"]["text"]: c["valueQuantity"]["value"] for c in grew["component"]}
    assert parts == {
        "Volume in the prior": 1400.0,
        "Difference of Volume to the prior": 100.0,
        "Change in percent of the prior": 7.14,
        "+/-, range of measurement uncertainty": 20.5,
    }
    assert grew["interpretation"][0]["text"] == "changed"
    assert "valueQuantity" not in gone
    assert gone["component"][0]["valueQuantity"]["value"] == 150.0


def test_a_document_says_the_change_in_a_table(changed: Workspace) -> None:
    text = written(changed, "html").read_text(encoding="utf-8")
    for words in ("1,500 ml", "1,400 ml", "± 20.5 ml", "(+7.1 %)", "resolved", "half a voxel"):
        assert words in text


def test_a_comparison_without_sizes_is_no_table(changed: Workspace) -> None:
    keep(changed, "s6", Change(summary="No size.", rows=(), **SIDES), ("img1",))
    for form, said in (("csv", "holds no row"), ("dicom-sr", "compared no size")):
        with pytest.raises(UnsupportedError, match=said):
            export(context(changed), artifacts=["s6"], format=form)
