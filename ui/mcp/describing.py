"""What an MCP client is told of each tool: name, description and schemas, all derived from its definition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp_types import Tool as ListedTool

    from tools.contract import Tool

ATTACH = "attach"
READING: Mapping[str, Any] = {
    "type": "string",
    "description": "The reading to work in, as 'attach' and every result name it. Leave it out to work in this "
    "session's own; over HTTP without a session, a call without it begins a new one.",
}
_ATTACHED: Mapping[str, Any] = {
    "path": {"type": "string", "description": "A file or DICOM folder on the server, inside a folder it may read."},
    "content": {"type": "string", "contentEncoding": "base64", "description": "The file itself, instead of a path."},
    "name": {"type": "string", "description": "With 'content': the file's name, such as ct.nii.gz."},
    "kind": {"enum": ["image", "mask", "report"], "default": "image", "description": "What it is."},
    "modality": {
        "type": "string",
        "description": "DICOM code (CT, MR, CR, …) for a file that does not say; never overrules a header.",
    },
    "series": {"type": "string", "description": "Number or SeriesInstanceUID where a folder or zip holds several."},
    "prior": {"type": "boolean", "default": False, "description": "Whether it is the earlier study."},
    "of": {"type": "string", "description": "For a mask: the image it belongs to, such as img1."},
    "label": {"type": "string", "description": "For a mask: what it outlines."},
    "reading": READING,
}


def listed(tools: Sequence[Tool], withheld: Mapping[str, str]) -> list[ListedTool]:
    """Return every tool as an MCP client lists it.

    Args:
        tools: the registered tools.
        withheld: per tool that must not be run here, why.
    """
    return [attach_tool(), *(listed_tool(tool, withheld.get(tool.name, "")) for tool in tools)]


def attach_tool() -> ListedTool:
    """Return the tool that brings files in."""
    from mcp_types import Tool as ListedTool
    from mcp_types import ToolAnnotations

    return ListedTool(
        name=ATTACH,
        title="Attach a file",
        description="Attach an image, DICOM folder, mask or report to the reading, so that other tools can work on "
        "it. Returns its id (img1, mask1, rep1), which other tools take as '@img1', and what it is.",
        input_schema={"type": "object", "properties": dict(_ATTACHED), "additionalProperties": False},
        annotations=ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False),
    )


def listed_tool(tool: Tool, withheld: str) -> ListedTool:
    """Return one registered tool as an MCP client lists it."""
    from mcp_types import Tool as ListedTool
    from mcp_types import ToolAnnotations

    return ListedTool(
        name=tool.name,
        title=tool.name.replace("_", " "),
        description=_description(tool, withheld),
        input_schema=input_schema(tool),
        output_schema=output_schema(tool),
        annotations=ToolAnnotations(read_only_hint=not tool.sends, destructive_hint=False, open_world_hint=tool.sends),
        _meta={"readingroom/kind": tool.kind, "readingroom/version": tool.version},
    )


def _description(tool: Tool, withheld: str) -> str:
    needs = [f"{name}: {', '.join(requires.modality)}" for name, requires in tool.requires.items() if requires.modality]
    parts = [tool.description]
    parts += [f"Works on {'; '.join(needs)}."] if needs else []
    parts += [withheld] if withheld else []
    return " ".join(parts)


def input_schema(tool: Tool) -> dict[str, Any]:
    """Return the schema of a tool's arguments, with the reading to work in."""
    schema = tool.args_schema
    return schema | {"type": "object", "properties": {**schema.get("properties", {}), "reading": dict(READING)}}


def output_schema(tool: Tool) -> dict[str, Any]:
    """Return the schema of the structured result: its id, its reading, and the tool's own typed result."""
    result = tool.result_type.model_json_schema(mode="serialization")
    definitions = result.pop("$defs", {})
    return {
        "type": "object",
        "properties": {"id": {"type": "string"}, "reading": {"type": "string"}, "result": result},
        "required": ["id", "reading", "result"],
        "$defs": definitions,
    }
