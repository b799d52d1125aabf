"""What a person says who rejects a plan: "not the left, the right lung", "without the report", "also the diameter".

A comment changes the request (other structures, other quantities, something more) or the plan (a step less). What it
cannot be read as is taken as a request of its own, and the notes say how it was taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.plan import Plan, Step, references
from agent.planner.followups import spoken
from agent.planner.slots import enumerated, targets_in
from agent.planner.text import has_phrase, words

_QUANTITIES = ("volume", "intensity", "diameter", "surface_area", "radiomics", "ratio")
_WITHOUT = re.compile(
    r"\b(?:without|no need for|no|skip|drop|leave out|leave off|omit|remove|except|don't(?: need| want)?|"
    r"do not(?: need| want)?|not)\b\s+(?:(?:the|a|an|any|to|write|make|do|run|include|add)\s+)*(?P<what>[^,.;]+)",
    re.I,
)
_INSTEAD = re.compile(r"\b(?:instead of|rather than|in place of)\b\s+(?:the\s+)?(?P<what>[^,.;]+)", re.I)
_ONLY = re.compile(r"\b(?:only|just|nothing but)\b\s+(?P<what>[^,.;]+)", re.I)
_ALSO = re.compile(r"^\W*(?:and|also|plus|add|too|in addition|as well)\b|\b(?:too|as well|also|in addition)\b", re.I)
_SIDE = re.compile(r"\b(left|right)\b", re.I)


@dataclass(frozen=True)
class Revised:
    """A request after a comment on its plan."""

    request: str
    without: tuple[str, ...] = ()
    """What the comment does without, in its words; `less` takes it out of the plan."""
    only: str = ""
    note: str = ""


def revise(request: str, comment: str) -> Revised:
    """Return the request that a comment makes of another one."""
    replaced = _with_other_structures(request, comment)
    if replaced != request:
        return Revised(replaced, note=f"taken as: {replaced}")
    if found := _ONLY.search(comment):
        return Revised(request, only=found["what"].strip(), note=f"only {found['what'].strip()}, as the comment asks")
    without = tuple(found["what"].strip() for found in _WITHOUT.finditer(comment))
    if without:
        return Revised(request, without, note=f"without {' and '.join(without)}, as the comment asks")
    if _ALSO.search(comment):
        more = f"{request.rstrip(' .')}. {comment.strip()}"
        return Revised(more, note=f"taken as: {more}")
    return Revised(comment.strip(), note=f"the comment was taken as the request: {comment.strip()}")


def less(plan: Plan, revised: Revised) -> Plan | None:
    """Return a plan without what a comment does without, or with only what it names; None: nothing of it was found.

    Steps that cannot do without a step that goes are dropped with it.
    """
    steps = list(plan.steps)
    for what in revised.without:
        steps = _without(steps, what)
    if revised.only:
        steps = _only(steps, revised.only)
    return Plan(steps=tuple(steps)) if steps and steps != list(plan.steps) else None


def _with_other_structures(request: str, comment: str) -> str:
    """Put the structures that a comment means in the place of those that it does not mean."""
    refused = [found["what"] for pattern in (_INSTEAD, _WITHOUT) for found in pattern.finditer(comment)]
    rest = comment
    for what in refused:
        rest = rest.replace(what, " ")
    wanted = targets_in(rest)
    if sides := _other_side(request, comment, refused, rest):
        return sides
    if not wanted or _ALSO.search(comment) or not (targets_in(request)):
        return request
    if not refused and len(comment.split()) > 8:
        return request  # a request of its own
    return _replace(request, " and ".join(map(spoken, wanted)), targets_in(" ".join(refused)))


def _other_side(request: str, comment: str, refused: Sequence[str], rest: str) -> str:
    """Swap the side where a comment names sides and no structure: "not the left, the right"."""
    if targets_in(comment) or not (meant := _SIDE.search(rest)):
        return ""
    said = _SIDE.search(" ".join(refused)) or _SIDE.search(request)
    return re.sub(rf"\b{said[1]}\b", meant[1].lower(), request, flags=re.I) if said else ""


def _replace(request: str, name: str, refused: Sequence[str]) -> str:
    """Put a name where a request names a refused structure, or its first structure where it names none of those."""
    from tools.imaging.anatomy import find_targets

    found = find_targets(request)
    meant = [m for m in found if set(m.targets) & set(refused)] or found
    first = meant[0]
    kept = request[: first.start] + name + request[first.end :]
    return kept if len(meant) == 1 else _drop(kept, [request[m.start : m.end] for m in meant[1:]])


def _drop(text: str, names: Sequence[str]) -> str:
    for name in names:
        text = re.sub(rf"\s*(?:,|and|&|\+)\s*(?:the\s+)?{re.escape(name)}", "", text, count=1)
    return text


def _without(steps: Sequence[Step], what: str) -> list[Step]:
    quantities = enumerated("quantities", _QUANTITIES, what)
    targets = targets_in(what)
    kept: list[Step] = []
    dropped: set[str] = set()
    named = _named(steps, what)
    for step in steps:
        args = {n: _fewer(n, v, {"quantities": quantities, "targets": targets}) for n, v in step.args.items()}
        lost = references(args) & dropped
        args = {n: [i for i in v if i[1:] not in lost] if isinstance(v, list) else v for n, v in args.items()}
        emptied = any(v == [] and step.args[n] for n, v in args.items())
        needs = any(isinstance(v, str) and v[1:] in lost for v in args.values()) or (
            step.when and step.when.step in dropped
        )
        if step.tool in named or emptied or needs:
            dropped.add(step.id)
        else:
            kept.append(step.model_copy(update={"args": args}))
    return kept


def _only(steps: Sequence[Step], what: str) -> list[Step]:
    """Keep what a comment names and what that needs; name quantities to keep only those of the measurement."""
    quantities = enumerated("quantities", _QUANTITIES, what)
    named = _named(steps, what) or ({"measure"} if quantities else set())
    wanted = {s.id for s in steps if s.tool in named}
    for step in reversed(steps):
        if step.id in wanted:
            wanted |= references(step.args)
    if not wanted:
        return list(steps)
    kept = [s for s in steps if s.id in wanted]
    if not quantities:
        return kept
    return [
        s.model_copy(update={"args": {**s.args, "quantities": quantities}}) if s.tool == "measure" else s for s in kept
    ]


def _named(steps: Sequence[Step], what: str) -> set[str]:
    """Return the tools of a plan that some words name, by their own verbs and the nouns of what they make."""
    nouns: Mapping[str, Sequence[str]] = words()["results"]
    said = words()["verbs"]
    return {
        s.tool
        for s in steps
        if has_phrase(what, [*nouns.get(s.tool, ()), *said.get(s.tool, ()), s.tool.replace("_", " ")])
    }


def _fewer(name: str, value: object, refused: Mapping[str, Sequence[str]]) -> object:
    gone = refused.get(name, ())
    return [v for v in value if v not in gone] if isinstance(value, list) and gone else value
