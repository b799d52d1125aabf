"""Models that run elsewhere: behind a small HTTP protocol (docs/models.md), or behind a tool of an MCP server."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from tools.errors import BadInputError, UnavailableError
from tools.imaging.volume import BoolArray, Volume
from tools.models.remote.address import address_refusal, origin_of
from tools.models.remote.calls import MAX_ANSWER_BYTES, RemoteModel, Transport, late
from tools.models.remote.wire import WireBox, WireRequest, WireResult, image_in, image_out, mask_in
from tools.models.runtimes.base import (
    FoundBox,
    FoundPoint,
    Grounding,
    Loading,
    Options,
    Progress,
    Prompt,
    Segmentation,
)
from tools.places import Position
from tools.results import LabelScore

CONNECT_S = 5.0
PROMPTED = "prompted"
"""Under this name the mask of a prompt comes back."""


class RemoteOptions(Options):
    """The table [options] of a remote card."""

    url: str
    """Address of the server; for MCP, of its streamable HTTP endpoint."""
    model: str = ""
    """Name of the model there; empty: the card's."""
    tool: str = "run_model"
    """For MCP: the tool to call; it takes the request as its argument `request`."""
    timeout_s: float = Field(default=300.0, gt=0)
    """After how long an answer is no longer waited for."""


class RemoteRuntime:
    """A model elsewhere, with the methods of every verb; the server refuses those that it lacks."""

    def __init__(self, model: RemoteModel, name: str, targets: Sequence[str]) -> None:
        self._model = model
        self._name = name
        self._targets = frozenset(targets)
        self.device = f"remote ({model.transport.where})"

    def segment(self, volume: Volume, targets: Sequence[str], progress: Progress) -> Segmentation:
        """See `SegmentRuntime`."""
        result = self._ask("segment", volume, {"targets": list(targets)}, progress)
        return Segmentation(self._masks(result, volume, targets), result.notes)

    def segment_prompted(self, volume: Volume, prompt: Prompt, progress: Progress) -> BoolArray:
        """See `PromptRuntime`."""
        given = {"points": prompt.points, "outside": prompt.outside, "box": prompt.box, "text": prompt.text}
        filled = {name: value for name, value in given.items() if value}
        result = self._ask("segment_prompted", volume, filled, progress)
        return self._masks(result, volume, (PROMPTED,))[PROMPTED]

    def classify(self, volume: Volume, labels: Sequence[str], progress: Progress) -> tuple[LabelScore, ...]:
        """See `ClassifyRuntime`."""
        result = self._ask("classify", volume, {"labels": list(labels)}, progress)
        if result.scores is None:
            raise self._model.refuse("it holds no scores")
        strangers = {row.label for row in result.scores} - (set(labels) or self._targets)
        if strangers and (labels or self._targets):
            raise self._model.refuse(f"it scores {sorted(strangers)[0]!r}, which was not asked for")
        return tuple(
            LabelScore(label=row.label, score=row.score, operating_point=row.operating_point) for row in result.scores
        )

    def detect(self, volume: Volume, target: str, progress: Progress) -> tuple[FoundBox, ...]:
        """See `DetectRuntime`."""
        result = self._ask("detect", volume, {"target": target}, progress)
        if result.boxes is None:
            raise self._model.refuse("it holds no boxes")
        return self._boxes(result.boxes, volume)

    def ground(self, volume: Volume, phrase: str, progress: Progress) -> Grounding:
        """See `GroundRuntime`."""
        result = self._ask("ground", volume, {"phrase": phrase}, progress)
        mask = self._masks(result, volume, (PROMPTED,))[PROMPTED] if result.masks else None
        return Grounding(self._boxes(result.boxes or (), volume), mask, result.notes)

    def landmarks(self, volume: Volume, targets: Sequence[str], progress: Progress) -> tuple[FoundPoint, ...]:
        """See `LandmarkRuntime`."""
        result = self._ask("landmarks", volume, {"targets": list(targets)}, progress)
        if result.points is None:
            raise self._model.refuse("it holds no points")
        for point in result.points:
            self._require_inside(point.voxel, volume, f"point {point.name!r}")
            if point.name not in targets:
                raise self._model.refuse(f"it names the point {point.name!r}, which was not asked for")
        return tuple(FoundPoint(point.name, point.voxel, point.score) for point in result.points)

    def answer(self, volume: Volume, question: str, progress: Progress) -> str:
        """See `AnswerRuntime`."""
        result = self._ask("answer", volume, {"question": question}, progress)
        if not result.text or not result.text.strip():
            raise self._model.refuse("it holds no text")
        return result.text

    def synthesize(self, source: Volume | None, parameters: Mapping[str, float | str], progress: Progress) -> Volume:
        """See `SynthesizeRuntime`."""
        result = self._ask("synthesize", source, {"parameters": dict(parameters)}, progress)
        if result.image is None:
            raise self._model.refuse("it holds no image")
        import numpy as np

        try:
            made = image_in(result.image, max_bytes=MAX_ANSWER_BYTES)
        except BadInputError as error:
            raise self._model.refuse(f"its image: {error}") from error
        if not np.isfinite(made.array).all():
            raise self._model.refuse("its image holds voxels that are not numbers")
        return made

    def _ask(self, verb: str, volume: Volume | None, arguments: Mapping[str, Any], progress: Progress) -> WireResult:
        progress(0.0, "packing the image")
        image = None if volume is None else image_out(volume)
        request = WireRequest(verb=verb, model=self._name, image=image, arguments=dict(arguments))
        return self._model.call(request, progress)

    def _masks(self, result: WireResult, volume: Volume, targets: Sequence[str]) -> dict[str, BoolArray]:
        if set(result.masks) != set(targets):
            given = ", ".join(sorted(result.masks)) or "none"
            raise self._model.refuse(f"masks of {', '.join(targets)} were asked for, got {given}")
        try:
            return {name: mask_in(result.masks[name], volume, f"its mask of {name}") for name in targets}
        except UnavailableError as error:
            raise self._model.refuse(str(error)) from error

    def _boxes(self, boxes: Sequence[WireBox], volume: Volume) -> tuple[FoundBox, ...]:
        for box in boxes:
            self._require_inside(box.lower, volume, f"box {box.label!r}")
            self._require_inside(box.upper, volume, f"box {box.label!r}")
            if any(low > high for low, high in zip(box.lower, box.upper, strict=True)):
                raise self._model.refuse(f"box {box.label!r} has its corners the wrong way round")
        ordered = sorted(boxes, key=lambda box: -(box.score or 0.0))
        return tuple(FoundBox(box.label, box.lower, box.upper, box.score) for box in ordered)

    def _require_inside(self, voxel: Position, volume: Volume, what: str) -> None:
        if any(not -0.5 <= at <= n - 0.5 for at, n in zip(voxel, volume.shape, strict=True)):
            raise self._model.refuse(f"{what} lies outside the image: {voxel} in {volume.shape}")


@dataclass(frozen=True)
class HttpTransport:
    """POST of JSON to an address; no redirect is followed and no proxy is asked: pixels go there or nowhere."""

    name: str
    url: str
    timeout_s: float

    @property
    def where(self) -> str:
        """The server's origin."""
        return origin_of(self.url)

    def send(self, body: str, deadline: float, stopped: threading.Event) -> bytes:
        """See `Transport`."""
        import httpx

        timeout = httpx.Timeout(max(0.1, deadline - time.monotonic()), connect=CONNECT_S)
        try:
            with (
                httpx.Client(timeout=timeout, trust_env=False, follow_redirects=False) as client,
                client.stream(
                    "POST", self.url, content=body.encode(), headers={"Content-Type": "application/json"}
                ) as response,
            ):
                if response.status_code >= 300 and response.status_code != 422:
                    raise UnavailableError(
                        f"model {self.name!r} at {self.where} answered {response.status_code} "
                        f"{response.reason_phrase}; see the server's own messages"
                    )
                return self._read(response, deadline, stopped)
        except httpx.ConnectError as error:
            raise UnavailableError(
                f"model {self.name!r}: nothing answers at {self.where}; start it there, or correct options.url of its "
                "card"
            ) from error
        except httpx.TimeoutException as error:
            raise late(self.name, self.where, self.timeout_s) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise UnavailableError(
                f"model {self.name!r} at {self.where} went away while it was asked "
                f"({str(error) or type(error).__name__}); see the server's own messages"
            ) from error

    def _read(self, response: Any, deadline: float, stopped: threading.Event) -> bytes:
        parts, size = [], 0
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if time.monotonic() > deadline or stopped.is_set():
                raise late(self.name, self.where, self.timeout_s)
            if size > MAX_ANSWER_BYTES:
                raise UnavailableError(f"model {self.name!r} at {self.where} sends more than {MAX_ANSWER_BYTES} bytes")
        return b"".join(parts)


@dataclass(frozen=True)
class McpTransport:
    """A tool of an MCP server, over streamable HTTP."""

    name: str
    url: str
    tool: str
    timeout_s: float

    @property
    def where(self) -> str:
        """The server's origin."""
        return origin_of(self.url)

    def send(self, body: str, deadline: float, stopped: threading.Event) -> str:
        """See `Transport`."""
        import anyio

        try:
            return anyio.run(self._call, body, deadline)
        except TimeoutError as error:
            raise late(self.name, self.where, self.timeout_s) from error
        except UnavailableError:
            raise
        except Exception as error:
            reason = _innermost(error)
            raise UnavailableError(
                f"model {self.name!r}: the MCP server at {self.where} cannot be used ({reason}); start it there, or "
                "correct options.url of its card"
            ) from error

    async def _call(self, body: str, deadline: float) -> str:
        import json

        import anyio
        import httpx2
        from mcp import Client
        from mcp.client.streamable_http import streamable_http_client

        remaining_s = max(0.1, deadline - time.monotonic())
        timeout = httpx2.Timeout(remaining_s, connect=CONNECT_S)
        with anyio.fail_after(remaining_s):
            async with (
                httpx2.AsyncClient(timeout=timeout, trust_env=False, follow_redirects=False) as http,
                Client(streamable_http_client(self.url, http_client=http, max_sse_event_size=None)) as client,
            ):
                result = await client.call_tool(self.tool, {"request": json.loads(body)})
        texts = [part.text for part in result.content if part.type == "text"]
        if result.is_error:
            said = " ".join(" ".join(texts).split())[:500]
            raise UnavailableError(f"model {self.name!r}: the MCP tool {self.tool!r} at {self.where} failed: {said}")
        return json.dumps(result.structured_content) if result.structured_content else "".join(texts)


def _innermost(error: BaseException) -> str:
    """Return the first error inside groups of errors, in one line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def load_http(loading: Loading) -> RemoteRuntime:
    """Return a model behind the HTTP protocol; nothing is sent before it is used."""
    options = _allowed(loading)
    return _runtime(loading, options, HttpTransport(loading.card.name, options.url, options.timeout_s))


def load_mcp(loading: Loading) -> RemoteRuntime:
    """Return a model behind an MCP tool; nothing is sent before it is used."""
    options = _allowed(loading)
    return _runtime(loading, options, McpTransport(loading.card.name, options.url, options.tool, options.timeout_s))


def _runtime(loading: Loading, options: RemoteOptions, transport: Transport) -> RemoteRuntime:
    card = loading.card
    model = RemoteModel(card.name, card.version, transport, options.timeout_s, loading.audit)
    return RemoteRuntime(model, options.model or card.name, card.targets if card.verb == "classify" else ())


def _allowed(loading: Loading) -> RemoteOptions:
    refusal = address_refusal(loading.card, loading.remote_models)
    if refusal:
        raise UnavailableError(f"model {loading.card.name!r}: {refusal}")
    return loading.options(RemoteOptions)
