"""Language models: one client for every endpoint, the embedded default, and the egress gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.llm.chat import Ask, CallHook, ChatModel, Message, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agent.settings import Settings
    from knowledge.assets import Assets
    from tools.workspace import Workspace

__all__ = ["Ask", "CallHook", "ChatModel", "Message", "Reply", "open_llm"]


def open_llm(settings: Settings, assets: Assets, workspaces: Mapping[str, Workspace] | None = None) -> ChatModel:
    """Return the language model that the settings name; the embedded one when they name none.

    Args:
        settings: say which, and what may leave to it.
        assets: hold the embedded one's weights.
        workspaces: the open readings, whose patients' identifiers must not leave.

    Raises:
        ConfigError: the settings contradict each other.
    """
    from agent.llm.client import DEFAULT_OPENAI_MODEL, LLM, OPENAI_URL, Endpoint
    from agent.llm.embedded import EmbeddedLLM
    from agent.llm.identifiers import Identifiers
    from tools.audit import AuditLog

    if settings.uses_embedded_llm:
        return EmbeddedLLM(lambda: _weights(assets), timeout_s=settings.llm_timeout_s)
    asks_openai = settings.llm_base_url is None
    endpoint = Endpoint(
        base_url=settings.llm_base_url or OPENAI_URL,
        model=settings.llm_model or (DEFAULT_OPENAI_MODEL if asks_openai else None),
        api_key=settings.llm_api_key,
        timeout_s=settings.llm_timeout_s,
        egress=settings.egress,
        log_payloads=settings.log_payloads,
        egress_by_endpoint=settings.egress_by_endpoint,
        identifiers=Identifiers(workspaces or {}),
        audit=AuditLog(settings.audit_path),
        sees_images=settings.llm_sees_images,
    )
    return LLM(endpoint)


def _weights(assets: Assets) -> Path:
    from agent.errors import LLMUnavailableError
    from knowledge.errors import UnavailableError

    try:
        return assets.path("smollm2", "model.gguf")
    except UnavailableError as error:
        raise LLMUnavailableError(str(error)) from error
