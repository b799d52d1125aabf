"""Finds what an evidence id holds: an attachment, a step's result, or a stored report of another patient."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from knowledge.errors import KnowledgeError, NotFoundError
from tools.errors import ToolError
from tools.facts import AttachmentFacts
from tools.grounding.evidence import Assertion, Declared, Evidence, LookUp, Quantity, declared_by
from tools.grounding.lexicon import lexicon
from tools.grounding.numbers import numbers_in, texts_in

if TYPE_CHECKING:
    from knowledge.search import Knowledge
    from tools.workspace import Artifact, Workspace

_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_UNIT_SUFFIXES = {"_mm": "mm", "_ml": "ml", "_hu": "HU", "_cm2": "cm2", "_mm2": "mm2", "_percent": "%", "_s": "s"}


def evidence_in(workspace: Workspace, open_knowledge: Callable[[], Knowledge]) -> LookUp:
    """Return a look-up of what an evidence id holds; each id is read once."""
    known: dict[str, Evidence | None] = {}

    def look_up(evidence_id: str) -> Evidence | None:
        if evidence_id not in known:
            known[evidence_id] = _find(workspace, open_knowledge, evidence_id)
        return known[evidence_id]

    return look_up


def _find(workspace: Workspace, open_knowledge: Callable[[], Knowledge], evidence_id: str) -> Evidence | None:
    if evidence_id in (facts := workspace.facts()):
        return _of_attachment(workspace, facts[evidence_id])
    if re.fullmatch(r"s\d+", evidence_id) and workspace.has_artifact(evidence_id):
        try:
            return of_artifact(workspace.artifact(evidence_id), workspace.facts())
        except ValueError:
            return None  # its file was damaged since: as good as deleted
    if re.fullmatch(r"(?:s|img|mask|rep)\d+", evidence_id):
        return None
    try:
        report = open_knowledge().report(evidence_id)
    except (NotFoundError, KnowledgeError):
        return None
    return Evidence(text=report.text, id=evidence_id, source="other report", kind="report")


def of_artifact(artifact: Artifact, facts: Mapping[str, AttachmentFacts]) -> Evidence:
    """Return what a step's result holds."""
    from tools.claims import claims_of

    declared = declared_by(artifact) or Declared(is_complete=False)
    data = {"summary": artifact.summary, "data": artifact.data}
    images = tuple(i for i in dict.fromkeys((*artifact.provenance.inputs, *_ids_in(artifact.data))) if i in facts)
    images += tuple(i for m in images if (i := facts[m].of) and i not in images)
    read = () if declared.is_complete else tuple(quantities_in(data))
    listed = [len(v) for v in artifact.data.values() if isinstance(v, list)]
    counts = tuple(
        Quantity(float(n), "", (), "count") for n in (listed if declared.counts is None else declared.counts)
    )
    said = [artifact.summary, *map(str, artifact.data.get("notes", ()))]
    said += [c.text for c in claims_of(artifact) if c.kind != "quoted"]
    return Evidence(
        quantities=(*declared.quantities, *read, *counts),
        text=declared.text,
        id=artifact.id,
        declared=declared.is_complete,
        assertions=declared.assertions,
        statements=tuple(said),
        said=tuple(quantities_in([artifact.summary, *map(str, artifact.data.get("notes", ()))])),
        words=words_in(data)
        | words_in([artifact.provenance.tool, artifact.provenance.params])
        | words_in([t for i in images for t in (facts[i].view, facts[i].body_part)]),
        found=declared.found,
        not_found=declared.not_found,
        images=tuple(i for i in images if facts[i].kind == "image"),
        modalities=frozenset(facts[i].modality for i in images if facts[i].modality),
        sequences=(*sequences_in(artifact.data), *declared.sizes),
        kind=artifact.kind,
        is_opinion="opinion" in artifact.marks,
        trends=declared.trends,
        dates=declared.dates,
        ratings=declared.ratings,
        boxed=declared.boxed,
        in_order=declared.in_order,
        is_change=declared.is_change or sum(facts[i].kind == "image" for i in images) > 1,
    )


def _of_attachment(workspace: Workspace, facts: AttachmentFacts) -> Evidence:
    if facts.kind == "report":
        return _of_report(workspace, facts.id)
    data: dict[str, Any] = {"facts": facts.model_dump(mode="json")}
    if facts.kind == "image":
        from tools.imaging.geometry import describe_geometry

        try:
            data["geometry"] = describe_geometry(workspace.volume(facts.id))
        except (ToolError, OSError):
            data["geometry"] = {}  # the file was deleted since: what is known of it without its voxels stays
    return Evidence(
        quantities=tuple(quantities_in(data)),
        id=facts.id,
        source="attachment",
        words=words_in(data),
        found=(facts.label,) if facts.label else (),
        images=(facts.id,) if facts.kind == "image" else (),
        modalities=frozenset({facts.modality} if facts.modality else ()),
        sequences=tuple(sequences_in(data)),
        kind=facts.kind,
    )


def _of_report(workspace: Workspace, report_id: str) -> Evidence:
    try:
        text = workspace.report_text(report_id)
    except ToolError:
        text = ""
    return of_report(report_id, text)


def of_report(report_id: str, text: str) -> Evidence:
    """Return what a report of this patient holds: its assertions, and the sizes that it states."""
    stated = tuple(q for sentence in sentences_of(text) for q in _stated(sentence))
    return Evidence(
        quantities=stated,
        text=text,
        id=report_id,
        source="own report",
        kind="report",
        assertions=tuple(assertions_of(text)),
        words=words_in([text]),
        found=tuple(dict.fromkeys(t for q in stated for t in q.targets)),
    )


def _stated(sentence: str) -> Iterator[Quantity]:
    """Yield the numbers of a sentence; what they are of where it names one structure only."""
    from tools.grounding.statement import read_statement

    said = read_statement(sentence)
    names = {n for s in said.structures for n in s.names}
    targets = tuple(names) if len(said.structures) == 1 and len(names) == 1 else ()
    for number in said.numbers:
        yield Quantity(number.value, number.unit, targets)


def assertions_of(text: str) -> Iterator[Assertion]:
    """Yield what a report of this patient says of each finding, with its side."""
    from knowledge.findings import analyse

    for sentence in sentences_of(text):
        for mention in analyse(sentence).mentions:
            yield Assertion(mention.finding, mention.assertion, "report", sides_of(mention.modifiers), sentence)


def sentences_of(text: str) -> Iterator[str]:
    """Yield the sentences of a report, without its headings."""
    from knowledge.sentences import split_sections, split_sentences

    for section in split_sections(text):
        for span in split_sentences(text, section.start, section.end):
            yield text[span.start : span.end]


def sides_of(modifiers: tuple[str, ...]) -> frozenset[str]:
    """Return the sides among a finding's modifiers; bilateral is both."""
    sides = {m.partition(":")[2] for m in modifiers if m.startswith("laterality:")}
    return frozenset(sides - {"bilateral"} | ({"left", "right"} if "bilateral" in sides else set()))


def _ids_in(data: object) -> Iterator[str]:
    for text in texts_in(data):
        if re.fullmatch(r"(?:img|mask|s)\d+", text):
            yield text


def words_in(data: object) -> frozenset[str]:
    """Return the words of JSON data that a sentence may use."""
    loaded = {w for words in lexicon()["loaded"].values() for w in words}
    words = (w.lower().strip("'-") for text in texts_in(data) for w in _WORD.findall(text.replace("_", " ")))
    return frozenset(w for w in words if w not in loaded)


def sequences_in(data: object, unit: str = "") -> Iterator[tuple[str, tuple[float, ...]]]:
    """Yield every list of two or more numbers in JSON data, with the unit that its key names."""
    if isinstance(data, Mapping):
        for key, item in data.items():
            yield from sequences_in(item, _unit_of(str(key)) or unit)
    elif isinstance(data, list | tuple):
        if len(data) > 1 and all(isinstance(v, int | float) and not isinstance(v, bool) for v in data):
            yield unit, tuple(float(v) for v in data)
        else:
            for item in data:
                yield from sequences_in(item, unit)


def _unit_of(key: str) -> str:
    return next((unit for suffix, unit in _UNIT_SUFFIXES.items() if key.endswith(suffix)), "")


def quantities_in(data: object) -> Iterator[Quantity]:
    """Yield every number in JSON data; measurement rows keep unit and target, strings their numbers."""
    if isinstance(data, bool):
        return
    if isinstance(data, int | float):
        yield Quantity(float(data))
    elif isinstance(data, str):
        for number in numbers_in(data):
            yield Quantity(number.value, number.unit)
    elif isinstance(data, Mapping):
        yield from _quantities_in_mapping(data)
    elif isinstance(data, list | tuple):
        for item in data:
            yield from quantities_in(item)


def _quantities_in_mapping(data: Mapping[object, object]) -> Iterator[Quantity]:
    unit = data.get("unit")
    if isinstance(unit, str) and isinstance(value := data.get("value"), int | float):
        target, name = data.get("target") or data.get("aspect"), data.get("quantity") or data.get("aspect")
        yield Quantity(float(value), unit, (str(target),) if target else (), str(name or ""))
        return
    named = next((data[k] for k in ("target", "label", "structure", "name") if isinstance(data.get(k), str)), None)
    for key, item in data.items():
        suffix = _unit_of(str(key))
        for quantity in quantities_in(item):
            targets = quantity.targets or ((str(named),) if named and not isinstance(item, str) else ())
            yield Quantity(quantity.value, quantity.unit or suffix, targets, quantity.name)
