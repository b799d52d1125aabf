"""draft_report: findings and impression composed from evidence. Nothing is claimed that no tool looked at.

The draft is composed from templates in the order radiologists use; an LLM endpoint that writes well may reword it under
the same verification. What stored reports lend is their style, never their findings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from knowledge.errors import KnowledgeError
from tools.claims import claims_of, quotes
from tools.contract import AnyRef, Cost, SeeingModel, ToolContext, tool
from tools.drafting.regions import Region, in_reading_order, region_of
from tools.drafting.seeing import Look, opinions
from tools.drafting.style import Style, style_of, styled
from tools.drafting.wording import unworded, worded
from tools.errors import BadInputError, NotFoundError, UnavailableError, UnsupportedError
from tools.examples import examples_of
from tools.grounding import LookUp, evidence_in, problem_with
from tools.grounding.structures import expand
from tools.results import Claim, Draft, Hits
from tools.sources import Source, sources_of
from tools.verbs.draft_markdown import as_markdown
from tools.workspace import Artifact, write_atomically

MAX_QUOTES = 5
MAX_IMPRESSION = 4
OWN_OPINIONS = "draft_report: what a language model that reads pictures said it sees; no tool measured it"
_LOOK_FOR_DISEASE = ("scores", "boxes", "text")
_NOT_FINDINGS = ("hits", "report", "description", "verdicts", "files", "transform", "image", "mesh", "figure")


@dataclass
class _Making:
    """A draft in the making."""

    ctx: ToolContext
    artifacts: list[Artifact]
    look_up: LookUp
    notes: list[str] = field(default_factory=list)
    held_back: list[str] = field(default_factory=list)
    thrown_away: list[str] = field(default_factory=list)

    def verified(self, claims: Iterable[Claim]) -> list[Claim]:
        """Return the sentences that their evidence supports; the others are held back, and said so."""
        kept = []
        for claim in claims:
            problem = problem_with(claim, self.look_up)
            if problem is None:
                kept.append(claim)
            else:
                self.held_back.append(f"{claim.text} — held back: {problem}")
        return kept


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
    making = _Making(ctx, artifacts, evidence_in(ctx.workspace, ctx.open_knowledge))
    region = _region(making)
    findings = making.verified(_said_once(c for a in artifacts for c in _findings(a)))
    findings = in_reading_order(findings, region, _names(artifacts))
    findings, worded_by = _written(making, findings)
    seen = _opinions(making, region)
    draft = Draft(
        summary=_summary(findings),
        technique=tuple(making.verified(_technique(making))),
        findings=(*findings, *seen),
        impression=tuple(_impression(findings, artifacts)),
        similar=tuple(making.verified(_similar(artifacts))),
        limitations=tuple(_said_once(_limitations(making, region))),
        worded_by=worded_by,
        held_back=tuple(making.held_back),
        thrown_away=tuple(making.thrown_away),
        files=("draft.md",),
        notes=tuple(making.notes),
    )
    write_atomically(ctx.folder / "draft.md", as_markdown(draft, _cited(ctx, draft)))
    return draft


def _cited(ctx: ToolContext, draft: Draft) -> dict[str, list[tuple[Claim, Source]]]:
    """Return per evidence id the sentences that cite it."""
    found: dict[str, list[tuple[Claim, Source]]] = {}
    for claim in draft.claims():
        if claim.evidence == (ctx.step_id,):
            own = Source(id=ctx.step_id, kind="result", of="report", title=OWN_OPINIONS, places=claim.where)
            found.setdefault(own.id, []).append((claim, own))
            continue
        for source in sources_of(claim, ctx.workspace):
            found.setdefault(source.id, []).append((claim, source))
    return found


def _findings(artifact: Artifact) -> Iterable[Claim]:
    if artifact.kind in _NOT_FINDINGS:
        return ()
    if artifact.kind == "mask":
        return [c for c in claims_of(artifact) if "not found" in c.text]
    return claims_of(artifact)


def _said_once(claims: Iterable[Claim]) -> list[Claim]:
    """Return claims without repeats: what several steps say in the same words is said once, with all of them."""
    found: dict[str, Claim] = {}
    for claim in claims:
        before = found.get(claim.text, claim)
        evidence = tuple(dict.fromkeys((*before.evidence, *claim.evidence)))
        found[claim.text] = before.model_copy(update={"evidence": evidence})
    return list(found.values())


def _technique(making: _Making) -> Iterable[Claim]:
    for image in _images(making.ctx, making.artifacts):
        try:
            volume = making.ctx.workspace.volume(image)
        except (BadInputError, NotFoundError):
            making.held_back.append(f"What {image} is — held back: its file is gone or cannot be read any more")
            continue
        size = " × ".join(str(n) for n in volume.shape[: volume.dims])
        what = volume.modality or "Image of unknown modality"
        if volume.spacing_source:
            space = " × ".join(f"{mm:.2f}" for mm in volume.spacing_mm[: volume.dims]) + " mm"
        else:
            space = "no physical spacing"
        yield Claim(text=f"{what}, {size} voxels, {space}.", evidence=(image,), kind="described")
    for artifact in making.artifacts:
        if artifact.kind == "mask":
            yield next(iter(claims_of(artifact)))


def _images(ctx: ToolContext, artifacts: Sequence[Artifact]) -> list[str]:
    facts = ctx.workspace.facts()
    inputs = [i for a in artifacts for i in (*a.provenance.inputs, str(a.data.get("image", "")))]
    return [i for i in dict.fromkeys(inputs) if i in facts and facts[i].kind == "image"]


def _impression(findings: Sequence[Claim], artifacts: Sequence[Artifact]) -> Iterable[Claim]:
    """Models' scores and comparisons first, then what was measured; last, what this does not say."""
    first = [c for c in findings if c.kind in ("model score", "model opinion")]
    measured = [c for c in findings if c.kind == "measured"]
    yield from (first + measured)[:MAX_IMPRESSION]
    if any(a.kind in _LOOK_FOR_DISEASE for a in artifacts):
        text = "No tool of this reading looked for any further disease, so none is stated or excluded."
    else:
        text = "These are measurements only: no tool in this reading looked for disease, so none is stated or excluded."
    yield Claim(text=text, kind="not examined")


def _similar(artifacts: Sequence[Artifact]) -> Iterable[Claim]:
    for artifact in artifacts:
        if artifact.kind == "hits":
            yield from quotes(Hits.model_validate(artifact.data), artifact)[:MAX_QUOTES]


def _limitations(making: _Making, region: Region | None) -> Iterable[Claim]:
    if unseen := _unseen(making, region):
        yield Claim(text=f"Not examined by any tool: {', '.join(unseen)}.", kind="not examined")
    for artifact in making.artifacts:
        if artifact.kind != "hits":
            for note in dict.fromkeys(artifact.data.get("notes", [])):
                yield Claim(text=str(note), evidence=(artifact.id,), kind="general")


def _unseen(making: _Making, region: Region | None) -> list[str]:
    """Return the parts of the region's report that no tool looked at."""
    names = _names(making.artifacts)
    looked_at = expand(names) | set(names)
    shown = region.shown_by(_modality(making)) if region else ()
    return [s.name for s in shown if not any(s.holds(n) for n in looked_at)]


def _opinions(making: _Making, region: Region | None) -> tuple[Claim, ...]:
    """Let an endpoint that reads pictures say what it sees of what no tool looked at; marked as its opinion."""
    llm, images, parts = making.ctx.open_llm(), _images(making.ctx, making.artifacts), _unseen(making, region)
    try:
        if not images or not parts or not isinstance(llm, SeeingModel) or not llm.sees_images:
            return ()
        making.ctx.progress(0.7, f"{llm.name} looks at {images[0]}")
        look = Look(llm, images[0], making.ctx.workspace.volume(images[0]), making.ctx.step_id)
        made = opinions(look, parts)
    except (BadInputError, NotFoundError, UnavailableError, UnsupportedError) as error:
        making.thrown_away.append(f"The opinions of a language model that reads pictures — held back: {error}")
        return ()
    making.thrown_away += made.held_back
    making.notes += made.notes
    return made.claims


def _names(artifacts: Sequence[Artifact]) -> list[str]:
    """Return the targets and labels that were looked at."""
    from tools.grounding.evidence import declared_by

    found: list[str] = []
    for artifact in artifacts:
        if (declared := declared_by(artifact)) is not None:
            found += [*declared.found, *declared.not_found]
    return list(dict.fromkeys(found))


def _region(making: _Making) -> Region | None:
    """Take the region from the header; where that is silent, from the structures that were looked at."""
    facts = making.ctx.workspace.facts()
    parts = [facts[i].body_part for i in _images(making.ctx, making.artifacts) if facts[i].body_part]
    return region_of(parts[0] if parts else "", _names(making.artifacts), _modality(making))


def _modality(making: _Making) -> str:
    """Return the modality of the images; empty where they have several."""
    facts = making.ctx.workspace.facts()
    modalities = {facts[i].modality for i in _images(making.ctx, making.artifacts)}
    return modalities.pop() if len(modalities) == 1 else ""


def _summary(findings: Sequence[Claim]) -> str:
    count = len(findings)
    return f"A draft with {count} finding{'' if count == 1 else 's'} was written; research use, to be read by a person."


def _written(making: _Making, claims: list[Claim]) -> tuple[list[Claim], str]:
    """Write the sentences in the style of similar reports; let an LLM that writes well reword them."""
    style = _style(making)
    if style.reports:
        making.notes.append(
            f"style after {style.reports} similar reports: {style.words}; none of their findings is taken"
        )
        changed = [styled(c, style) for c in claims]
        claims = [n if problem_with(n, making.look_up) is None else c for c, n in zip(claims, changed, strict=True)]
    llm = making.ctx.open_llm()
    try:
        if not llm.can_write or not claims:
            return claims, "template"
        making.ctx.progress(0.2, f"{llm.name} words the draft")
    except UnavailableError as error:
        making.thrown_away.append(unworded(error))
        return claims, "template"
    written, thrown_away = worded(llm, claims, style.words, making.look_up)
    making.thrown_away += thrown_away
    return written, llm.name if written != claims else "template"


def _style(making: _Making) -> Style:
    ids = [h.report_id for a in making.artifacts if a.kind == "hits" for h in Hits.model_validate(a.data).hits]
    texts = []
    for report_id in dict.fromkeys(ids):
        try:
            texts.append(making.ctx.open_knowledge().report(report_id).text)
        except KnowledgeError:
            continue
    return style_of(texts)
