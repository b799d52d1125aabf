"""The embedded language model: llama.cpp inside this process, behind an OpenAI-compatible server on loopback.

It is started once per process, at the first call, shared by every reading, and stopped when the process ends. It asks
for a random key, so that nobody else on the machine can use it.
"""

from __future__ import annotations

import atexit
import logging
import os
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from agent.errors import LLMUnavailableError
from agent.llm.chat import Ask, CallHook, Reply
from agent.llm.client import LLM, Endpoint

logger = logging.getLogger(f"readingroom.{__name__}")

MODEL_NAME = "SmolLM2-135M-Instruct-Q4_1"
MAX_THREADS = 4  # 135 million parameters gain nothing from more
CONTEXT_TOKENS = 4096
SLOTS = 2  # requests answered side by side; each has half of the context

_starting = threading.Lock()
_running: dict[Path, _Embedded] = {}


@dataclass(frozen=True)
class _Embedded:
    server: Any
    base_url: str
    key: SecretStr
    pid: int


class EmbeddedLLM:
    """The embedded model; its server starts at the first call. Implements tools.contract.TextModel.

    Args:
        weights: finds the GGUF file; called at the first call, so that nothing fails before it is needed.
        threads: upper bound of the threads that it reads a prompt with; None: the machine's cores, at most four. It
            writes with half of them: each word waits for the slowest thread, and beside other work the second thread
            on two cores made it ten times slower (docs/planning.md).
        timeout_s: seconds that one answer may take.
    """

    name = MODEL_NAME
    can_write = False

    def __init__(self, weights: Callable[[], Path], *, threads: int | None = None, timeout_s: float = 30.0) -> None:
        self._weights = weights
        self._threads = threads or min(MAX_THREADS, os.cpu_count() or 1)
        self._timeout_s = timeout_s
        self._client: tuple[_Embedded, LLM] | None = None

    def chat(self, ask: Ask, on_call: CallHook | None = None) -> Reply:
        """Answer one call; for the errors see `LLM.chat`.

        Raises:
            LLMUnavailableError: weights or the xllamacpp package are missing, or the server did not start.
        """
        return self._open().chat(ask, on_call)

    def complete(self, prompt: str, *, schema: Mapping[str, Any] | None = None, max_tokens: int = 512) -> str:
        """Return the answer to a prompt, decoded under a JSON schema where one is given."""
        return self.chat(Ask(prompt, schema=schema, max_tokens=max_tokens)).text

    def _open(self) -> LLM:
        running = _start_once(self._weights(), self._threads)
        if self._client is None or self._client[0] is not running:
            self._client = (running, self._client_of(running))
        return self._client[1]

    def _client_of(self, running: _Embedded) -> LLM:
        return LLM(
            Endpoint(
                base_url=running.base_url,
                model=MODEL_NAME,
                api_key=running.key,
                timeout_s=self._timeout_s,
                egress="local",
                capable=False,
            )
        )


def _start_once(weights: Path, threads: int) -> _Embedded:
    with _starting:
        running = _running.get(weights)
        if running is None or running.pid != os.getpid():
            running = _running[weights] = _start(weights, threads)
        return running


def _start(weights: Path, threads: int) -> _Embedded:
    if not weights.is_file():
        raise LLMUnavailableError(
            f"the embedded LLM's weights are missing ({weights.name}); run 'readingroom samples get smollm2'"
        )
    try:
        import xllamacpp
    except ImportError as error:
        raise LLMUnavailableError(f"the embedded LLM needs xllamacpp ({error}); pip install xllamacpp") from error
    key = secrets.token_hex(16)
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {MODEL_NAME}
    params.hostnames = ["127.0.0.1"]
    params.port = 0  # the operating system chooses a free one
    params.api_keys = [key]
    params.cors_origins = "http://127.0.0.1"
    params.ui = False
    params.verbosity = 0
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = SLOTS
    params.n_gpu_layers = 0
    params.n_threads_http = SLOTS
    params.cpuparams.n_threads = max(1, threads // 2)
    params.cpuparams_batch.n_threads = threads
    try:
        server = xllamacpp.Server(params)
    except Exception as error:  # xllamacpp raises a bare RuntimeError or ValueError
        raise LLMUnavailableError(
            f"the embedded LLM did not start from {weights.name} ({error}); "
            "fetch its weights again: 'readingroom samples get smollm2'"
        ) from error
    logger.info("embedded LLM %s on %s with %d threads", MODEL_NAME, server.listening_address, threads)
    return _Embedded(server, f"{server.listening_address}/v1", SecretStr(key), os.getpid())


@atexit.register
def stop_embedded() -> None:
    """Stop every embedded server of this process."""
    with _starting:
        mine = [weights for weights, running in _running.items() if running.pid == os.getpid()]
        for weights in mine:
            del _running[weights]
