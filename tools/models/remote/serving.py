"""The other end: lends one model of this installation to Reading Rooms elsewhere, over HTTP or as an MCP tool."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tools.errors import BadInputError, ToolError, UnsupportedError
from tools.imaging.volume import Volume
from tools.models.card import ModelCard
from tools.models.hub import Choice, Hub
from tools.models.remote.wire import (
    PROTOCOL,
    WireBox,
    WireError,
    WirePoint,
    WireRequest,
    WireResponse,
    WireResult,
    WireScore,
    image_in,
    image_out,
    mask_out,
)
from tools.models.runtimes.base import Prompt, image_of, silent
from tools.models.runtimes.remote import PROMPTED

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

MAX_REQUEST_BYTES = 2_000_000_000  # a CT of 1024³ voxels, packed


class LentModel:
    """One card's model, answering requests of the wire.

    Args:
        hub: loads it.
        card: which.
    """

    def __init__(self, hub: Hub, card: ModelCard) -> None:
        self._hub = hub
        self.card = card

    def answer(self, body: str | bytes | Mapping[str, Any]) -> WireResponse:
        """Return the result of a request, or the error that the other end should show."""
        try:
            data = body if isinstance(body, Mapping) else json.loads(body)
            return self._respond(result=self._run(WireRequest.model_validate(data)))
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in problem["loc"])
            return self._respond(error=WireError(kind="bad_input", message=f"request {where}: {problem['msg']}"))
        except (ValueError, RecursionError):
            return self._respond(error=WireError(kind="bad_input", message="the request is no JSON"))
        except ToolError as error:
            known = error.kind in ("bad_input", "unsupported", "unavailable")
            kind = error.kind if known else "unavailable"
            return self._respond(error=WireError.model_validate({"kind": kind, "message": str(error)[:2000]}))

    def _respond(self, result: WireResult | None = None, error: WireError | None = None) -> WireResponse:
        return WireResponse(protocol=PROTOCOL, version=self.card.version, result=result, error=error)

    def _run(self, request: WireRequest) -> WireResult:
        if request.model != self.card.name:
            raise UnsupportedError(f"this server lends {self.card.name!r}, not {request.model!r}")
        served = {self.card.verb, "segment_prompted"} if self.card.prompts else {self.card.verb}
        if request.verb not in served or request.verb not in _CALLS:
            raise UnsupportedError(f"{self.card.name!r} serves {self.card.verb}, not {request.verb!r}")
        volume = None if request.image is None else image_in(request.image, max_bytes=MAX_REQUEST_BYTES)
        if volume is None and request.verb != "synthesize":
            raise BadInputError(f"{request.verb} needs an image")
        call, needed = _CALLS[request.verb]
        if needed and needed not in request.arguments:
            raise BadInputError(f"{request.verb} needs the argument {needed!r}")
        choice = Choice(self.card, "asked for by name")
        used = self._hub.use(choice, lambda runtime: call(runtime, volume, request.arguments))
        return used.value.model_copy(update={"notes": (*used.value.notes, *used.notes)})


def http_app(model: LentModel) -> Starlette:
    """Return the ASGI application: POST / runs the model, GET / says which it is."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    async def run(request: Request) -> Response:
        length = request.headers.get("content-length", "")
        if not length.isdigit() or int(length) > MAX_REQUEST_BYTES:
            return Response("a request needs a Content-Length within the limit", status_code=413)
        response = await run_in_threadpool(model.answer, await request.body())
        text = response.model_dump_json(exclude_none=True)
        return Response(text, media_type="application/json", status_code=422 if response.error else 200)

    async def show(request: Request) -> Response:
        card = model.card
        told = {"protocol": PROTOCOL, "model": card.name, "verb": card.verb, "version": card.version}
        return JSONResponse(told | {"targets": list(card.targets)})

    return Starlette(routes=[Route("/", show, methods=["GET"]), Route("/", run, methods=["POST"])])


def mcp_app(model: LentModel) -> Starlette:
    """Return an MCP server at /mcp with the tool `run_model`."""
    import anyio.to_thread
    from mcp.server import MCPServer

    server = MCPServer(f"Reading Room: {model.card.name}", version=model.card.version)

    async def run_model(request: dict[str, Any]) -> dict[str, Any]:
        """Run the model on an image; request and answer as in Reading Room's docs/models.md."""
        response = await anyio.to_thread.run_sync(model.answer, request)
        return response.model_dump(mode="json", exclude_none=True)

    server.tool()(run_model)
    return server.streamable_http_app(json_response=True, stateless_http=True, max_request_body_size=MAX_REQUEST_BYTES)


def _segment(runtime: Any, volume: Volume, arguments: Mapping[str, Any]) -> WireResult:
    found = runtime.segment(volume, tuple(arguments["targets"]), silent)
    return WireResult(masks={t: mask_out(m, volume) for t, m in found.masks.items()}, notes=found.notes)


def _segment_prompted(runtime: Any, volume: Volume, arguments: Mapping[str, Any]) -> WireResult:
    box = arguments.get("box")
    prompt = Prompt(
        points=tuple(tuple(p) for p in arguments.get("points", ())),
        outside=tuple(tuple(p) for p in arguments.get("outside", ())),
        box=(tuple(box[0]), tuple(box[1])) if box else None,
        text=str(arguments.get("text", "")),
    )
    return WireResult(masks={PROMPTED: mask_out(runtime.segment_prompted(volume, prompt, silent), volume)})


def _classify(runtime: Any, volume: Volume, arguments: Mapping[str, Any]) -> WireResult:
    rows = runtime.classify(volume, tuple(arguments["labels"]), silent)
    return WireResult(scores=tuple(WireScore.model_validate(row.model_dump()) for row in rows))


def _detect(runtime: Any, volume: Volume, arguments: Mapping[str, Any]) -> WireResult:
    return WireResult(boxes=_boxes(runtime.detect(volume, str(arguments["target"]), silent)))


def _ground(runtime: Any, volume: Volume, arguments: Mapping[str, Any]) -> WireResult:
    found = runtime.ground(volume, str(arguments["phrase"]), silent)
    masks = {} if found.mask is None else {PROMPTED: mask_out(found.mask, volume)}
    return WireResult(boxes=_boxes(found.boxes), masks=masks, notes=found.notes)


def _landmarks(runtime: Any, volume: Volume, arguments: Mapping[str, Any]) -> WireResult:
    points = runtime.landmarks(volume, tuple(arguments["targets"]), silent)
    return WireResult(points=tuple(WirePoint(name=p.name, voxel=p.voxel, score=p.score) for p in points))


def _answer(runtime: Any, volume: Volume, arguments: Mapping[str, Any]) -> WireResult:
    return WireResult(text=runtime.answer(volume, str(arguments["question"]), silent))


def _synthesize(runtime: Any, volume: Volume | None, arguments: Mapping[str, Any]) -> WireResult:
    return WireResult(image=image_out(image_of(runtime.synthesize(volume, dict(arguments["parameters"]), silent))))


def _boxes(boxes: Any) -> tuple[WireBox, ...]:
    return tuple(WireBox(label=b.label, lower=b.lower, upper=b.upper, score=b.score) for b in boxes)


_CALLS: Mapping[str, tuple[Callable[..., WireResult], str]] = {
    "segment": (_segment, "targets"),
    "segment_prompted": (_segment_prompted, ""),
    "classify": (_classify, "labels"),
    "detect": (_detect, "target"),
    "ground": (_ground, "phrase"),
    "landmarks": (_landmarks, "targets"),
    "answer": (_answer, "question"),
    "synthesize": (_synthesize, "parameters"),
}
"""By verb: what calls the runtime, and the argument that must be there."""
