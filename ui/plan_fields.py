"""What a form asks for each argument of a tool, from the tool's own schema; and which of them are wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

if TYPE_CHECKING:
    from agent.plan import Step
    from tools.contract import Tool
    from tools.registry import Registry

Kind = Literal["ref", "choice", "integer", "number", "yes or no", "text", "words", "numbers", "json"]


class Field(BaseModel):
    """One argument as a form asks for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    says: str
    """What it is, as the tool describes it."""
    kind: Kind
    required: bool = False
    many: bool = False
    choices: tuple[str, ...] = ()
    """Of a choice: what is allowed."""
    takes: tuple[str, ...] = ()
    """Of a reference: the kinds of results."""
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None


def fields_of(tool: Tool) -> list[Field]:
    """Return the fields of a tool's form, those that must be filled first."""
    schema = tool.args_schema
    required = schema.get("required", ())
    made = [
        _field(name, given, name in required, tool.refs.get(name, ())) for name, given in schema["properties"].items()
    ]
    return sorted(made, key=lambda field: not field.required)


def _field(name: str, given: Mapping[str, Any], required: bool, takes: Sequence[str]) -> Field:
    schema = next((s for s in given.get("anyOf", ()) if s.get("type") != "null"), given)
    inner = schema.get("items", {}) if schema.get("type") == "array" else schema
    return Field(
        name=name,
        says=str(given.get("description", "")),
        kind="ref" if takes else _kind(schema, inner),
        required=required,
        many=inner is not schema,
        choices=tuple(inner.get("enum", ())),
        takes=tuple(takes),
        default=given.get("default"),
        minimum=inner.get("minimum", inner.get("exclusiveMinimum")),
        maximum=inner.get("maximum", inner.get("exclusiveMaximum")),
    )


def _kind(schema: Mapping[str, Any], inner: Mapping[str, Any]) -> Kind:
    of, many = inner.get("type"), inner is not schema
    if "enum" in inner:
        return "choice"
    if of == "string":
        return "words" if many else "text"
    if of in ("integer", "number"):
        return "numbers" if many else of
    return "yes or no" if of == "boolean" and not many else "json"


class Wrong(BaseModel):
    """A field that is wrong, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    argument: str
    """Empty: the step itself."""
    problem: str


def wrong_in(steps: Sequence[Step], registry: Registry) -> list[Wrong]:
    """Return the wrong fields of a plan, each once with what was expected of it."""
    found: list[Wrong] = []
    for step in steps:
        if step.tool not in registry:
            found.append(Wrong(step=step.id, argument="", problem=f"There is no tool {step.tool!r}."))
            continue
        try:
            registry.get(step.tool).args_model.model_validate(step.args)
        except ValidationError as error:
            told = {str(e["loc"][0]) if e["loc"] else "": _said(e) for e in error.errors(include_url=False)}
            found += [Wrong(step=step.id, argument=name, problem=said) for name, said in told.items()]
    return found


def _said(error: Mapping[str, Any]) -> str:
    return "This is needed." if error["type"] == "missing" else f"{error['msg']}."
