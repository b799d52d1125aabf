"""Follow-ups: "and now the other lung", "which one is denser?", "do the same for the prior", "without effusion?"."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.planner.queries import count_in
from agent.planner.situation import PriorResult, Situation
from agent.planner.slots import enumerated, is_only_structures, labels_in, targets_in
from agent.planner.text import begins_anew, clauses, without_courtesy

_ELLIPSIS = re.compile(
    r"^\s*(?:and|now|and now|then|what about|how about|also|same for|the same for|do the same (?:for|with|on|in)|"
    r"same again|"
    r"repeat (?:that|this|it)?\s*(?:for|with|on)?|again (?:for|with))\b",
    re.I,
)
_SAME = re.compile(r"\b(?:the )?same\b|\brepeat\b|\bagain\b|\blikewise\b|\b(?:too|as well)\b\W*(?:please\W*)?$", re.I)
_OTHER = re.compile(r"\bother (?:side|one|lung|kidney|[a-z]+)\b|\bopposite side\b|\bcontralateral\b", re.I)
_SIDE = re.compile(r"\b(?:the\s+)?(left|right)(?:\s+(?:one|side))?\b", re.I)
_APART = re.compile(r"\b(?:split|separate|divide|break)\b", re.I)
_BESIDE = re.compile(r"\b(?:separately|apart|each|only|just|please|too|as well|on its own|individually|pls)\b", re.I)
_WHICH = re.compile(r"\bwhich\b.*\b(?:is|are|has|have)\b|\bhow much (?:\w+er)\b", re.I)
_WHERE_OR_WHY = re.compile(
    r"^\W*(?:and |but )?(?:why|where|show me where|explain(?: (?:it|that|this))?)\b\W*(?:is (?:it|that)\W*)?$", re.I
)
_NARROWED = re.compile(r"^\W*(?:and |but |now )*((?:without|with|no|not|excluding|except|but no)\b.*?)\W*$", re.I)
_MORE = re.compile(r"^\W*(?:(?:show|give|find|list)(?: me)? )?(?:some |any |the )?(?:more|others|next)\b", re.I)
_HAS_VERB = re.compile(
    r"\b(?:segment|outline|contour|measure|export|save|draft|write|find|search|compare|register|show|describe|explain|"
    r"classify|detect|check|assess|give|tell|make|mask|quantify|is|are|does|which|where|why|list|draw|convert|send|fetch|"
    r"put|print|store|align|remove|correct|reduce|denoise|resample|anonymi[sz]e|deidentify|train|project|who|how|split)\b",
    re.I,
)
_SAID = {"volume": "volume", "intensity": "mean density", "diameter": "diameter", "surface_area": "surface area",
         "hu_classes": "emphysema index", "radiomics": "radiomics", "ratio": "ratio"}  # fmt: skip
_FEWEST = 5  # reports that a search gives unless more are asked for


@dataclass(frozen=True)
class FollowUp:
    """A request with what it leaves unsaid filled in."""

    request: str
    changed: bool = False
    notes: tuple[str, ...] = ()


def resolve_follow_up(request: str, situation: Situation) -> FollowUp:
    """Fill in what a follow-up leaves unsaid from the results of the reading so far; each part by itself."""
    if not situation.results:
        return FollowUp(request)
    said = _with_sides(request, situation.results)
    notes: list[str] = []
    for clause in clauses(said):
        whole = next((whole for rule in _RULES if (whole := rule(clause.text, situation.results))), "")
        if whole:
            said = said.replace(clause.text, whole, 1)
            notes.append(f"taken as: {whole}.")
    return FollowUp(said, said != request, tuple(notes))


def with_answer(asked: str, reply: str) -> str:
    """Return a request with a person's answer to the question that it raised; the reply alone where it asks itself.

    Args:
        asked: the request that a question came back for; empty: there was none.
        reply: what the person says next.
    """
    parts = [without_courtesy(clause.text) for clause in clauses(reply)]
    if not asked or "?" in reply or any(begins_anew(part) for part in parts):
        return reply
    return f"{asked.rstrip()}{'' if asked.rstrip().endswith(('.', '?', '!')) else '.'} {reply}"


def spoken(target: str) -> str:
    """Return a target's name as people say it: lung_left is "left lung"."""
    parts = target.split("_")
    sides = [part for part in parts if part in ("left", "right")]
    return " ".join(sides + [part for part in parts if part not in sides])


# --- sides


def _with_sides(request: str, results: Sequence[PriorResult]) -> str:
    """Say of which structure "the other" and "the right one" are."""
    last, sides = _sided(results)
    if not sides:
        return request
    if (found := _OTHER.search(request)) and (side := _side(last)):
        other = spoken(sides["right" if side == "left" else "left"])
        return f"{request[: found.start()]}{other}{request[found.end() :]}"
    if targets_in(request) or labels_in(request):
        return request
    return _SIDE.sub(lambda found: f"the {spoken(sides[found[1].lower()])}", request)


def _sided(results: Sequence[PriorResult]) -> tuple[str, dict[str, str]]:
    """Return what the reading was about last that has sides, and its left and right; nothing where there is none."""
    from tools.imaging.anatomy import members_of, vocabulary

    for target in (t for r in reversed(results) for t in r.targets):
        whole = members_of(target)
        part = whole[0] if len(whole) == 2 and not _side(target) else target
        both = {s: re.sub(rf"(?<=_){_side(part)}(?=_|$)", s, part) for s in ("left", "right") if _side(part)}
        if both and set(both.values()) <= vocabulary().targets:
            return target, both
    return "", {}


def _side(target: str) -> str:
    return next((part for part in target.split("_") if part in ("left", "right")), "")


# --- what a part of a request stands for: each rule returns the whole request, or "" where it says nothing


def _separated(text: str, results: Sequence[PriorResult]) -> str:
    named = targets_in(text)
    return f"Segment the {_listed(named)}" if _APART.search(text) and len(named) > 1 and results else ""


def _compared(text: str, results: Sequence[PriorResult]) -> str:
    quantities = _quantities(text)
    if not quantities or not _WHICH.search(text):
        return ""
    targets = targets_in(text) or _last(results)
    _, sides = _sided(results)
    if len(targets) == 1 and targets[0] in sides.values():
        targets = list(sides.values())
    if "how much" in text.lower() and quantities == ["volume"] and set(targets) == set(sides.values()):
        quantities = ["volume", "ratio"]
    return _measuring(quantities, targets)


def _explained(text: str, results: Sequence[PriorResult]) -> str:
    return "Explain the finding" if _WHERE_OR_WHY.match(text) and results[-1].kind == "scores" else ""


def _searched(text: str, results: Sequence[PriorResult]) -> str:
    last = results[-1]
    query = str(last.args.get("query", ""))
    if last.tool != "search_reports" or not query:
        return ""
    count = count_in(text)
    if narrowed := _NARROWED.match(text):
        return f"Find reports with {query}, {narrowed[1]}"
    if _MORE.match(text):
        return f"Find {count or 2 * int(last.args.get('k') or _FEWEST)} reports with {query}"
    if _HAS_VERB.search(text):
        return ""
    if count and not labels_in(text):
        return f"Find {count} reports with {query}"
    return f"Find reports with {', '.join(labels_in(text))}".replace("_", " ") if labels_in(text) else ""


def _quantified(text: str, results: Sequence[PriorResult]) -> str:
    """A quantity alone is one of what was outlined last."""
    quantities = _quantities(text)
    bare = re.sub(r"^\W*what(?:'s| is| are)\b", "", text, flags=re.I)
    if not quantities or _HAS_VERB.search(bare) or targets_in(text) or len(text.split()) > 5:
        return ""
    return _measuring(quantities, _last(results))


def _repeated(text: str, results: Sequence[PriorResult]) -> str:
    """Say again, for other targets or another image, what was done before."""
    is_ellipsis = _ELLIPSIS.match(text) or _SAME.search(text) or is_only_structures(_BESIDE.sub("", text))
    if not is_ellipsis or _HAS_VERB.search(_ELLIPSIS.sub("", text)) or _quantities(text):
        return ""
    named = _named(text)
    targets = named or _last(results)
    where = " in the prior scan" if re.search(r"\b(?:prior|previous|old|baseline|earlier)\b", text, re.I) else ""
    if not targets:
        return ""
    if measured := next((r for r in reversed(results) if r.tool == "measure"), None):
        asked = [q for q in measured.args.get("quantities") or () if q in _SAID]
        anew = "" if named or where else f"Segment the {_listed(targets)}, then "
        return anew + _measuring(asked, targets) + where
    return f"Segment the {_listed(targets)}{where}" if any(r.tool == "segment" for r in results) else ""


_RULES: tuple[Callable[[str, Sequence[PriorResult]], str], ...] = (
    _searched, _explained, _separated, _compared, _quantified, _repeated,
)  # fmt: skip


def _quantities(text: str) -> list[str]:
    return enumerated("quantities", list(_SAID), text)


def _named(text: str) -> list[str]:
    """Return the structures that a text names, in its own words: what they mean depends on the image."""
    from tools.imaging.anatomy import find_targets

    return [mention.text for mention in find_targets(text)]


def _last(results: Sequence[PriorResult]) -> list[str]:
    return next((list(r.targets) for r in reversed(results) if r.targets), [])


def _listed(targets: Sequence[str]) -> str:
    return " and ".join(map(spoken, targets))


def _measuring(quantities: Sequence[str], targets: Sequence[str]) -> str:
    """Return the request to measure; "" where nothing is named."""
    if not targets:
        return ""
    asked = " and the ".join(_SAID[q] for q in quantities)
    return f"Measure the {asked + ' of the ' if asked else ''}{_listed(targets)}"
