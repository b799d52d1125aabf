"""The registered tools as an MCP server, over standard input and output or streamable HTTP."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.dispatch import StepBugError
from agent.errors import RunError
from agent.pausing import reason_to_ask
from knowledge.errors import KnowledgeError
from tools.errors import ToolError
from ui.failures import keep_traceback
from ui.mcp import content
from ui.mcp.describing import ATTACH, listed
from ui.mcp.gate import Gate
from ui.mcp.readings import Readings
from ui.mcp.running import run_tool

if TYPE_CHECKING:
    import mcp_types as types
    from mcp.server import Server, ServerRequestContext
    from starlette.applications import Starlette

    from agent.assistant import Assistant
    from agent.settings import EgressPolicy

logger = logging.getLogger(f"readingroom.{__name__}")

AT_ONCE = 2  # two cores, one device: further calls wait
MAX_REQUEST_BYTES = 512_000_000  # a file sent as content: about 380 MB once decoded
_EVERY = "all"
INSTRUCTIONS = (
    "Tools on medical images, for research; not a medical device. Call 'attach' first: it returns an id such as "
    "img1, which the tools take as '@img1'. A tool's result has an id such as s1, which later calls take as '@s1'. "
    "Both hold within one reading: send back its id as 'reading'. Quote numbers as a tool measured them, and keep the "
    "marks SYNTHETIC, MOCK and MODEL OPINION wherever you pass a result on."
)


@dataclass(frozen=True)
class Lending:
    """What a server lends, decided by the person who starts it."""

    folders: Sequence[Path] = ()
    """Where files may be attached from by path."""
    allow: frozenset[str] = frozenset()
    """Tools that would ask for approval and may run all the same; "all": every one."""
    egress: EgressPolicy = "remote-deidentified"


class ToolServer:
    """Answers an MCP client's requests with an assistant's tools.

    Args:
        assistant: runs them and keeps the readings.
        lending: what it may lend.
        session: the one session of a transport that serves a single client, such as standard input and output.
    """

    def __init__(self, assistant: Assistant, lending: Lending, session: str | None = None) -> None:
        import anyio

        self._assistant = assistant
        self._lending = lending
        self._session = session
        self._gate = Gate(assistant, lending.egress)
        self._readings = Readings(assistant, lending.folders)
        self._limiter = anyio.CapacityLimiter(AT_ONCE)

    def server(self) -> Server[Any]:
        """Return the protocol's side of it."""
        from importlib.metadata import version

        from mcp.server import Server

        return Server(
            "readingroom",
            title="Reading Room",
            version=version("readingroom"),
            instructions=INSTRUCTIONS,
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_templates,
            on_read_resource=self.read_resource,
        )

    def withheld(self) -> dict[str, str]:
        """Return the tools that may not be run here, each with the reason and what to do."""
        settings, found = self._assistant.settings, {}
        for tool in self._assistant.registry:
            reason = reason_to_ask(tool, settings, settings.approval)
            if reason and not {tool.name, _EVERY} & self._lending.allow:
                found[tool.name] = (
                    f"Needs a person's approval ({reason}), which this server has not: a person starts it with "
                    f"'readingroom mcp --allow {tool.name}'."
                )
        return found

    async def list_tools(
        self, ctx: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """Answer with every registered tool."""
        import mcp_types as types

        return types.ListToolsResult(tools=listed(list(self._assistant.registry), self.withheld()))

    async def call_tool(
        self, ctx: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Run a tool; what it refuses is an error that the client's model reads."""
        args = dict(params.arguments or {})
        try:
            reading = self._readings.of(self._session_of(ctx), args.pop("reading", None))
        except ToolError as error:
            return content.refused(str(error))
        try:
            if params.name == ATTACH:
                return await self._attach(reading, args)
            return await self._call(ctx, reading, params.name, args)
        except (ToolError, RunError, KnowledgeError) as error:
            return content.refused(self._gate.outgoing(reading, params.name, " ".join(str(error).split())))
        except (StepBugError, OSError) as error:
            path = keep_traceback(error)
            logger.exception("an MCP call of %s stopped unexpectedly", params.name)
            return content.refused(f"{params.name} stopped by an unexpected {type(error).__name__}; see {path.name}")

    async def _attach(self, reading: str, args: Mapping[str, Any]) -> types.CallToolResult:
        import anyio.to_thread

        attachment = await anyio.to_thread.run_sync(
            self._readings.take, reading, self._gate.incoming(reading, args), limiter=self._limiter
        )
        return await anyio.to_thread.run_sync(content.attached, self._gate, reading, attachment)

    async def _call(
        self, ctx: ServerRequestContext[Any], reading: str, name: str, args: Mapping[str, Any]
    ) -> types.CallToolResult:
        import anyio.to_thread

        self._assistant.registry.get(name)  # an unknown name is told with the known ones
        if refusal := self.withheld().get(name):
            return content.refused(f"{name} was not run. {refusal}")

        async def report(fraction: float, message: str) -> None:
            await ctx.session.report_progress(fraction, 1.0, message)

        given = self._gate.incoming(reading, args)
        artifact = await run_tool(self._assistant, reading, name, given, report, self._limiter)
        workspace = self._assistant.workspace(reading)
        return await anyio.to_thread.run_sync(content.result, self._gate, workspace, reading, artifact)

    async def list_resources(
        self, ctx: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        """Answer with the files of the session's own results."""
        import mcp_types as types

        reading = self._readings.known(self._session_of(ctx))
        found = content.resources(self._assistant.workspace(reading), reading) if reading else []
        return types.ListResourcesResult(resources=found)

    async def list_templates(
        self, ctx: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        """Answer with how files of results are addressed."""
        import mcp_types as types

        template = types.ResourceTemplate(
            uri_template=f"{content.SCHEME}://{{reading}}/{{step}}/{{file}}",
            name="a file of a result",
            description="As the links of a result give it.",
        )
        return types.ListResourceTemplatesResult(resource_templates=[template])

    async def read_resource(
        self, ctx: ServerRequestContext[Any], params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        """Answer with the bytes of one file."""
        import anyio.to_thread
        import mcp_types as types
        from mcp.shared.exceptions import MCPError

        uri = str(params.uri)
        try:
            reading = self._readings.of(self._session_of(ctx), content.reading_of(uri))
            workspace = self._assistant.workspace(reading)
            found = await anyio.to_thread.run_sync(content.contents, self._gate, workspace, uri)
        except ToolError as error:
            raise MCPError(types.INVALID_PARAMS, str(error)) from error
        return types.ReadResourceResult(contents=[found])

    def _session_of(self, ctx: ServerRequestContext[Any]) -> str | None:
        if self._session is not None or ctx.request is None:
            return self._session
        session: str | None = ctx.request.headers.get("mcp-session-id")
        return session


def serve_stdio(assistant: Assistant, lending: Lending) -> None:
    """Serve one client over standard input and output until it hangs up."""
    import anyio
    from mcp.server.stdio import stdio_server

    server = ToolServer(assistant, lending, session="stdio").server()

    async def run() -> None:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    anyio.run(run)


def http_app(assistant: Assistant, lending: Lending, host: str = "127.0.0.1") -> Starlette:
    """Return the ASGI application that serves MCP at /mcp."""
    server = ToolServer(assistant, lending).server()
    return server.streamable_http_app(host=host, max_request_body_size=MAX_REQUEST_BYTES)
