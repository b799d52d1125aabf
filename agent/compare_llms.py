"""Compares language models as planners: the same cases, the same tools, the same checks, one row each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.errors import ConfigError, LLMUnavailableError, ModelBehaviorError
from agent.evals import PlansReport, evaluate_plans
from agent.llm.chat import Ask
from agent.llm.client import LLM, OPENAI_URL, Endpoint
from agent.llm.meter import Meter, metered

if TYPE_CHECKING:
    from pydantic import SecretStr

    from agent.assistant import Assistant
    from agent.settings import Settings

UNLIMITED = 10**12  # tokens: an evaluation is counted, not limited
DEFAULT = "as the settings say"


@dataclass(frozen=True)
class Contender:
    """A language model at an OpenAI-compatible endpoint."""

    base_url: str
    model: str | None = None
    """None: the only one that the endpoint serves."""


@dataclass(frozen=True)
class Compared:
    """How one planner did, or why it could not be asked."""

    name: str
    endpoint: str
    """Its address; for what plans without these options: "as the settings say"."""
    report: PlansReport | None
    tokens: int = 0
    """In and out, over all cases."""
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return one row, every case included."""
        row = {"llm": self.name, "endpoint": self.endpoint, "problem": self.problem, "tokens": self.tokens}
        if self.report is None:
            return row
        figures = self.report.to_json()
        del figures["baselines"]  # the same for all
        return figures | row


def contenders_of(endpoints: Sequence[str], models: Sequence[str]) -> tuple[Contender, ...]:
    """Pair endpoints with models: in order, several models at one endpoint, or one endpoint's only model.

    Raises:
        ConfigError: they do not pair.
    """
    if len(endpoints) == 1 and models:
        return tuple(Contender(endpoints[0], model) for model in models)
    if not models:
        return tuple(Contender(url) for url in endpoints)
    if len(endpoints) != len(models):
        raise ConfigError(
            f"--endpoint and --model go in pairs, got {len(endpoints)} and {len(models)}; several models may share one "
            "--endpoint"
        )
    return tuple(Contender(url, model) for url, model in zip(endpoints, models, strict=True))


def compare_llms(
    path: Path,
    assistant: Assistant,
    contenders: Sequence[Contender],
    on_row: Callable[[Compared], None] = lambda row: None,
) -> tuple[Compared, ...]:
    """Evaluate what plans now, then each contender; one that cannot be asked does not stop the others.

    Args:
        path: the cases, as for `evaluate_plans`.
        assistant: lends tools, models, embedder and the planner to compare with.
        contenders: the language models.
        on_row: told of each row as soon as it is there.
    """
    rows = []
    for row in _rows(path, assistant, contenders):
        on_row(row)
        rows.append(row)
    return tuple(rows)


def _rows(path: Path, assistant: Assistant, contenders: Sequence[Contender]) -> Iterator[Compared]:
    yield _evaluated(path, assistant, DEFAULT)
    for contender in contenders:
        llm = LLM(_endpoint(contender, assistant.settings))
        try:
            _try(llm)
        except (LLMUnavailableError, ConfigError) as error:
            yield Compared(contender.model or contender.base_url, contender.base_url, None, problem=str(error))
            continue
        yield _evaluated(path, _with_llm(assistant, llm), contender.base_url)


def _evaluated(path: Path, assistant: Assistant, endpoint: str) -> Compared:
    with metered(Meter(UNLIMITED)) as meter:
        report = evaluate_plans(path, assistant.open_planner())
    return Compared(report.llm, endpoint, report, meter.used)


def _with_llm(assistant: Assistant, llm: LLM) -> Assistant:
    return type(assistant)(
        settings=assistant.settings,
        registry=assistant.registry,
        hub=assistant.hub,
        llm=llm,
        embedder=assistant.open_embedder(),
    )


def _try(llm: LLM) -> None:
    """Ask once, so that a dead endpoint is one row and not one failure a case."""
    try:
        llm.chat(Ask("Answer with the word yes.", max_tokens=8))
    except ModelBehaviorError:
        return  # it answers; how well is what the evaluation finds out


def _endpoint(contender: Contender, settings: Settings) -> Endpoint:
    return Endpoint(
        base_url=contender.base_url,
        model=contender.model,
        api_key=_key(contender, settings),
        timeout_s=settings.llm_timeout_s,
        log_payloads=settings.log_payloads,
    )


def _key(contender: Contender, settings: Settings) -> SecretStr | None:
    """Return the key only for the endpoint that it was set for: a key is not handed to whoever is compared."""
    own = settings.llm_base_url or OPENAI_URL
    return settings.llm_api_key if contender.base_url.rstrip("/") == own.rstrip("/") else None
