"""draft_report: findings and impression composed from evidence. Nothing is claimed that no tool looked at.

The draft is composed from templates; an LLM endpoint that writes well may reword it, one sentence at a time, and a
reworded sentence that changes a number, a side or a claim of absence is thrown away in favour of the template's.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from tools.claims import claims_of, quotes
from tools.contract import AnyRef, Cost, TextModel, ToolContext, tool
from tools.errors import BadInputError
from tools.examples import examples_of
from tools.grounding import evidence_in, numbers_in, problem_with
from tools.results import Claim, Draft, Hits, Measurements
from tools.verbs.draft_markdown import as_markdown
from tools.workspace import Artifact, write_atomically

MAX_QUOTES = 5
_LOADED = re.compile(
    r"\b(no|not|without|normal|unremarkable|clear|absent|absence|negative|free|left|right|bilateral)\b", re.I
)


@tool(
    cost=Cost(seconds=1),
    timeout_s=300,
    examples=examples_of("draft_report"),
)
def draft_report(
    ctx: ToolContext,
    evidence: Annotated[
        list[AnyRef], Field(min_length=1, description="results to draft from: masks, measurements, report hits")
    ],
) -> Draft:
    """Draft findings and impression from results of this reading, each sentence with its evidence."""
    artifacts = [ctx.workspace.artifact(i) for i in evidence if i.startswith("s")]
    if not artifacts:
        raise BadInputError(f"evidence must name results of steps, such as 's2', got {evidence!r}; measure first")
    findings = [c for a in artifacts for c in _findings(a)]
    findings, worded_by = _worded(ctx, findings)
    draft = Draft(
        summary=_summary(findings),
        technique=tuple(_technique(ctx, artifacts)),
        findings=tuple(findings),
        impression=tuple(_impression(findings)),
        similar=tuple(_similar(artifacts)),
        limitations=tuple(_limitations(ctx, artifacts)),
        worded_by=worded_by,
        files=("draft.md",),
    )
    write_atomically(ctx.folder / "draft.md", as_markdown(draft))
    return draft


def _findings(artifact: Artifact) -> Iterable[Claim]:
    if artifact.kind in ("hits", "report", "description"):
        return ()
    if artifact.kind == "mask":
        return [c for c in claims_of(artifact) if "not found" in c.text]
    return claims_of(artifact)


def _technique(ctx: ToolContext, artifacts: Sequence[Artifact]) -> Iterable[Claim]:
    for image in _images(ctx, artifacts):
        volume = ctx.workspace.volume(image)
        size = " × ".join(str(n) for n in volume.shape[: volume.dims])
        what = volume.modality or "Image of unknown modality"
        if volume.spacing_source:
            space = " × ".join(f"{mm:.2f}" for mm in volume.spacing_mm[: volume.dims]) + " mm"
        else:
            space = "no physical spacing"
        yield Claim(text=f"{what}, {size} voxels, {space}.", evidence=(image,), kind="described")
    for artifact in artifacts:
        if artifact.kind == "mask":
            yield next(iter(claims_of(artifact)))


def _images(ctx: ToolContext, artifacts: Sequence[Artifact]) -> list[str]:
    facts = ctx.workspace.facts()
    inputs = [i for a in artifacts for i in (*a.provenance.inputs, str(a.data.get("image", "")))]
    return [i for i in dict.fromkeys(inputs) if i in facts and facts[i].kind == "image"]


def _impression(findings: Sequence[Claim]) -> Iterable[Claim]:
    measured = [c for c in findings if c.kind == "measured"]
    yield from measured[:4]
    yield Claim(
        text="These are measurements only: no tool in this reading looked for disease, so none is stated or excluded.",
        kind="not examined",
    )


def _similar(artifacts: Sequence[Artifact]) -> Iterable[Claim]:
    for artifact in artifacts:
        if artifact.kind == "hits":
            yield from quotes(Hits.model_validate(artifact.data), artifact)[:MAX_QUOTES]


def _limitations(ctx: ToolContext, artifacts: Sequence[Artifact]) -> Iterable[Claim]:
    targets = _targets(artifacts)
    region = _region(ctx, artifacts, targets)
    if region:
        unseen = [s["name"] for s in regions()[region]["structures"] if not targets & set(s["targets"])]
        if unseen:
            yield Claim(text=f"Not examined by any tool: {', '.join(unseen)}.", kind="not examined")
    for note in dict.fromkeys(n for a in artifacts if a.kind != "hits" for n in a.data.get("notes", [])):
        yield Claim(text=str(note), kind="general")


def _targets(artifacts: Sequence[Artifact]) -> set[str]:
    found: set[str] = set()
    for artifact in artifacts:
        if artifact.kind == "mask":
            found |= {m["target"] for m in artifact.data["masks"]}
        if artifact.kind == "measurements":
            found |= {row.target for row in Measurements.model_validate(artifact.data).rows}
    return found


def _region(ctx: ToolContext, artifacts: Sequence[Artifact], targets: set[str]) -> str | None:
    """Take the region from the header; where that is silent, from the structures that were found."""
    facts = ctx.workspace.facts()
    for image in _images(ctx, artifacts):
        if facts[image].body_part in regions():
            return facts[image].body_part
    for name, region in regions().items():
        if any(targets & set(s["targets"]) for s in region["structures"][:1]):
            return name
    return None


@cache
def regions() -> dict[str, dict[str, Any]]:
    """Return the body regions with the structures that a report of each speaks of."""
    return tomllib.loads(Path(__file__).with_name("draft_regions.toml").read_text(encoding="utf-8"))


def _summary(findings: Sequence[Claim]) -> str:
    count = len(findings)
    return f"A draft with {count} finding{'' if count == 1 else 's'} was written; research use, to be read by a person."


def _worded(ctx: ToolContext, claims: list[Claim]) -> tuple[list[Claim], str]:
    """Let an LLM that writes well reword sentences; keep the template's where it changes what is said."""
    llm = ctx.open_llm()
    if not llm.can_write or not claims:
        return claims, "template"
    ctx.progress(0.2, f"{llm.name} words the draft")
    texts = _ask(llm, [c.text for c in claims])
    look_up = evidence_in(ctx.workspace, ctx.open_knowledge)
    worded = []
    for claim, text in zip(claims, texts, strict=True):
        new = claim.model_copy(update={"text": text})
        is_same = says_the_same(claim.text, text) and problem_with(new, look_up) is None
        worded.append(new if is_same else claim)
    return worded, llm.name if worded != claims else "template"


def _ask(llm: TextModel, sentences: list[str]) -> list[str]:
    from prompts import load

    count = len(sentences)
    schema = {
        "type": "object",
        "properties": {
            "sentences": {"type": "array", "items": {"type": "string"}, "minItems": count, "maxItems": count}
        },
        "required": ["sentences"],
        "additionalProperties": False,
    }
    prompt = load("word_draft").render(sentences=json.dumps(sentences, ensure_ascii=False))
    answer = llm.complete(prompt, schema=schema, max_tokens=80 * count + 100)
    try:
        worded = json.loads(answer)["sentences"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return sentences
    if not isinstance(worded, list) or len(worded) != count:
        return sentences
    if not all(isinstance(w, str) and w.strip() for w in worded):
        return sentences
    return [" ".join(w.split()) for w in worded]


def says_the_same(original: str, reworded: str) -> bool:
    """Return whether two sentences hold the same numbers and the same words of side, absence and normality."""
    numbers = [sorted(n.text.replace(" ", "") for n in numbers_in(t)) for t in (original, reworded)]
    loaded = [sorted(w.lower() for w in _LOADED.findall(t)) for t in (original, reworded)]
    return numbers[0] == numbers[1] and loaded[0] == loaded[1]
