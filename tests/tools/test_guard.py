"""The guard's counts, as docs/guard.md shows them; see guard_cases.py for what is tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.guard_cases import every_case, table

PAGE = Path(__file__).parents[2] / "docs" / "guard.md"


@pytest.mark.samples
@pytest.mark.filterwarnings("ignore")
def test_the_table_of_right_and_wrong_refusals_is_fresh(sample, tmp_path: Path) -> None:
    samples = {
        "film": sample("dicom-samples", "RG1.dcm"),
        "chest": sample("chest-ct", "cxr.nii.gz"),
        "brain": sample("brain-t1", "t1.nii.gz"),
    }
    cases = every_case(samples, tmp_path)

    wrong = [f"{case.verdict}: {case.name}, {case.work}" for case in cases if case.verdict.startswith("wrong")]
    assert wrong == []
    assert table(cases) in PAGE.read_text(encoding="utf-8"), "run: python -m tests.tools.guard_cases"
