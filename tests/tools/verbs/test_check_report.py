"""A report's sentences against the evidence of the reading: supported, contradicted, not covered."""

from __future__ import annotations

import time

import pytest

from tools.claims import claims_of
from tools.errors import BadInputError
from tools.facts import AttachmentFacts
from tools.grounding import evidence_in, problem_with
from tools.places import Region
from tools.results import Hits, Measurement, Measurements, ReportHit, Verdicts
from tools.testing import _keep
from tools.verbs.check_report import check_report
from tools.verbs.draft_report import draft_report

ROWS = (
    ("lung_left", "volume", 1712.3, "ml"),
    ("lung_left", "mean_intensity", -812.34, "HU"),
    ("lung_right", "volume", 1982.1, "ml"),
    ("lung_right", "mean_intensity", -820.6, "HU"),
    ("lung_left", "longest_diameter", 152.25, "mm"),
    ("lung_left", "perpendicular_diameter", 98.4, "mm"),
    ("lung_left", "surface_area", 712.3, "cm2"),
    ("liver", "volume", 1503.2, "ml"),
    ("spleen", "volume", 203.2, "ml"),
)


def measurement(target, quantity, value, unit, method="voxel count × voxel volume") -> Measurement:
    return Measurement(
        target=target,
        quantity=quantity,
        value=value,
        unit=unit,
        image="img1",
        mask="s1",
        spacing_source="NIfTI header",
        method=method,
    )


@pytest.fixture
def reading(workspace):
    ratio = measurement("lung_left", "volume_ratio", 0.864, "", "volume of lung_left ÷ volume of lung_right")
    rows = (*(measurement(*row) for row in ROWS), ratio)
    _keep(workspace, "s2", Measurements(summary="Measured: lungs, liver and spleen.", rows=rows))
    hit = ReportHit(
        report_id="CXR7", section="findings", sentence="The lungs are clear.", start=10, end=30, score=1.0, why="said"
    )
    _keep(workspace, "s3", Hits(summary="One report of another patient matches.", query="lungs", hits=(hit,)))
    return workspace


@pytest.fixture
def check(reading, make_ctx, tmp_path):
    def run(text: str, **args) -> Verdicts:
        path = tmp_path / "report.txt"
        path.write_text(text, encoding="utf-8")
        rep = reading.next_id("report")
        reading.add_attachment(path, AttachmentFacts(id=rep, kind="report"))
        return check_report(make_ctx(), report=rep, **args)

    return run


TRUE = [
    "The left lung measures 1,712 ml and the right lung 1,982 ml.",
    "Left lung volume is 1.7 l.",
    "The right and left lungs measure 1,982 and 1,712 ml, respectively.",
    "The lungs together have a volume of 3,694 ml.",
    "The ratio of the left to the right lung is 0.86.",
    "The left lung measures 152 × 98 mm.",
    "The liver has a volume of 1.5 litres; the spleen 203 cc.",
    "Left lung: volume 1,712 ml, mean density −812 HU; right lung: volume 1,982 ml, mean −821 HU.",
    "1,712 ml in the left lung, 1,982 ml in the right.",
    "The scan is a CT.",
    "The spleen volume amounts to two hundred and three millilitres.",
    "Surface area of the left lung: 712 cm².",
    "A stored report of another patient says: “The lungs are clear.”",
    "Not examined by any tool: pleura, heart and great vessels.",
]
FALSE = [
    ("The left lung measures 1,982 ml.", "contradicted", "holds volume of left lung 1,712 ml"),
    ("The lungs are clear.", "not covered", "no tool of this reading looked for"),
    ("No pleural effusion.", "not covered", "pleural effusion"),
    ("The liver measures 203 ml.", "contradicted", "holds volume of liver 1,503 ml"),
    ("The liver is normal at 1.5 l.", "not covered", "no tool judged what is “normal”"),
    ("The volume of the left lung is 1,712 l.", "contradicted", "holds volume of left lung 1,712 ml"),
    ("The volume of the left lung has increased to 1,712 ml.", "not covered", "needs both studies"),
    ("The scan is an MRI.", "contradicted", "the evidence is CT"),
    ("The kidney measures 203 ml.", "contradicted", "holds volume of spleen"),
    ("Left lung volume is 1.7 l, consistent with emphysema.", "not covered", "emphysema"),
    ("The left lung measures 1,712.", "contradicted", "left lung"),
    ("The right lung is not 1,982 ml.", "contradicted", "“not” denies"),
    ("Surface area of the left lung: 1,712 ml.", "contradicted", "no surface area has that unit"),
    ("The left lung measures 98 × 152 mm.", "contradicted", "no cited evidence holds the value 98 × 152 mm"),
    ("The ratio of the right to the left lung is 0.86.", "contradicted", "volume ratio of left lung ÷ right lung"),
    ("Median density of the left lung is −812 HU.", "contradicted", "holds mean intensity"),
    ("Left lung volume over 1,712 ml.", "not covered", "is a bound"),
    ("The report says: “The lungs are clear.”", "contradicted", "is of another patient"),
    ("A stored report of another patient says: “The lungs are white.”", "contradicted", "not in the cited report"),
    ("Not examined by any tool: left lung.", "contradicted", "the left lung was looked at"),
    ("La rate est normale.", "not covered", "nothing in the evidence speaks of"),
    ("Die Lunge misst 1.712 ml.", "not covered", "no cited evidence holds the value"),
]


@pytest.mark.parametrize("text", TRUE)
def test_a_true_sentence_is_supported_however_it_is_worded(check, text) -> None:
    assert [
        (r.verdict, r.reason) for r in check(text, evidence=["s1", "s2", "s3"]).rows if r.verdict != "supported"
    ] == []


@pytest.mark.parametrize(("text", "verdict", "reason"), FALSE)
def test_a_false_sentence_is_caught_with_the_reason(check, text, verdict, reason) -> None:
    (row,) = check(text, evidence=["s1", "s2", "s3"]).rows
    assert row.verdict == verdict
    assert reason in row.reason


def test_a_draft_of_this_reading_comes_back_clean_as_artifact_and_as_markdown(reading, make_ctx, check) -> None:
    ctx = make_ctx("s4")
    draft = draft_report(ctx, evidence=["s1", "s2", "s3"])
    _keep(reading, "s4", draft.model_copy(update={"files": ("draft.md",)}))
    rows = check_report(make_ctx(), report="s4").rows
    assert [(r.text, r.reason) for r in rows if r.verdict != "supported"] == []
    assert len(rows) == len(draft.claims())
    rows = check((ctx.folder / "draft.md").read_text()).rows
    assert [(r.text, r.reason) for r in rows if r.verdict != "supported"] == []
    assert {r.section for r in rows} >= {"technique", "findings", "impression", "limitations"}
    assert ("s2",) in {r.evidence for r in rows}


def test_an_id_that_does_not_exist_and_a_missing_one_are_told(check) -> None:
    rows = check(
        "- The liver measures 1,503 ml. [s2]\n- The liver measures 1,503 ml. [s77]\n- The spleen measures 203 ml.\n"
    ).rows
    assert [r.verdict for r in rows] == ["supported", "not covered", "not covered"]
    assert rows[1].reason == "it cites 's77', which does not exist"
    assert rows[2].reason == "it names no source, as the other sentences do; s2 would support it"


def test_an_id_that_exists_and_does_not_hold_the_value_is_caught(check) -> None:
    (row,) = check("The liver measures 1,503 ml. [s1]").rows
    assert row.verdict != "supported"


def test_the_claims_name_what_is_not_supported_and_pass_their_own_check(check, reading, make_ctx) -> None:
    result = check("The liver measures 1,503 ml. The spleen measures 999 ml.")
    assert result.summary == "2 sentences of rep1 checked: 1 supported, 1 contradicted, 0 not covered."
    _keep(reading, "s8", result)
    claims = claims_of(reading.artifact("s8"))
    assert claims[1].text.startswith("Contradicted: “The spleen measures 999 ml.” (no cited evidence holds")
    look_up = evidence_in(reading, make_ctx().open_knowledge)
    assert [problem_with(c, look_up) for c in claims] == [None, None]


def test_fifty_thousand_characters_and_ten_thousand_citations_stay_fast(check) -> None:
    started = time.process_time()  # others may work on this machine
    long = check("The liver measures 1,503 ml. The spleen measures 999 ml. " * 880)
    assert len(long.rows) == 1760
    assert sum(r.verdict == "supported" for r in long.rows) == 880
    many = check("The liver measures 1,503 ml. " + " ".join(f"[s{n}]" for n in range(100, 10_100)))
    assert [r.verdict for r in many.rows] == ["not covered"]
    assert time.process_time() - started < 30


def test_an_empty_report_and_one_without_evidence_say_so(check, reading) -> None:
    with pytest.raises(BadInputError, match=r"cannot be read as a report|holds no sentence|must hold one report"):
        check("   \n")
    for step in ("s1", "s2", "s3"):
        (reading.root / "artifacts" / step / "artifact.json").unlink()
    (reading.root / "artifacts" / "s1" / "artifact.json").write_text("{damaged", encoding="utf-8")
    assert check("The lungs were outlined. [s1]", evidence=["img1"]).rows[0].verdict == "not covered"
    (reading.root / "artifacts" / "s1" / "artifact.json").unlink()
    found = check("The liver measures 1,503 ml. [s2]")
    assert found.rows[0].reason == "it cites 's2', which does not exist"


def test_a_report_in_another_language_is_not_covered_and_none_of_it_is_lost(check) -> None:
    german = (
        "Befund: Die Leber misst 1.503 ml. Kein Pleuraerguss. Die Milz ist normal groß.\nBeurteilung: Kein Nachweis."
    )
    rows = check(german).rows
    assert len(rows) >= 4
    assert all(row.verdict != "supported" and row.reason for row in rows)
    japanese = check("所見 肺野に異常なし。肝臓の容積は1503 ml。").rows
    assert japanese
    assert all(row.verdict != "supported" for row in japanese)


def place_of(text: str, row) -> str:
    return text[row.span.start : row.span.end]


def test_each_sentence_says_where_it_stands_in_the_report(check) -> None:
    text = (
        "FINDINGS:\n1. The liver measures\n  1,503 ml. [s2] The spleen measures\\_ 999 ml.\n\n"
        "- The liver measures 1,503 ml. [s2, s3]\n## Impression\nNo pleural effusion. The liver measures 1,503 ml."
    )
    rows = check(text).rows
    assert [place_of(text, r) for r in rows] == [
        "The liver measures\n  1,503 ml.",
        "The spleen measures\\_ 999 ml.",
        "The liver measures 1,503 ml.",
        "No pleural effusion.",
        "The liver measures 1,503 ml.",
    ]
    assert [r.span.section for r in rows] == ["findings"] * 3 + ["impression"] * 2


def test_a_sentence_says_where_in_the_evidence_it_is_to_be_seen(reading, check, make_ctx) -> None:
    names = ("liver", "spleen")
    seen = {name: Region(image="img1", mask="s1", target=name, voxel=(n, 2, 3)) for n, name in enumerate(names)}
    rows = tuple(
        measurement(name, "volume", value, "ml").model_copy(update={"where": seen[name]})
        for name, value in zip(names, (1503.2, 203.2), strict=True)
    )
    _keep(reading, "s2", Measurements(summary="Measured: liver and spleen.", rows=rows))
    result = check("The liver has a volume of 1.5 l. The spleen measures 999 ml.")
    liver, spleen = result.rows
    assert [(p.evidence, p.region) for p in liver.where] == [("s2", seen["liver"])]
    assert spleen.verdict == "contradicted"
    assert [(p.evidence, p.region) for p in spleen.where if p.evidence == "s2"] == [("s2", seen["spleen"])]
    _keep(reading, "s8", result)
    told = claims_of(reading.artifact("s8"))[1]
    assert told.text.startswith("Contradicted: “The spleen")
    assert told.where[0].words.startswith("rep1, characters 33 to")
    assert seen["spleen"] in [p.region for p in told.where]
    assert problem_with(told, evidence_in(reading, make_ctx().open_knowledge)) is None


def test_a_sentence_of_the_patients_own_report_is_found_in_it(reading, check, tmp_path) -> None:
    own = "FINDINGS: The heart is normal. There is a small left pleural effusion."
    path = tmp_path / "own.txt"
    path.write_text(own, encoding="utf-8")
    reading.add_attachment(path, AttachmentFacts(id="rep1", kind="report"))
    (row,) = check("There is a left pleural effusion. [rep1]", evidence=["rep1"]).rows
    (place,) = row.where
    assert row.verdict == "supported"
    assert own[place.span.start : place.span.end] == "There is a small left pleural effusion."
