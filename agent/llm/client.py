"""The one door to language models: any OpenAI-compatible endpoint, through the openai package.

OpenAI, vLLM, Ollama, llama.cpp and the embedded server all answer here. Structured output is a JSON schema in
`response_format`, so nothing depends on one vendor's tool calling.
"""

from __future__ import annotations

import hashlib
import json
import logging
import queue
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from pydantic import SecretStr

from agent.errors import ConfigError, LLMUnavailableError, ModelBehaviorError
from agent.llm.chat import Ask, CallHook, Reply, mean_logprob
from agent.llm.egress import Passage, Pseudonyms, policy_for
from agent.llm.hearing import Hearing
from agent.llm.meter import stop_if_cancelled, wait
from agent.llm.retrying import refused_parameter, wait_s
from agent.settings import EgressPolicy
from tools.loopback import is_loopback

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.chat import ChatCompletion

    from tools.audit import AuditLog

logger = logging.getLogger(f"readingroom.{__name__}")

OPENAI_URL = "https://api.openai.com/v1"
DEFAULT_OPENAI_MODEL = "gpt-4.1-mini"  # asked when there is a key but no model named

_CONNECT_S = 5.0
_MAX_TRIES = 4
_TICK_S = 0.05
_DROPPED = ("RemoteProtocolError", "ReadError", "WriteError")  # httpx: the connection was there, and broke


@dataclass(frozen=True)
class Endpoint:
    """Where a language model answers, and what may leave to it."""

    base_url: str
    model: str | None = None
    """None: the only model that the endpoint serves."""
    api_key: SecretStr | None = None
    timeout_s: float = 120.0
    egress: EgressPolicy | None = None
    capable: bool = True
    """Whether its prose and judgement are good enough to rely on."""
    log_payloads: bool = False
    egress_by_endpoint: Mapping[str, EgressPolicy] = field(default_factory=dict)
    """What may leave to one endpoint, by address or host; goes before `egress`."""
    identifiers: Callable[[], Sequence[str]] = tuple
    """What is known of the patients of the open readings; none of it leaves unless the policy allows patient data."""
    audit: AuditLog | None = None
    """Where every call to another machine is written down."""
    sees_images: bool = False
    """Whether it reads pictures."""


class LLM:
    """A language model behind an endpoint. Implements tools.contract.TextModel.

    Args:
        endpoint: where it answers.
        sleep: waits between retries; tests pass their own.
    """

    def __init__(self, endpoint: Endpoint, sleep: Callable[[float], None] = wait) -> None:
        self._endpoint = endpoint
        self._sleep = sleep
        self._policy = policy_for(endpoint.base_url, endpoint.egress, endpoint.egress_by_endpoint)
        self._pseudonyms = Pseudonyms()
        self._streams = True  # until it is seen that it does not: then no answer is asked for twice

    @cached_property
    def name(self) -> str:
        """Which model answers; asks the endpoint when no model was set."""
        if self._endpoint.model:
            return self._endpoint.model
        deadline = time.monotonic() + self._endpoint.timeout_s
        listed = lambda: [model.id for model in self._client.models.list()]  # noqa: E731
        served = self._guarded(lambda: self._within(deadline, listed))
        if len(served) != 1:
            raise ConfigError(
                f"READINGROOM_LLM_MODEL must name a model of {self._endpoint.base_url}; it serves "
                f"{', '.join(served[:8]) or 'none'}"
            )
        return str(served[0])

    @property
    def can_write(self) -> bool:
        """Whether its prose and judgement are good enough to rely on."""
        return self._endpoint.capable

    def complete(self, prompt: str, *, schema: Mapping[str, Any] | None = None, max_tokens: int = 512) -> str:
        """Return the answer to a prompt, decoded under a JSON schema where one is given."""
        return self.chat(Ask(prompt, schema=schema, max_tokens=max_tokens)).text

    @property
    def sees_images(self) -> bool:
        """Whether it reads pictures, by the settings."""
        return self._endpoint.sees_images

    def chat(self, ask: Ask, on_call: CallHook | None = None) -> Reply:
        """Answer one call.

        Raises:
            LLMUnavailableError: bad key, dead or slow endpoint, rate limit that does not end, model unknown.
            ModelBehaviorError: an empty answer, a refusal, or JSON cut off or malformed.
            ConfigError: something would leave that the egress policy forbids.
        """
        started = time.monotonic()
        passage = self._passage()
        parameters = self._parameters(ask, passage)
        notes: list[str] = []
        answer: ChatCompletion | None = None
        finish = "failed"
        try:
            answer = self._create(parameters, notes, Hearing(passage, ask.on_text) if ask.on_text else None)
            reply = self._reply(answer, ask, passage, time.monotonic() - started, notes)
            finish = reply.finish_reason
        finally:
            if on_call is not None:
                on_call(self._line(ask, answer, finish, time.monotonic() - started, notes))
        return reply

    # --- inside

    def _passage(self) -> Passage:
        known = self._endpoint.identifiers() if self._policy == "remote-deidentified" else ()
        return Passage(self._policy, known, self._pseudonyms)

    def _write_down(self, ask: Ask, parameters: Mapping[str, Any], passage: Passage) -> None:
        """Keep in the audit log that something leaves, before it does."""
        if self._endpoint.audit is None or self._policy == "local":
            return
        sent = json.dumps([parameters["messages"], parameters.get("response_format")], sort_keys=True)
        self._endpoint.audit.append(
            to=self._endpoint.base_url,
            model=self.name,
            policy=self._policy,
            purpose=ask.purpose,
            characters=len(sent),
            sha256=hashlib.sha256(sent.encode()).hexdigest(),
            images=passage.images,
            replaced=dict(passage.counts),
        )

    @cached_property
    def _client(self) -> OpenAI:
        from openai import DefaultHttpxClient, OpenAI, Timeout

        key = self._endpoint.api_key.get_secret_value() if self._endpoint.api_key else "none"
        timeout = Timeout(self._endpoint.timeout_s, connect=min(_CONNECT_S, self._endpoint.timeout_s))
        local = is_loopback(self._endpoint.base_url)
        http = DefaultHttpxClient(timeout=timeout, trust_env=not local)
        weakref.finalize(self, http.close)
        return OpenAI(base_url=self._endpoint.base_url, api_key=key, timeout=timeout, max_retries=0, http_client=http)

    def _parameters(self, ask: Ask, passage: Passage) -> dict[str, Any]:
        limit = "max_completion_tokens" if self._endpoint.base_url == OPENAI_URL else "max_tokens"
        parameters: dict[str, Any] = {
            "model": self.name,
            "messages": passage.outgoing(ask.messages),
            "temperature": ask.temperature,
            "seed": ask.seed,
            limit: ask.max_tokens,
        }
        if ask.on_text is not None and self._streams:
            parameters |= {"stream": True, "stream_options": {"include_usage": True}}
        if ask.needs_likelihood:
            parameters["logprobs"] = True
        if ask.schema is not None:
            schema = {"name": "answer", "strict": True, "schema": passage.data(ask.schema)}
            parameters["response_format"] = {"type": "json_schema", "json_schema": schema}
        self._write_down(ask, parameters, passage)
        return parameters

    def _create(self, parameters: dict[str, Any], notes: list[str], hearing: Hearing | None) -> ChatCompletion:
        """Call the endpoint; try again where that can help, all within the time limit."""
        try:
            return self._tried(parameters, notes, lambda: self._call(parameters, notes, hearing))
        finally:
            if hearing is not None:
                hearing.give_up()

    def _call(self, parameters: dict[str, Any], notes: list[str], hearing: Hearing | None) -> ChatCompletion:
        """Make one call; where somebody listens, the answer is taken in while it is written."""
        import openai
        from openai.types.chat import ChatCompletion

        if hearing is None or "stream" not in parameters:
            return cast("ChatCompletion", self._client.chat.completions.create(**parameters))
        with self._client.chat.completions.create(**parameters) as stream:
            try:
                whole = hearing.whole(stream)
            except Exception as error:
                if not type(error).__module__.startswith("httpx"):  # openai 2 has httpx, openai 3 httpx2
                    raise
                raise openai.APIConnectionError(request=stream.response.request) from error
        if not whole["choices"]:
            notes.append("endpoint does not stream")
            self._streams = False
            parameters.pop("stream")
            parameters.pop("stream_options", None)
            return self._call(parameters, notes, None)
        return ChatCompletion.construct(**whole)

    def _tried(
        self, parameters: dict[str, Any], notes: list[str], call: Callable[[], ChatCompletion]
    ) -> ChatCompletion:
        import openai

        deadline = time.monotonic() + self._endpoint.timeout_s
        for attempt in range(1, _MAX_TRIES + 1):
            try:
                return cast("ChatCompletion", self._within(deadline, call))
            except openai.BadRequestError as error:
                if not (refused := refused_parameter(error, parameters)):
                    raise self._unavailable(error) from None
                value = parameters.pop(refused)
                if refused == "max_tokens":
                    parameters["max_completion_tokens"] = value
                if refused == "stream":
                    parameters.pop("stream_options", None)
                notes.append(f"endpoint takes no {refused}")
            except openai.OpenAIError as error:
                seconds = wait_s(error, attempt) if may_help_to_wait(error) else None
                if seconds is None or attempt == _MAX_TRIES or time.monotonic() + seconds >= deadline:
                    raise self._unavailable(error) from None
                notes.append(f"{type(error).__name__}, waited {seconds:.1f} s")
                self._sleep(seconds)
            except ValueError:
                raise LLMUnavailableError(
                    f"{self._where} answers with something that is no JSON; is it OpenAI-compatible, and ends in /v1?"
                ) from None
        raise LLMUnavailableError(f"{self._where} refuses the request's parameters: {'; '.join(notes)}")

    def _within(self, deadline: float, call: Callable[[], Any]) -> Any:
        """Make a call that ends at the time limit and at a cancel, also when bytes come one by one or not at all.

        The call runs in a thread; one that is given up ends by itself when the endpoint lets go of it.
        """
        ended: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

        def work() -> None:
            try:
                ended.put((call(), None))
            except BaseException as error:  # noqa: BLE001  raised again in the caller's thread
                ended.put((None, error))

        threading.Thread(target=work, name="llm-call", daemon=True).start()
        while True:
            stop_if_cancelled()
            try:
                value, error = ended.get(timeout=_TICK_S)
            except queue.Empty:
                if time.monotonic() > deadline:
                    raise self._too_slow() from None
                continue
            if error is not None:
                raise error
            return value

    def _reply(self, answer: ChatCompletion, ask: Ask, passage: Passage, seconds: float, notes: list[str]) -> Reply:
        if not answer.choices:
            raise ModelBehaviorError(f"{self._where} answered without any choice")
        choice, usage = answer.choices[0], answer.usage
        if refusal := getattr(choice.message, "refusal", None):
            raise ModelBehaviorError(f"{self.name} refused: {refusal[:200]}")
        if choice.finish_reason == "content_filter":
            raise ModelBehaviorError(f"{self.name}: the answer was stopped by the endpoint's content filter")
        if not (choice.message.content or "").strip():
            raise ModelBehaviorError(f"{self.name} gave an empty answer (finish reason {choice.finish_reason!r})")
        reply = Reply(
            text=passage.incoming(choice.message.content or ""),
            tokens_in=usage.prompt_tokens if usage else 0,
            tokens_out=usage.completion_tokens if usage else 0,
            seconds=seconds,
            model=self.name,
            finish_reason=getattr(choice, "finish_reason", None) or "stop",
            mean_logprob=mean_logprob(choice),
            notes=tuple(notes),
            altered=passage.altered,
        )
        if ask.schema is not None:
            reply.json()
        return reply

    def _line(
        self, ask: Ask, answer: ChatCompletion | None, finish: str, seconds: float, notes: list[str]
    ) -> dict[str, Any]:
        """Return what the run record keeps of a call; an answer that could not be used has cost its tokens too."""
        usage = answer.usage if answer else None
        line: dict[str, Any] = {
            "model": self.name,
            "endpoint": self._endpoint.base_url,
            "egress": self._policy,
            "prompt": ask.purpose,
            "prompt_sha256": ask.prompt_sha256,
            "seed": ask.seed,
            "seconds": round(seconds, 3),
            "tokens_in": usage.prompt_tokens if usage else None,
            "tokens_out": usage.completion_tokens if usage else None,
            "finish_reason": finish,
            "notes": notes,
        }
        if self._endpoint.log_payloads:
            said = answer.choices[0].message.content if answer and answer.choices else None
            line |= {"messages": ask.messages, "answer": said}
        return line

    @property
    def _where(self) -> str:
        return f"the LLM at {self._endpoint.base_url}"

    def _guarded(self, call: Callable[[], Any]) -> Any:
        import openai

        try:
            return call()
        except openai.OpenAIError as error:
            raise self._unavailable(error) from None
        except Exception as error:
            if not type(error).__module__.startswith("httpx"):  # openai 2 has httpx, openai 3 httpx2
                raise
            raise LLMUnavailableError(f"{self._where} stopped answering: {type(error).__name__}") from None

    def _too_slow(self) -> LLMUnavailableError:
        return LLMUnavailableError(
            f"{self._where} gave no whole answer within {self._endpoint.timeout_s:g} s (READINGROOM_LLM_TIMEOUT_S)"
        )

    def _unavailable(self, error: Exception) -> LLMUnavailableError:
        """Say in one line what is wrong and what to do."""
        import openai

        if isinstance(error, openai.APITimeoutError):
            return self._too_slow()
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return LLMUnavailableError(f"{self._where} refuses the key; set OPENAI_API_KEY or READINGROOM_LLM_API_KEY")
        if isinstance(error, openai.NotFoundError):
            return LLMUnavailableError(
                f"{self._where} knows no model {self._endpoint.model!r} or no such path; "
                "set READINGROOM_LLM_MODEL, and end READINGROOM_LLM_BASE_URL in /v1"
            )
        if isinstance(error, openai.APIConnectionError):
            return LLMUnavailableError(
                f"{self._where} cannot be reached ({_cause(error)}); start it or set READINGROOM_LLM_BASE_URL"
            )
        if isinstance(error, openai.RateLimitError):
            wished = getattr(error, "response", None)
            later = wished.headers.get("retry-after", "") if wished is not None else ""
            when = f", and asks to come back after {later} s" if later.isdigit() else ""
            return LLMUnavailableError(
                f"{self._where} limits the rate or the quota is used up{when}: {_first_line(error)}"
            )
        return LLMUnavailableError(f"{self._where} cannot answer: {_first_line(error)}")


def may_help_to_wait(error: Exception) -> bool:
    """Return whether another try can help: a busy or faltering server, a dropped connection; never a bad key."""
    import openai

    if isinstance(error, openai.APITimeoutError):
        return False
    if isinstance(error, openai.RateLimitError):
        return getattr(error, "code", "") != "insufficient_quota"
    if isinstance(error, openai.APIConnectionError):
        return type(error.__cause__).__name__ in _DROPPED
    return isinstance(error, openai.InternalServerError)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _cause(error: Exception) -> str:
    return str(error.__cause__ or error).splitlines()[0][:120] or type(error).__name__
