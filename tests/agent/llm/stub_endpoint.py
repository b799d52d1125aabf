"""An OpenAI-compatible endpoint on loopback that answers as a test wants."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.loopback import Quiet, listening

Answer = tuple[int, dict[str, Any] | str, dict[str, str]]


def says(text: str | None, *, finish: str = "stop", refusal: str | None = None) -> Answer:
    message = {"role": "assistant", "content": text, "refusal": refusal}
    body = {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "stub",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    }
    return 200, body, {}


def fails(status: int, message: str, **more: Any) -> Answer:
    headers = more.pop("headers", {})
    return status, {"error": {"message": message, "type": "error", **more}}, headers


class Stub:
    """Answers from a queue; the last answer is repeated."""

    def __init__(self, *answers: Answer | Callable[[], Answer]) -> None:
        self.answers = list(answers)
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.base_url = ""

    def next(self) -> Answer:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer() if callable(answer) else answer


def as_stream(body: dict[str, Any]) -> str:
    """Return an answer as an endpoint that streams sends it: in one piece, then what it cost."""
    (choice,) = body["choices"]
    said = {"index": 0, "delta": choice["message"], "finish_reason": choice["finish_reason"]}
    pieces = ({**body, "choices": [said], "usage": None}, {**body, "choices": []})
    events = [json.dumps({**piece, "object": "chat.completion.chunk"}) for piece in pieces]
    return "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"])


@contextmanager
def endpoint(*answers: Answer | Callable[[], Answer], streams: bool = False) -> Iterator[Stub]:
    """Yield an endpoint that gives answers in order.

    Args:
        answers: what it answers; the last one again and again.
        streams: whether it streams whole answers to who asks for it; else only an answer written as a stream is one.
    """
    stub = Stub(*answers)

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            stub.requests.append(body)
            stub.keys.append(self.headers.get("Authorization", ""))
            self._send(*stub.next(), streamed=bool(body.get("stream")))

        def do_GET(self) -> None:
            self._send(*stub.next(), streamed=False)

        def _send(self, status: int, body: dict[str, Any] | str, headers: dict[str, str], *, streamed: bool) -> None:
            if streamed and streams and isinstance(body, dict) and "choices" in body:
                body = as_stream(body)
            data = (body if isinstance(body, str) else json.dumps(body)).encode()
            kind = "text/event-stream" if streamed and isinstance(body, str) else "application/json"
            try:
                self.send_response(status)
                for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client gave up, as the test wants

    with listening(Handler) as address:
        stub.base_url = f"{address}/v1"
        yield stub


def slowly(seconds: float, answer: Answer) -> Callable[[], Answer]:
    def wait() -> Answer:
        time.sleep(seconds)
        return answer

    return wait


@contextmanager
def dripping(seconds: float) -> Iterator[str]:
    """An endpoint that sends a byte now and then, and never ends."""
    stopped = threading.Event()

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            while not stopped.wait(seconds):
                try:
                    self.wfile.write(b" ")
                except OSError:
                    return

    with listening(Handler) as address:
        try:
            yield f"{address}/v1"
        finally:
            stopped.set()
