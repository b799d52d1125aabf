"""Follow-ups: "and now the other lung", "do the same for the prior", "export it as csv"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.planner.situation import PriorResult, Situation
from agent.planner.slots import enumerated, targets_in

_ELLIPSIS = re.compile(
    r"^\s*(?:and|now|and now|then|what about|how about|also|same for|the same for|do the same (?:for|with|on|in)|"
    r"same again|"
    r"repeat (?:that|this|it)?\s*(?:for|with|on)?|again (?:for|with))\b",
    re.I,
)
_SAME = re.compile(r"\b(?:the )?same\b|\brepeat\b|\bagain\b|\blikewise\b", re.I)
_OTHER = re.compile(r"\bother (?:side|one|lung|kidney|[a-z]+)\b|\bopposite side\b|\bcontralateral\b", re.I)
_HAS_VERB = re.compile(
    r"\b(?:segment|outline|contour|measure|export|save|draft|write|find|search|compare|register|show|describe|explain|"
    r"classify|detect|check|assess|give|tell|make|mask|quantify|is|are|does|which|where|why|list|draw|convert)\b",
    re.I,
)
_SAID = {"volume": "volume", "intensity": "mean density", "diameter": "diameter", "surface_area": "surface area",
         "radiomics": "radiomics", "ratio": "ratio"}  # fmt: skip


@dataclass(frozen=True)
class FollowUp:
    """A request with what it leaves unsaid filled in."""

    request: str
    changed: bool = False
    notes: tuple[str, ...] = ()


def resolve_follow_up(request: str, situation: Situation) -> FollowUp:
    """Fill in what a follow-up leaves unsaid from the results of the reading so far."""
    if not situation.results:
        return FollowUp(request)
    request_said = _with_other_side(request, situation.results)
    is_ellipsis = bool(_ELLIPSIS.match(request)) or bool(_SAME.search(request))
    names_work = bool(_HAS_VERB.search(re.sub(_ELLIPSIS, "", request)))
    if not is_ellipsis or names_work or any(enumerated("quantities", list(_SAID), request_said)):
        return FollowUp(request_said, request_said != request)
    what = " and ".join(map(spoken, targets_in(request_said))) or _last_targets(situation.results)
    where = " in the prior scan" if re.search(r"\b(?:prior|previous|old|baseline|earlier)\b", request, re.I) else ""
    repeated = _repeated(situation.results, what, where)
    if not repeated:
        return FollowUp(request_said, request_said != request)
    return FollowUp(repeated, changed=True, notes=(f"taken as: {repeated}",))


def _with_other_side(request: str, results: tuple[PriorResult, ...]) -> str:
    """Say which side "the other" is."""
    found = _OTHER.search(request)
    sided = [t for r in reversed(results) for t in r.targets if {"left", "right"} & set(t.split("_"))]
    if not found or not sided:
        return request
    parts = ["right" if p == "left" else "left" if p == "right" else p for p in sided[0].split("_")]
    return f"{request[: found.start()]}{spoken('_'.join(parts))}{request[found.end() :]}"


def _last_targets(results: tuple[PriorResult, ...]) -> str:
    return next((" and ".join(map(spoken, r.targets)) for r in reversed(results) if r.targets), "")


def spoken(target: str) -> str:
    """Return a target's name as people say it: lung_left is "left lung"."""
    parts = target.split("_")
    sides = [part for part in parts if part in ("left", "right")]
    return " ".join(sides + [part for part in parts if part not in sides])


def _repeated(results: tuple[PriorResult, ...], what: str, where: str) -> str:
    """Say again, for other targets or another image, what the last turn did."""
    if not what:
        return ""
    if any(r.tool == "measure" for r in results):
        measured = next(r for r in reversed(results) if r.tool == "measure")
        asked = [_SAID[q] for q in measured.args.get("quantities") or () if q in _SAID]
        return f"Measure the {' and the '.join(asked) + ' of the ' if asked else ''}{what}{where}."
    if any(r.tool == "segment" for r in results):
        return f"Segment the {what}{where}."
    return ""
