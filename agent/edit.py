"""Changes a plan by short commands, the same for the command line, its prompt and a program.

set s2.quantities=volume,diameter     another value for an argument; "set s2.quantities=" takes it away
drop s3                               leave a step out
add measure mask=@s1 quantities=volume   one more step; it gets the next free id
model s1=CARD                         the model to use; "model s1=" leaves it to the hub
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from agent.plan import Plan, Step, depends_on
from tools.contract import Tool
from tools.errors import BadInputError
from tools.registry import Registry

HELP = "set s2.NAME=VALUE · drop s3 · add TOOL NAME=VALUE … · model s1=CARD"


def edited_plan(plan: Plan, edits: Sequence[str], registry: Registry, first_free: int = 1) -> Plan:
    """Return a plan after some edits, its steps in an order in which they can run. Nothing else is changed.

    Args:
        plan: the plan that waits.
        edits: commands, applied in order.
        registry: the tools, for the types of arguments.
        first_free: smallest number that a new step may get.

    Raises:
        BadInputError: a command is not understood, or names a step or an argument that is not there.
    """
    steps = {step.id: step for step in plan.steps}
    for edit in edits:
        verb, _, rest = edit.strip().partition(" ")
        match verb:
            case "set":
                _set(steps, rest.strip(), registry)
            case "drop":
                _drop(steps, rest.strip())
            case "add":
                number = max([first_free - 1, *(int(i[1:]) for i in steps)]) + 1
                steps[f"s{number}"] = _new(f"s{number}", rest.strip(), registry)
            case "model":
                _choose_model(steps, rest.strip())
            case _:
                raise BadInputError(f"an edit is one of: {HELP}; got {edit!r}")
    if not steps:
        raise BadInputError("the edits leave no step; reject the plan instead")
    return Plan(steps=tuple(_in_order(steps)))


def argument_value(text: str, schema: Mapping[str, Any]) -> Any:
    """Return the value that a word stands for, by the schema of its argument.

    Values are JSON where they parse as such, else text; a list may be written with commas.
    """
    kinds = {part.get("type") for part in (schema, *schema.get("anyOf", ()))}
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = text
    if "array" in kinds and not isinstance(value, list):
        return [part.strip() for part in text.split(",")]
    if "string" in kinds and not isinstance(value, str) and not kinds & {"number", "integer", "boolean"}:
        return text
    return value


def _set(steps: dict[str, Step], rest: str, registry: Registry) -> None:
    where, sign, text = rest.partition("=")
    step_id, dot, name = where.strip().partition(".")
    if not sign or not dot:
        raise BadInputError(f"set takes STEP.NAME=VALUE, such as s2.quantities=volume,diameter; got {rest!r}")
    step = _step(steps, step_id)
    schema = _schema(registry.get(step.tool), name)
    args = {key: value for key, value in step.args.items() if key != name}
    if text.strip():
        args[name] = argument_value(text.strip(), schema)
    steps[step_id] = step.model_copy(update={"args": args})


def _drop(steps: dict[str, Step], step_id: str) -> None:
    _step(steps, step_id)
    users = [s.id for s in steps.values() if step_id in depends_on(s)]
    if users:
        raise BadInputError(
            f"{step_id} cannot be dropped: {', '.join(users)} works on it; drop {users[0]} first, or set its argument"
        )
    del steps[step_id]


def _new(step_id: str, rest: str, registry: Registry) -> Step:
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise BadInputError(f"add: {error} in {rest!r}") from None
    if not words:
        raise BadInputError("add takes a tool and its arguments, such as: add measure mask=@s1 quantities=volume")
    tool = registry.get(words[0])
    args: dict[str, Any] = {}
    for word in words[1:]:
        name, sign, text = word.partition("=")
        if not sign:
            raise BadInputError(f"add: arguments are NAME=VALUE, got {word!r}")
        args[name] = argument_value(text, _schema(tool, name))
    return Step(id=step_id, tool=tool.name, args=args)


def _choose_model(steps: dict[str, Step], rest: str) -> None:
    step_id, sign, model = rest.partition("=")
    if not sign:
        raise BadInputError(f"model takes STEP=CARD, such as s1=ct-chest-threshold; got {rest!r}")
    steps[step_id] = _step(steps, step_id).model_copy(update={"model": model.strip() or None})


def _step(steps: Mapping[str, Step], step_id: str) -> Step:
    if step_id not in steps:
        raise BadInputError(f"the plan has no step {step_id!r}; it has {', '.join(steps)}")
    return steps[step_id]


def _schema(tool: Tool, name: str) -> Mapping[str, Any]:
    properties: Mapping[str, Any] = tool.args_schema.get("properties", {})
    if name not in properties:
        raise BadInputError(f"{tool.name} has no argument {name!r}; it has {', '.join(properties) or 'none'}")
    schema: Mapping[str, Any] = properties[name]
    return schema


def _in_order(steps: Mapping[str, Step]) -> list[Step]:
    """Put every step behind those that it works on; a circle stays as it is, and validation names it."""
    done: dict[str, Step] = {}
    left = dict(steps)
    while left:
        ready = [s for s in left.values() if not depends_on(s) & set(left)]
        if not ready:
            return [*done.values(), *left.values()]
        done[ready[0].id] = left.pop(ready[0].id)
    return list(done.values())
