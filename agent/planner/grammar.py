"""JSON schemas under which an LLM writes a plan: only registered tools, only ids that exist, only kinds that fit.

They keep to what every endpoint decodes (OpenAI's strict mode, vLLM, Ollama, llama.cpp): an object at the root, every
property required, no other properties; an argument that may be left out is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agent.planner.situation import Situation
from tools.contract import Tool

if TYPE_CHECKING:
    from tools.models.hub import Hub

_KEPT = ("type", "enum", "const", "pattern", "minimum", "maximum", "minItems", "maxItems", "description")
_MAX_NAMES = 200  # more target names than this are left to validation: some endpoints limit enumerations


def plan_schema(tools: Iterable[Tool], situation: Situation, hub: Hub, max_steps: int) -> dict[str, Any]:
    """Return the schema of a plan, a question or a refusal.

    Args:
        tools: the tools that may be called.
        situation: attachments and earlier results; references are limited to their ids and to new steps'.
        hub: the models, for the names of targets.
        max_steps: how many steps a plan may have.
    """
    new = [f"s{situation.first_step + i}" for i in range(max_steps)]
    steps = [_step(tool, situation, hub, new) for tool in tools if _can_be_called(tool, situation)]
    return _object(
        {
            "outcome": {"type": "string", "enum": ["plan", "clarify", "decline"] if steps else ["clarify", "decline"]},
            "steps": {
                "type": "array",
                "items": {"anyOf": steps} if steps else {"type": "null"},
                "maxItems": max_steps if steps else 0,
            },
            "message": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        }
    )


def without_nulls(args: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments without those that were left null."""
    return {name: value for name, value in args.items() if value is not None}


def _can_be_called(tool: Tool, situation: Situation) -> bool:
    """Return whether an image that a tool cannot do without is there at all."""
    required = tool.args_schema.get("required", ())
    needs_image = any(name in required and kinds == ("image",) for name, kinds in tool.refs.items())
    has_image = bool(situation.attached("image")) or any(r.kind == "image" for r in situation.results)
    return has_image or not needs_image


def _step(tool: Tool, situation: Situation, hub: Hub, new: Sequence[str]) -> dict[str, Any]:
    schema = tool.args_schema
    args = {name: _argument(name, prop, tool, situation, hub, new) for name, prop in _resolve(schema).items()}
    return _object(
        {
            "id": {"type": "string", "enum": list(new)},
            "tool": {"type": "string", "enum": [tool.name]},
            "args": _object(args),
            "when": {"anyOf": [_condition(new, situation), {"type": "null"}]},
        }
    )


def _condition(new: Sequence[str], situation: Situation) -> dict[str, Any]:
    measured = [r.id for r in situation.results if r.kind == "measurements"]
    quantities = ["volume", "intensity", "diameter", "surface_area", "ratio"]
    return _object(
        {
            "step": {"type": "string", "enum": [*measured, *new]},
            "quantity": {"type": "string", "enum": quantities},
            "relation": {"type": "string", "enum": ["above", "below"]},
            "value": {"type": "number"},
            "unit": {"type": "string", "enum": ["ml", "l", "mm", "cm", "cm2", "HU", ""]},
        }
    )


def _resolve(schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    required = schema.get("required", ())
    resolved = {}
    for name, prop in schema.get("properties", {}).items():
        plain = _plain(prop, schema.get("$defs", {}))
        resolved[name] = plain if name in required else _or_null(plain)
    return resolved


def _plain(prop: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what every endpoint knows of a schema."""
    if "$ref" in prop:
        return _plain(definitions[prop["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in prop:
        return {"anyOf": [_plain(option, definitions) for option in prop["anyOf"]]}
    kept = {key: prop[key] for key in _KEPT if key in prop}
    if "exclusiveMinimum" in prop:
        kept["minimum"] = prop["exclusiveMinimum"]
    if "items" in prop:
        kept["items"] = _plain(prop["items"], definitions)
    if prop.get("type") == "object":
        return _object({n: _plain(p, definitions) for n, p in prop.get("properties", {}).items()})
    return kept


def _argument(
    name: str, prop: dict[str, Any], tool: Tool, situation: Situation, hub: Hub, new: Sequence[str]
) -> dict[str, Any]:
    if name in tool.refs:
        return _limited(prop, _ids(tool.refs[name], situation, new))
    if name == "targets" and 0 < len(names := hub.targets(tool.name)) <= _MAX_NAMES:
        return _limited(prop, names)
    return prop


def _ids(kinds: Sequence[str], situation: Situation, new: Sequence[str]) -> list[str]:
    attached = [f"@{f.id}" for f in situation.facts.values() if f.kind in kinds]
    earlier = [f"@{r.id}" for r in situation.results if r.kind in kinds]
    return [*attached, *earlier, *(f"@{step}" for step in new)]


def _limited(prop: dict[str, Any], values: Sequence[str]) -> dict[str, Any]:
    """Put an enumeration where the strings of an argument stand."""
    if "anyOf" in prop:
        return {
            "anyOf": [_limited(option, values) if option.get("type") != "null" else option for option in prop["anyOf"]]
        }
    if "items" in prop:
        return {**prop, "items": {"type": "string", "enum": list(values)}}
    return {"type": "string", "enum": list(values)}


def _or_null(prop: dict[str, Any]) -> dict[str, Any]:
    options = prop.get("anyOf", [prop])
    return {"anyOf": [*(o for o in options if o.get("type") != "null"), {"type": "null"}]}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
