"""Understands a request by the example requests that tools declare: its parts, the tool of each, the plan they make."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.plan import Clarify, Decline, Plan
from agent.planner.arguments import Wish
from agent.planner.compose import Composer
from agent.planner.conditions import limit_in
from agent.planner.examples import ExampleIndex, Scored, is_named, out_of_scope
from agent.planner.parts import parts_of
from agent.planner.queries import query_in
from agent.planner.short_plan import ShortCall
from agent.planner.situation import CannotDoError, NeedsAnswerError, Situation
from agent.planner.slots import enumerated, fill, is_only_structures, labels_in, landmarks_in, targets_in
from agent.planner.text import Clause, begins_anew, quoted, words
from agent.planner.validate import Limits, Validator
from tools.registry import Registry

if TYPE_CHECKING:
    from tools.models.hub import Hub

MIN_SCORE = 0.22  # below this a part of a request asks for nothing that is declared (tests/evals/plans_tune.jsonl)
CLOSE = 0.12  # candidates this near to one named outright are tried when it cannot be done; twice that when not named
SECOND_SCORE = 0.15  # a second choice below this is no choice
QUOTED = 0.15  # what `ground` gains when the request quotes something
CLEAR_SCORE = 0.5  # above this a part of a request says clearly what it asks for
ASIDE_SCORE = 0.35  # below this, beside a clear part, a sentence that does not begin like a request is an aside
SKIP_SCORE = 0.3  # above this a part of a longer request is left out as out of scope
WHOLE_SCORE = 0.3  # above this the whole of a request is understood though none of its parts is
LOOSE_SCORE = 0.4  # below this a part that names nothing and says "it" belongs to the part before it
REFUSE_SCORE = 0.45  # above this a request that is out of scope is declined whatever else it says

_WHERE = re.compile(
    r"^(?:and |then |please )*(?:show|tell|mark|point)?(?: me| it| out)*\s*(?:exactly )?"
    r"where(?: is it| they are| it is| are they)?\W*$",
    re.I,
)
_QUESTION = re.compile(
    r"\?|^\W*(?:is|are|was|were|do|does|did|has|have|can|could|what|which|where|who|when|how|why|any)\b", re.I
)
_MORE_OF_IT = re.compile(r"\b(?:ones?|those|these|them|hits|matches)\b", re.I)
_PRONOUN = re.compile(r"\b(?:it|its|them|they|that|this|the (?:scan|image|picture|file))\b", re.I)
_ALSO_MEASURED = re.compile(
    r"[,:+&]\s*(?:its |their |the )?(?:\w+ )?(?:volumes?|sizes?|diameters?|density|hu)\b"
    r"|\b(?:hounsfield|densit\w+)\b",
    re.I,
)
_QUANTITY = re.compile(
    r"\b(?<!this )(?<!that )(?<!attached )(?<!phase )(?<!venous )(?<!arterial )(?<!ct )(?<!mr )(?<!mri )(?<!image )"
    r"volumes?\b"
    r"|\b(?:diameters?|density|hu|hounsfield|millilit\w+|ml)\b",
    re.I,
)
_OF_BOTH = re.compile(r"^(?!\W*(?:their|its)\b)[\w\s-]*\b(volumes|sizes|diameters|densities)\W*$", re.I)
_AS_FILE = re.compile(
    r"\b(?:as|to|in|into|an?|of|the)\s+(?:\w+\s+){0,2}?"
    r"(?:csv|spreadsheet|excel|nifti|nii|stl|pdf|docx|html|word|json|fhir|dicom[ -]s[er]g?|png)\b"
    r"|(?:^|[,;>])\s*(?:csv|pdf|stl|nifti|json|docx|html)\b"
    r"|\.(?:csv|pdf|stl|json|nii|nii\.gz|docx|html|png)\b|\b3-?d[ -]print|\bprintable\b",
    re.I,
)


@dataclass(frozen=True)
class Option:
    """One reading of a part of a request."""

    tool: str
    score: float


_Part = tuple[Clause, tuple[Option, ...]]


def _is_also_measured(text: str, found: Sequence[Option]) -> bool:
    """Return whether a text that asks for an outline asks for its numbers too, as in "the volume of each lung"."""
    is_near = any(option.tool == "measure" for option in found)
    return bool(_ALSO_MEASURED.search(text) or (is_near and _QUANTITY.search(text)))


@dataclass(frozen=True)
class Understanding:
    """What a request was understood as."""

    outcome: Plan | Clarify | Decline
    confidence: float
    """The weakest part's score, 0 to 1."""
    options: tuple[tuple[Clause, tuple[Option, ...]], ...] = ()
    """Per part, the tools it may ask for, best first: what an LLM may choose between."""
    notes: tuple[str, ...] = ()


class Interpreter:
    """Understands requests in one situation.

    Args:
        index: the declared examples.
        registry: the tools.
        hub: the models.
        situation: attachments and earlier results.
        limits: what a plan may cost.
    """

    def __init__(self, index: ExampleIndex, registry: Registry, hub: Hub, situation: Situation, limits: Limits) -> None:
        self._index = index
        self._registry = registry
        self._hub = hub
        self._situation = situation
        self._validator = Validator(registry, hub, situation, limits)
        self._notes: list[str] = []
        self._replaced: list[str] = []  # of the plan that was composed last

    def understand(self, request: str) -> Understanding:
        """Return the plan, question or refusal that a request comes to."""
        found = parts_of(self._index, request)
        if refusal := self._out_of_scope([found.whole, *(scored for _, scored in found.parts)]):
            return refusal
        options = [(part, self._options(part, scored)) for part, scored in found.parts]
        options = self._without_asides(options)
        if not any(tools for _, tools in options) and found.whole.ranked()[0][1] >= WHOLE_SCORE:
            options = [(Clause(request), self._options(Clause(request), found.whole))]
        wishes = self._wishes(request, options) or self._open_question(request, found.clauses)
        if not wishes:
            return self._not_understood(request, found.whole)
        outcome = self._compose(wishes)
        if not isinstance(outcome, Plan):
            outcome = self._clear_part_of(request, options) or outcome
        confidence = min((found[0].score for _, found in options if found), default=0.0)
        return Understanding(outcome, confidence, options=tuple(options), notes=(*self._notes, *self._replaced))

    def with_calls(self, request: str, written: Sequence[tuple[ShortCall, Clause]]) -> Plan | Clarify | Decline:
        """Return the outcome of the calls that a language model wrote, each for a part of the request."""
        return self._compose([Wish(call.tool, part.text, request, part.condition, call.args) for call, part in written])

    # --- scope

    def _out_of_scope(self, scored: Sequence[Scored]) -> Understanding | None:
        """Decline what no tool may answer: when the whole says so, or every part does."""
        whole, parts = scored[0].ranked(), [s.ranked() for s in scored[1:]]
        kinds = [ranked[0] for ranked in parts]
        every = all(kind.startswith("!") for kind, _ in kinds)
        best, score = whole[0]
        if not best.startswith("!") and not every:
            return None
        if not every and score < REFUSE_SCORE:
            return None
        kind, score = next(((k, s) for k, s in kinds if k != "!vague"), (best, score)) if every else (best, score)
        if not kind.startswith("!"):
            return None
        scope = out_of_scope()[kind[1:]]
        outcome = Decline(reason=scope.message) if scope.outcome == "decline" else Clarify(question=scope.message)
        return Understanding(outcome, score)

    def _not_understood(self, request: str, whole: Scored) -> Understanding:
        best = [t for t, _ in whole.ranked() if not t.startswith("!")][:3]
        nearest = "; ".join(
            f"“{self._registry.get(t).examples[0].request}”" for t in best if self._registry.get(t).examples
        )
        return Understanding(Clarify(question=f"That was not understood. Nearest to what can be done: {nearest}"), 0.0)

    def _open_question(self, request: str, parts: Sequence[Clause]) -> list[Wish]:
        """Put a question that fits no other tool to the one that answers open questions, where the image allows it."""
        if "answer" not in self._registry or not _QUESTION.search(request) or not self._situation.attached("image"):
            return []
        wishes = [Wish("answer", parts[0].text, request)]
        return wishes if isinstance(self._compose(wishes), Plan) else []

    def _clear_part_of(self, request: str, options: Sequence[_Part]) -> Plan | None:
        """Return the plan of the parts that are clear, when only an unclear one stands in its way."""
        clear = [(part, found) for part, found in options if found[0].score >= CLEAR_SCORE]
        if not clear or len(clear) == len(options):
            return None
        plan = self._compose(self._wishes(request, clear))
        if not isinstance(plan, Plan):
            return None
        self._notes += [
            f"left out “{part.text}”: not understood" for part, found in options if (part, found) not in clear
        ]
        return plan

    # --- tools

    def _without_asides(self, options: Sequence[_Part]) -> list[_Part]:
        """Drop parts that ask for nothing: what is left of a longer request when its clear parts are taken."""
        asking = [(part, found) for part, found in options if found]
        clear = [found[0].score for _, found in asking if found[0].score >= CLEAR_SCORE]
        if not clear:
            return asking
        kept = [
            (part, found)
            for part, found in asking
            if found[0].score >= ASIDE_SCORE or begins_anew(part.text) or len(asking) == 1
        ]
        self._notes += [
            f"left out “{part.text}”: taken as an aside" for part, found in asking if (part, found) not in kept
        ]
        return kept

    def _options(self, part: Clause, scored: Scored) -> tuple[Option, ...]:
        """Return the tools that a part may ask for, best first; none when it asks for nothing."""
        ranked = [(tool, score) for tool, score in scored.ranked() if tool.startswith("!") or tool in self._registry]
        best_tool = next((score for tool, score in ranked if not tool.startswith("!")), 0.0)
        if ranked[0][0].startswith("!") and (ranked[0][1] >= SKIP_SCORE or best_tool < MIN_SCORE):
            if ranked[0][0] != "!vague":
                self._notes.append(f"left out “{part.text}”: {out_of_scope()[ranked[0][0][1:]].message}")
            return ()
        tools = [(tool, score) for tool, score in ranked if not tool.startswith("!")]
        tools = self._with_quotation(part, tools)
        best = tools[0][1]
        if _WHERE.match(part.text):
            return (Option(tools[0][0], best),)
        if best < MIN_SCORE:
            self._notes.append(f"not understood: “{part.text}”")
            return ()
        reach = CLOSE if is_named(tools[0][0], part.text) else 2 * CLOSE
        return tuple(Option(tool, score) for tool, score in tools[:4] if score > best - reach)

    def _with_quotation(self, part: Clause, tools: list[tuple[str, float]]) -> list[tuple[str, float]]:
        """A quotation beside an image most often describes a region of it."""
        if not quoted(part.text) or "ground" not in self._registry or not self._situation.attached("image"):
            return tools
        raised = [(tool, score + QUOTED * (tool == "ground")) for tool, score in tools]
        return sorted(raised, key=lambda pair: -pair[1])

    def _wishes(self, request: str, options: Sequence[tuple[Clause, tuple[Option, ...]]]) -> list[Wish]:
        wishes: list[Wish] = []
        for part, found in options:
            if not found:
                continue
            if _WHERE.match(part.text) and wishes:
                self._show_where(wishes, part, request)
                continue
            wishes += self._measured_too(wishes, part, request)
            tool = self._doable(found, part, request, wishes)
            if wishes and tool == wishes[-1].tool and _MORE_OF_IT.search(part.text):
                wishes[-1] = replace(wishes[-1], text=f"{wishes[-1].text} {part.text}")
                continue
            if wishes and self._only_repeats(found[0].score, tool, part, request, wishes):
                continue
            if tool != "export" and (saved := self._saved_as(part, tool)):
                wishes += [
                    Wish(tool, part.text, request, part.condition),
                    Wish(saved, part.text, request, part.condition),
                ]
            else:
                wishes.append(Wish(tool, part.text, request, part.condition))
            if tool == "segment" and "measure" in self._registry and _is_also_measured(part.text, found):
                wishes.append(Wish("measure", part.text, request, part.condition))
            if part.condition and limit_in(part.condition) is None:
                self._notes.append(f"“{part.condition}” cannot be checked by the plan: judge by the results")
        return self._without_repeats(wishes)

    def _measured_too(self, before: Sequence[Wish], part: Clause, request: str) -> list[Wish]:
        """Return the wish to measure what was named just before "… and nodule volumes"."""
        measured = _OF_BOTH.search(part.text)
        if not (measured and before and before[-1].tool == "segment" and is_only_structures(before[-1].text)):
            return []
        return [Wish("measure", f"{before[-1].text} {measured[1]}", request)]

    def _only_repeats(self, score: float, tool: str, part: Clause, request: str, before: Sequence[Wish]) -> bool:
        """Return whether an unclear part names nothing of its own: "give positions" after a detection."""
        if score >= CLEAR_SCORE:
            return False
        if tool == "landmarks" and not landmarks_in(part.text) and not targets_in(part.text):
            return True
        schema = self._registry.get(tool).args_schema
        own = fill(schema, [n for n in schema["properties"] if n not in self._registry.get(tool).refs], part.text, "")
        if not own and (tool == before[-1].tool or (score < LOOSE_SCORE and _PRONOUN.search(part.text))):
            return True
        alone = isinstance(self._compose(before), Plan)
        return alone and isinstance(self._compose([*before, Wish(tool, part.text, request)]), Clarify)

    def _show_where(self, wishes: list[Wish], part: Clause, request: str) -> None:
        """Let "show me where" belong to what was said before it."""
        before = wishes[-1]
        if before.tool == "classify" and "explain" in self._registry and labels_in(before.text):
            wishes.append(Wish("explain", f"{before.text} {part.text}", request))

    def _saved_as(self, part: Clause, tool: str) -> str:
        """Return "export" when a part that asks for something else also names a file format to have it in."""
        if "export" not in self._registry or tool in ("search_reports", "find_studies", "describe", "deidentify"):
            return ""
        formats = list(words()["values"]["format"])
        return "export" if _AS_FILE.search(part.text) and enumerated("format", formats, part.text) else ""

    def _doable(self, found: Sequence[Option], part: Clause, request: str, before: Sequence[Wish]) -> str:
        """Return the best tool; one that is nearly as likely and can be done goes before one that cannot."""
        if len(found) == 1:
            return found[0].tool
        for option in (o for o in found if o is found[0] or o.score >= SECOND_SCORE):
            trial = self._compose([*before, Wish(option.tool, part.text, request)])
            if isinstance(trial, Plan):
                return option.tool
        return found[0].tool

    def _without_repeats(self, wishes: Sequence[Wish]) -> list[Wish]:
        """Drop what a stronger wish contains: a comparison measures, similar images come with their reports."""
        tools = {w.tool for w in wishes}
        contained = {"segment", "measure", "register"} if "compare" in tools else set()
        kept = [w for w in wishes if w.tool not in contained]
        if "find_similar" not in tools:
            return kept
        theirs = [w for w in kept if w.tool == "search_reports" and not query_in(w.text)]
        self._notes += [f"left out “{w.text}”: similar images come with their reports" for w in theirs]
        return [w for w in kept if w not in theirs]

    # --- plans

    def _compose(self, wishes: Sequence[Wish]) -> Plan | Clarify | Decline:
        composer = Composer(self._registry, self._hub, self._situation)
        self._replaced = composer.notes
        try:
            for wish in wishes:
                composer.add(wish)
        except NeedsAnswerError as error:
            return Clarify(question=str(error))
        except CannotDoError as error:
            return Decline(reason=str(error))
        plan = Plan(steps=tuple(composer.steps))
        problem = self._validator.problem(plan)
        if problem is None:
            return plan
        return Clarify(question=problem.message) if problem.kind == "ask" else Decline(reason=problem.message)
