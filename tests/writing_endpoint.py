"""A language model on loopback that streams: it rewords a draft word by word, one sentence wrongly, and can be held."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.loopback import Quiet, listening

WRONG = "The lungs measure 9,999 ml."
PLAN: list[dict[str, Any]] = [
    {"id": "s1", "tool": "segment", "args": {"image": "@img1", "targets": ["lungs"]}, "when": None},
    {"id": "s2", "tool": "measure", "args": {"mask": "@s1", "quantities": ["volume"]}, "when": None},
]
"""For its `plan`: outlines the lungs, then measures them."""


@dataclass
class Writer:
    """What the model does, and what was asked of it."""

    go_on: threading.Event = field(default_factory=threading.Event)
    """Cleared: it stops before its last sentence until this is set."""
    rambles: bool = False
    """Then it goes on for a while after its last sentence."""
    plan: list[dict[str, Any]] | None = None
    """What it plans; it stops before its last step until `go_on` is set."""
    base_url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    """Set when somebody hung up while it was writing."""

    def settings(self) -> dict[str, str]:
        """Return the environment of a program that uses it."""
        return {"READINGROOM_LLM_BASE_URL": self.base_url, "READINGROOM_LLM_MODEL": "writer"}

    def pieces(self, prompt: str) -> Iterator[str]:
        """Yield the answer in pieces of a few letters."""
        if self.plan and "You edit a radiology" not in prompt:
            whole = json.dumps({"outcome": "plan", "message": "", "steps": self.plan})
            last = whole.rindex('{"id"')
            yield from (whole[i : min(i + 5, last)] for i in range(0, last, 5))
            self.go_on.wait(120)
            yield whole[last:]
            return
        if "You edit a radiology" not in prompt:
            yield from ('{"sentence": ', f'"{WRONG}"}}')
            return
        given = json.loads(prompt[prompt.index("\n[") :])
        written = [s.replace("Volume of the lungs:", "The lungs have a volume of") for s in given[:-1]] + [WRONG]
        for number, sentence in enumerate(written):
            text = ('{"sentences": [' if number == 0 else ", ") + json.dumps(sentence, ensure_ascii=False)
            if number == len(written) - 1:
                yield text[: len(text) // 2]
                self.go_on.wait(120)
                text = text[len(text) // 2 :]
            yield from (text[i : i + 5] for i in range(0, len(text), 5))
        yield "]}"
        for _ in range(2000 if self.rambles else 0):
            time.sleep(0.01)
            yield " "


@contextmanager
def writer() -> Iterator[Writer]:
    """Yield a model that answers until the block ends."""
    model = Writer()

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            model.asked.append(body)
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            try:
                for piece in model.pieces(str(body["messages"][-1]["content"])):
                    self._send({"delta": {"content": piece}, "finish_reason": None})
                self._send({"delta": {}, "finish_reason": "stop"})
                self.wfile.write(b"data: [DONE]\n\n")
            except OSError:
                model.left.set()

        def _send(self, choice: dict[str, Any]) -> None:
            body = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "writer"}
            self.wfile.write(f"data: {json.dumps(body | {'choices': [{'index': 0, **choice}]})}\n\n".encode())
            self.wfile.flush()

    with listening(Handler) as address:
        model.base_url = f"{address}/v1"
        try:
            yield model
        finally:
            model.go_on.set()
