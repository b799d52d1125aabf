"""Measures answers on made readings whose truth is known, beside baselines that cannot know it.

A file has one made reading a line: what was measured, scored and not found, reports of other patients, and what is
asked for, some of which nobody looked at. What is measured:

valid evidence      share of sentences that their evidence supports
numeric fidelity    share of sentences with numbers whose numbers all equal the truth
contradictions      share of sentences that the evidence contradicts
abstention          mean of two shares: what was looked at is answered, what was not is not
chrF                likeness to a plain reference text (sacrebleu)
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.errors import ConfigError
from knowledge.errors import NotFoundError
from tools.claims import readable, shown
from tools.contract import TextModel, ToolContext
from tools.drafting.wording import UNWORDED
from tools.errors import ToolError
from tools.facts import AttachmentFacts
from tools.grounding import Evidence, judge
from tools.grounding.evidence import names_of
from tools.grounding.figures import number_problems
from tools.grounding.lookup import evidence_in
from tools.grounding.passages import passages_of
from tools.grounding.statement import read_statement
from tools.grounding.structures import expand
from tools.results import (
    Claim,
    Draft,
    Hits,
    LabelScore,
    MaskEntry,
    Masks,
    Measurement,
    Measurements,
    ReportHit,
    Scores,
    ToolResult,
)
from tools.workspace import Artifact, Provenance, Workspace

if TYPE_CHECKING:
    from knowledge.search import Knowledge

_TYPICAL_ML = {"lung_left": 1750, "lung_right": 2050, "liver": 1500, "spleen": 200, "kidney_left": 150,
               "kidney_right": 150, "brain": 1300, "aorta": 180, "stomach": 350, "pancreas": 80}  # fmt: skip
"""Round figures of adults, for the baseline that does not look."""


class Row(BaseModel):
    """One true value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str
    quantity: str
    value: float
    unit: str = ""


class AnswerCase(BaseModel):
    """One made reading."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    rows: tuple[Row, ...] = Field(min_length=1)
    scores: tuple[LabelScore, ...] = ()
    not_found: tuple[str, ...] = ()
    foreign: dict[str, str] = Field(default_factory=dict)
    """Report of another patient → its sentence."""
    asked: tuple[str, ...] = Field(min_length=1)
    """Targets and labels; those without row or score were looked at by nobody."""


@dataclass
class Figures:
    """What one system reached over all cases."""

    system: str
    sentences: int = 0
    supported: int = 0
    contradicted: int = 0
    with_numbers: int = 0
    faithful: int = 0
    answered: list[bool] = field(default_factory=list)
    abstained: list[bool] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    failures: int = 0
    """Cases that the system gave no text for, or that its model was to word and did not."""

    def to_json(self) -> dict[str, Any]:
        """Return the figures; None where nothing was there to measure."""
        return {
            "system": self.system,
            "sentences": self.sentences,
            "valid_evidence": _share(self.supported, self.sentences),
            "numeric_fidelity": _share(self.faithful, self.with_numbers),
            "contradictions": _share(self.contradicted, self.sentences),
            "abstention": _mean(
                [_share(sum(self.answered), len(self.answered)), _share(sum(self.abstained), len(self.abstained))]
            ),
            "chrf": _chrf(self.texts, self.references),
            "failures": self.failures,
        }


def read_answer_cases(path: Path) -> list[AnswerCase]:
    """Read a file of cases.

    Raises:
        ConfigError: a line is no case; says which and why.
    """
    cases = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            cases.append(AnswerCase.model_validate_json(line))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "line"
            raise ConfigError(f"{path.name}, line {number}: {where}: {first['msg']}") from None
    if not cases:
        raise ConfigError(f"{path.name} holds no case")
    return cases


def evaluate_answers(path: Path, llm: TextModel | None = None) -> list[Figures]:
    """Measure Reading Room and the baselines on a file of cases.

    Args:
        path: the file.
        llm: an endpoint's model that can write: words the drafts, and answers without tools as one more baseline.
    """
    cases = read_answer_cases(path)
    with tempfile.TemporaryDirectory() as folder:
        made = [MadeCase(case, Path(folder) / str(number)) for number, case in enumerate(cases)]
        drafts = [list(case.drafted(None).claims()) for case in made]
        figures = [_measure("reading room", made, drafts)]
        if llm is not None and llm.can_write:
            worded = [case.drafted(llm) for case in made]
            figures.append(_measure(f"reading room, worded by {llm.name}", made, [list(d.claims()) for d in worded]))
            figures[-1].failures = sum(any(t.startswith(UNWORDED) for t in d.thrown_away) for d in worded)
        figures.append(_measure("shuffled evidence", made, [*drafts[1:], drafts[0]]))
        figures.append(_measure("image-blind", made, [list(_blind(case.case)) for case in made]))
        if llm is not None and llm.can_write:
            figures.append(
                _measure(f"{llm.name} without tools", made, [_without_tools(case.case, llm) for case in made])
            )
    return figures


class MadeCase:
    """A case as a reading on disk."""

    def __init__(self, case: AnswerCase, folder: Path) -> None:
        self.case = case
        self.workspace = Workspace(folder)
        _add_image(self.workspace, folder)
        for step, result in _results(case):
            made = Provenance(tool="made", tool_version="0", params={}, inputs=())
            data = result.model_dump(mode="json")
            artifact = Artifact(id=step, kind=result.kind, summary=result.summary, data=data, provenance=made)
            self.workspace.add_artifact(artifact)
        self.look_up = evidence_in(self.workspace, self._store)
        self.steps = [a.id for a in self.workspace.artifacts()]

    def drafted(self, llm: TextModel | None) -> Draft:
        """Return a draft of this reading."""
        from tools.testing import NoModel
        from tools.verbs.draft_report import draft_report

        context = ToolContext(
            workspace=self.workspace, step_id="s9", hub=SimpleNamespace(cards=()), open_knowledge=self._store,  # type: ignore[arg-type]  # no model is asked
            open_llm=lambda: llm or NoModel(),
        )  # fmt: skip
        return draft_report.function(context, evidence=self.steps)  # type: ignore[return-value]  # a Draft

    def evidence(self) -> list[Evidence]:
        """Return everything that this patient's sentences may rest on."""
        return [e for i in self.steps if (e := self.look_up(i)) is not None]

    def _store(self) -> Knowledge:
        def report(report_id: str) -> SimpleNamespace:
            if report_id not in self.case.foreign:
                raise NotFoundError(f"no report {report_id!r}")
            return SimpleNamespace(text=f"FINDINGS: {self.case.foreign[report_id]}", source="made")

        return SimpleNamespace(report=report)  # type: ignore[return-value]  # all that a draft asks of it


def _add_image(workspace: Workspace, folder: Path) -> None:
    """Attach the image that the made results are said to be of; nobody looks at its voxels."""
    import numpy as np

    from tools.imaging.nifti import write_nifti
    from tools.imaging.volume import Volume

    volume = Volume(np.zeros((2, 2, 2), np.int16), np.eye(4), modality="CT")
    write_nifti(folder / "made.nii.gz", volume.array, volume)
    workspace.add_attachment(folder / "made.nii.gz", AttachmentFacts(id="img1", dims=3))


def _results(case: AnswerCase) -> Iterator[tuple[str, ToolResult]]:
    rows = tuple(
        Measurement(
            target=r.target, quantity=r.quantity, value=r.value, unit=r.unit, image="img1", mask="s1",
            spacing_source="made", method="made",
        )
        for r in case.rows
    )  # fmt: skip
    entries = [MaskEntry(target=t, file="made", voxels=1) for t in dict.fromkeys(r.target for r in case.rows)]
    entries += [MaskEntry(target=t, file="made", voxels=0) for t in case.not_found]
    yield "s1", Masks(summary="Structures were outlined.", image="img1", masks=tuple(entries))
    yield "s2", Measurements(summary="Structures were measured.", rows=rows)
    if case.scores:
        yield "s3", Scores(summary="Findings were scored.", image="img1", rows=case.scores)
    if case.foreign:
        hits = tuple(
            ReportHit(report_id=i, section="findings", sentence=s, start=10, end=10 + len(s), score=1.0, why="made")
            for i, s in case.foreign.items()
        )
        yield "s4", Hits(summary="Reports of other patients match.", query="made", hits=hits)


def _measure(system: str, made: Sequence[MadeCase], answers: Sequence[Sequence[Claim] | None]) -> Figures:
    figures = Figures(system)
    for case, claims in zip(made, answers, strict=True):
        figures.failures += claims is None
        _count(figures, case, claims or ())
        figures.texts.append(" ".join(c.text for c in claims or ()) or " ")
        figures.references.append(" ".join(_reference(case.case)))
    return figures


def _count(figures: Figures, made: MadeCase, claims: Sequence[Claim]) -> None:
    everything = made.evidence()
    for claim in claims:
        if claim.kind == "general":
            continue
        cited = [made.look_up(i) for i in claim.evidence]
        found = [e for e in cited if e is not None] if claim.evidence else everything
        figures.sentences += 1
        if None in cited or not found:
            continue
        judged = judge(claim.text, found, claim.kind)
        figures.supported += judged.verdict == "supported"
        figures.contradicted += judged.verdict == "contradicted"
        statement = read_statement(claim.text, names_of(found))
        if statement.numbers and not statement.quotes:
            figures.with_numbers += 1
            figures.faithful += not list(number_problems(statement, everything))
    known = {r.target for r in made.case.rows} | {s.label for s in made.case.scores} | set(made.case.not_found)
    for name in made.case.asked:
        speaks = _speaks_of(claims, name, scored=any(s.label == name for s in made.case.scores))
        (figures.answered if name in known else figures.abstained).append(speaks is (name in known))


def _speaks_of(claims: Sequence[Claim], name: str, *, scored: bool) -> bool:
    """Return whether a sentence about this patient states anything of a structure or finding."""
    words = readable(name).lower()
    for claim in claims:
        if claim.kind in ("not examined", "quoted", "general"):
            continue
        named = [n for s in read_statement(claim.text, {words: name}).structures for n in s.names]
        if name in named or (named and expand([name]) <= expand(named)):
            return True
        if scored and claim.kind == "model score" and claim.text.startswith(("No ", "None ")):
            return True  # "No other finding reaches its operating point" speaks of all that were scored
    return False


def _reference(case: AnswerCase) -> Iterator[str]:
    for row in case.rows:
        quantity = row.quantity.replace("_", " ").capitalize()
        yield f"{quantity} of the {readable(row.target)}: {shown(row.value, row.unit)}."
    for score in case.scores:
        where = "reaches" if score.above else "does not reach"
        yield f"The score for {score.label} {where} its operating point."


def _blind(case: AnswerCase) -> Iterator[Claim]:
    """Answer without looking: typical values, and the commonest finding, which is none."""
    for name in case.asked:
        if name in _TYPICAL_ML:
            text = f"Volume of the {readable(name)}: {_TYPICAL_ML[name]:,} ml."
            yield Claim(text=text, evidence=("s2",), kind="measured")
        else:
            yield Claim(text=f"No {readable(name)}.", evidence=("s2",), kind="described")


def _without_tools(case: AnswerCase, llm: TextModel) -> list[Claim] | None:
    from prompts import load

    prompt = load("answer_without_tools").render(asked=json.dumps([readable(name) for name in case.asked]))
    try:
        text = llm.complete(prompt, max_tokens=400)
    except ToolError:
        return None
    return [Claim(text=p.text, kind="described", evidence=("s2",)) for p in passages_of(text)]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(values: Sequence[float | None]) -> float | None:
    there = [v for v in values if v is not None]
    return sum(there) / len(there) if there else None


def _chrf(texts: Sequence[str], references: Sequence[str]) -> float | None:
    try:
        from sacrebleu.metrics.chrf import CHRF
    except ImportError:
        return None
    score: Callable[..., Any] = CHRF().corpus_score
    return float(score(list(texts), [list(references)]).score)
