"""The compact form in which the embedded model writes a plan, and the JSON schema that it is decoded under.

    {"steps": [{"tool": "segment", "targets": ["lungs"]}, {"tool": "measure", "quantities": ["volume"]}]}
    {"decline": "treatment"}

The schema is made anew for each request from the registered tools: it names only the tools in question, and for each
argument only the values that the person's words or the situation give. What leaves no choice is not written at all:
references follow the data flow, free text and numbers are the person's own words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.errors import ModelBehaviorError
from agent.planner.slots import fill
from tools.contract import Call, Tool

Choices = Mapping[str, Sequence[Any]]
"""Per argument, the values that it may take."""


@dataclass(frozen=True)
class ShortCall:
    """One step as the model wrote it: values for the arguments that it had a choice in, None for those it left out."""

    tool: str
    args: Mapping[str, Any]


def choices_of(tool: Tool, text: str, request: str, spoken: Sequence[str] = ()) -> dict[str, list[Any]]:
    """Return the values that a part of a request allows for each argument in which there is a choice.

    Args:
        tool: the tool.
        text: the part; what it does not say, the rest of the request may: "segment the lungs and measure them".
        request: the whole request.
        spoken: structures that an earlier turn was about; they count where the request names none.
    """
    names = [name for name in tool.args_schema["properties"] if name not in tool.refs and _is_closed(tool, name)]
    required = [name for name in names if name in tool.args_schema.get("required", ())]
    said = {
        **fill(tool.args_schema, required, request, request),
        **fill(tool.args_schema, names, text, request),
    }
    found = {name: value if isinstance(value, list) else [value] for name, value in said.items()}
    if "targets" in names and not found.get("targets") and spoken:
        found["targets"] = list(spoken)
    return {name: list(dict.fromkeys(values)) for name, values in found.items()}


def short_schema(
    tools: Sequence[Tool], choices: Mapping[str, Choices], kinds: Sequence[str], max_steps: int
) -> dict[str, Any]:
    """Return the JSON schema of a plan in compact form.

    Args:
        tools: the tools in question.
        choices: per tool, what `choices_of` found.
        kinds: the kinds of out_of_scope.toml in question.
        max_steps: how many steps the plan may have.
    """
    steps = [_step(tool, choices[tool.name]) for tool in tools]
    options = []
    if steps:
        listed = {"type": "array", "items": {"anyOf": steps}, "minItems": 1, "maxItems": max_steps}
        options.append(_object({"steps": listed}))
    if kinds:
        options.append(_object({"decline": {"enum": list(kinds)}}))
    return options[0] if len(options) == 1 else {"anyOf": options}


def short_form(calls: Sequence[Call], tools: Mapping[str, Tool]) -> dict[str, Any]:
    """Return the calls of a declared example in compact form."""
    steps = []
    for call in calls:
        tool = tools[call.tool]
        kept = {n: v for n, v in call.args.items() if n not in tool.refs and _is_closed(tool, n)}
        steps.append({"tool": call.tool, **kept})
    return {"steps": steps}


def read_short(data: Any, choices: Mapping[str, Choices]) -> tuple[ShortCall, ...] | str:
    """Return the steps that a model wrote, or the kind of request that it declines.

    Raises:
        ModelBehaviorError: it is neither.
    """
    if isinstance(data, dict) and isinstance(data.get("decline"), str):
        return str(data["decline"])
    steps = data.get("steps") if isinstance(data, dict) else None
    if not isinstance(steps, list) or not all(isinstance(s, dict) and s.get("tool") in choices for s in steps):
        raise ModelBehaviorError("the plan is not of the form asked for: 'steps' must be a list of calls")
    calls = []
    for step in steps:
        offered = choices[step["tool"]]
        given = {name: _once(step.get(name)) for name in offered}
        call = ShortCall(step["tool"], given)
        if call not in calls:
            calls.append(call)
    if not calls:
        raise ModelBehaviorError("the plan is not of the form asked for: it has no steps")
    return tuple(calls)


def _step(tool: Tool, choices: Choices) -> dict[str, Any]:
    required = tool.args_schema.get("required", ())
    properties: dict[str, Any] = {"tool": {"const": tool.name}}
    for name, values in choices.items():
        properties[name] = _choice(tool, name, values)
    needed = ["tool", *(name for name in choices if name in required)]
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}


def _choice(tool: Tool, name: str, values: Sequence[Any]) -> dict[str, Any]:
    one = {"enum": list(values)}
    if _is_list(tool.args_schema, name):
        return {"type": "array", "items": one, "minItems": 1, "maxItems": len(values)}
    return one


def _once(value: Any) -> Any:
    return list(dict.fromkeys(value)) if isinstance(value, list) else value


def _is_closed(tool: Tool, name: str) -> bool:
    """Return whether an argument takes one of some known names, rather than a number or free text."""
    prop = _plain(tool.args_schema["properties"][name], tool.args_schema)
    items = _plain(prop.get("items", {}), tool.args_schema)
    return bool(prop.get("enum") or items) or name in _NAMED


def _is_list(schema: Mapping[str, Any], name: str) -> bool:
    return bool(_plain(schema["properties"][name], schema).get("type") == "array")


def _plain(prop: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Look through `$ref` and through `X or null`."""
    if "$ref" in prop:
        return _plain(schema["$defs"][prop["$ref"].rpartition("/")[2]], schema)
    options = [option for option in prop.get("anyOf", ()) if option.get("type") != "null"]
    return _plain(options[0], schema) if options else prop


_NAMED = ("finding", "target", "modality")  # strings that are names from a table, by which their filler finds them


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
