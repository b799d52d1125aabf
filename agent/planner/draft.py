"""Lets the embedded model write a whole plan, small enough for its context and for two cores.

The tools in question are chosen first (the nearest declared examples of each part of the request, and what makes their
input), then the model decodes a plan in compact form under the schema of just these, with the nearest example requests
as the conversation so far: one answer for each part, because over several parts it stops after the first. The plan is
completed by the data flow and passes the same validation as any other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.errors import RunError
from agent.llm.chat import Ask, ChatModel, Message
from agent.plan import Clarify, Decline, Plan
from agent.planner.examples import ExampleIndex, Near, Scored, out_of_scope
from agent.planner.parts import parts_of
from agent.planner.short_plan import ShortCall, choices_of, read_short, short_form, short_schema
from agent.planner.situation import Situation
from agent.planner.text import Clause
from prompts import load
from tools.contract import Tool
from tools.registry import Registry

EXAMPLES = 7  # more make the prompt slower to read than the plan to write
MAX_STEPS = 4  # of one part of a request
PER_PART = 4
REACH = 0.3  # a tool this much below the best of a part is not in question
KIND_SCORE = 0.2  # a kind of request that is out of scope is in question from here on
MAX_TOKENS = 120


@dataclass(frozen=True)
class Draft:
    """What the embedded model wrote."""

    outcome: Plan | Clarify | Decline | None
    """None: nothing that can be used; `note` says why."""
    text: str = ""
    """The plan in compact form, as it was written."""
    calls: tuple[Mapping[str, Any], ...] = ()
    note: str = ""
    mean_logprob: float | None = None


Complete = Callable[[Sequence[tuple[ShortCall, Clause]]], Plan | Clarify | Decline]
"""Makes a full, validated plan of calls, each with the part of the request that it serves."""


class Drafter:
    """Asks the embedded model for plans.

    Args:
        llm: the model.
        registry: the tools.
        index: their declared examples.
        max_steps: how many steps a plan may have.
    """

    def __init__(self, llm: ChatModel, registry: Registry, index: ExampleIndex, max_steps: int) -> None:
        self._llm = llm
        self._registry = registry
        self._index = index
        self._max_steps = max_steps

    def write(self, request: str, situation: Situation, complete: Complete) -> Draft:
        """Return the model's plan for a request, written part by part; what fails is said in the draft."""
        spoken = next((r.targets for r in reversed(situation.results) if r.targets), ())
        calls: list[Mapping[str, Any]] = []
        texts: list[str] = []
        placed: list[tuple[ShortCall, Clause]] = []
        refused = ""
        likely: list[float] = []
        for part, scored in parts_of(self._index, request).parts:
            tools, kinds = self._in_question(scored, situation)
            choices = {t.name: choices_of(t, part.text, request, spoken) for t in tools}
            schema = short_schema(tools, choices, kinds, min(self._max_steps, MAX_STEPS))
            try:
                reply = self._llm.chat(self._ask(part.text, situation, tools, kinds, schema), calls.append)
                texts.append(reply.text)
                read = read_short(reply.json(), choices)
            except RunError as error:
                return Draft(None, "\n".join(texts), tuple(calls), str(error))
            likely += [reply.mean_logprob] if reply.mean_logprob is not None else []
            if isinstance(read, str):
                refused = refused or read
            else:
                placed += [(call, part) for call in read]
        outcome = complete(placed) if placed else _refusal(refused)
        sure = min(likely) if len(likely) == len(texts) else None
        return Draft(outcome, "\n".join(texts), tuple(calls), mean_logprob=sure)

    def _in_question(self, scored: Scored, situation: Situation) -> tuple[list[Tool], list[str]]:
        """Return the tools and the kinds of refusal that the model may choose from."""
        ranked = [(name, score) for name, score in scored.ranked() if name.startswith("!") or name in self._registry]
        best = {name: score for name, score in ranked[:PER_PART] if score > ranked[0][1] - REACH}
        order = sorted(best, key=lambda name: -best[name])
        kinds = [name[1:] for name in order if name.startswith("!") and best[name] >= KIND_SCORE][:2]
        names = [name for name in order if not name.startswith("!")]
        names += [maker for maker in self._makers(names, situation) if maker not in names]
        return [self._registry.get(name) for name in names], kinds

    def _makers(self, names: Sequence[str], situation: Situation) -> list[str]:
        """Return the plain verbs that make what some tools cannot do without and nobody has brought."""
        needed = {
            kinds
            for name in names
            for ref, kinds in self._registry.get(name).refs.items()
            if ref in self._registry.get(name).args_schema.get("required", ())
        }
        usual = {("mask",): "segment"}
        return [usual[k] for k in needed if k in usual and usual[k] in self._registry and not situation.attached(k[0])]

    def _ask(
        self,
        text: str,
        situation: Situation,
        tools: Sequence[Tool],
        kinds: Sequence[str],
        schema: Mapping[str, Any],
    ) -> Ask:
        prompt = load("plan_short")
        messages: list[Message] = [{"role": "system", "content": prompt.render(attachments=_attached(situation))}]
        by_name = {tool.name: tool for tool in tools}
        for near in self._shots(text, by_name, kinds):
            answer = short_form(near.calls, by_name) if near.calls else {"decline": near.tool[1:]}
            messages += [
                {"role": "user", "content": near.request},
                {"role": "assistant", "content": json.dumps(answer, ensure_ascii=False)},
            ]
        messages.append({"role": "user", "content": f"{text[:1].upper()}{text[1:].rstrip(' .')}."})
        purpose = f"plan_short@{prompt.version}"
        return Ask(messages, schema=schema, max_tokens=MAX_TOKENS, purpose=purpose, needs_likelihood=True)

    def _shots(self, text: str, tools: Mapping[str, Tool], kinds: Sequence[str]) -> list[Near]:
        """Return the nearest examples, the nearest last: one of each tool in question, then as they come."""
        near = self._index.nearest(text, 80)
        usable = [
            n
            for n in near
            if (n.calls and all(c.tool in tools for c in n.calls)) or (not n.calls and n.tool[1:] in kinds)
        ]
        chosen: dict[str, Near] = {}
        shapes: dict[tuple[str, ...], int] = {}
        for one in usable:
            shape = tuple(c.tool for c in one.calls) or (one.tool,)
            if one.request not in chosen and shapes.get(shape, 0) < (1 if len(chosen) > EXAMPLES // 2 else 3):
                chosen[one.request] = one
                shapes[shape] = shapes.get(shape, 0) + 1
            if len(chosen) == EXAMPLES:
                break
        return sorted(chosen.values(), key=lambda n: n.similarity)


def _refusal(kind: str) -> Clarify | Decline:
    scope = out_of_scope()[kind]
    return Decline(reason=scope.message) if scope.outcome == "decline" else Clarify(question=scope.message)


def _attached(situation: Situation) -> str:
    known = [f"{f.kind} {f.modality} {f.body_part}{' prior' if f.prior else ''}" for f in situation.facts.values()]
    return ", ".join(" ".join(one.lower().split()) for one in known) or "nothing"
