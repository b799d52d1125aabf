"""What the page lets a person set, where each value comes from, and where it is kept.

Kept in `settings.toml` of the person's configuration folder, readable by them only. What the environment or
`readingroom.toml` says goes before it and cannot be changed on the page.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import tomli_w
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from agent.errors import ConfigError, RunError
from agent.llm.egress import Passage, policy_for
from agent.settings import Settings, origins, page_file, read_toml
from tools.errors import ToolError
from tools.workspace import write_atomically, writing

if TYPE_CHECKING:
    from agent.assistant import Assistant
    from agent.settings import EgressPolicy

EDITABLE = ("llm_base_url", "llm_model", "llm_api_key", "egress", "egress_by_endpoint", "approval")
TEST_PROMPT = "Answer with the single word: ready"
EXAMPLE = "Compare with the CT of John Smith, MRN 4711-22, of 2024-03-01: is the nodule in @img1 larger than 6 mm?"
OPENAI = "https://api.openai.com/v1"


class Wish(BaseModel):
    """What a person wants to set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    llm_base_url: str = ""
    llm_model: str = ""
    llm_api_key: str = ""
    """Empty: the one that is kept already."""
    egress: str = ""
    approval: str = "auto"
    egress_by_endpoint: dict[str, str] = {}
    """Policies of single endpoints, by address or host."""


class Preferences:
    """Reads, tries and keeps settings.

    Args:
        assistant: works with them from the next request on.
    """

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant

    @property
    def settings(self) -> Settings:
        """What the assistant works with now."""
        return self._assistant.settings

    def fixed(self) -> dict[str, str]:
        """Return the settings that the page cannot change, and what says them: a variable or a file."""
        return {name: origin for name, origin in origins().items() if origin and name in EDITABLE}

    def keep(self, wish: Wish) -> None:
        """Keep what a person wants and use it from the next request on.

        Raises:
            ConfigError: a value is not allowed; names setting and problem.
        """
        changes = {name: value for name, value in self._changes(wish).items() if name not in self.fixed()}
        kept = {**read_toml(page_file()), **changes}
        kept = {name: value for name, value in kept.items() if value not in (None, "", {})}
        wanted = self._valid(kept)
        path = page_file()
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
        write_atomically(path, tomli_w.dumps(kept))
        path.chmod(0o600)
        self._assistant.use(wanted)

    def try_out(self, wish: Wish) -> str:
        """Ask the language model for one word and say how it went.

        Raises:
            ConfigError: a value is not allowed.
            RunError: it cannot be asked; says why and what to do.
        """
        from agent.llm import Ask, open_llm

        llm = open_llm(self._wanted(wish), self._assistant.assets, {})
        started = time.monotonic()
        reply = llm.chat(Ask(TEST_PROMPT, max_tokens=16, purpose="test"))
        return f"{llm.name} answered “{reply.text.strip()[:60]}” in {time.monotonic() - started:.1f} s."

    def preview(self, wish: Wish) -> tuple[str, str, str]:
        """Return to where a request would go, under which policy, and how an example would read there.

        Raises:
            ConfigError: a value is not allowed.
        """
        wanted = self._wanted(wish)
        if wanted.uses_embedded_llm:
            return "the model inside this program", "local", EXAMPLE
        url = wanted.llm_base_url or OPENAI
        policy: EgressPolicy = policy_for(url, wanted.egress, wanted.egress_by_endpoint)
        (sent,) = Passage(policy).outgoing([{"role": "user", "content": EXAMPLE}])
        return url, policy, str(sent["content"])

    def _changes(self, wish: Wish) -> dict[str, Any]:
        changes: dict[str, Any] = {
            "llm_base_url": wish.llm_base_url.strip() or None,
            "llm_model": wish.llm_model.strip() or None,
            "egress": wish.egress or None,
            "egress_by_endpoint": {name.strip(): p for name, p in wish.egress_by_endpoint.items() if name.strip()},
            "approval": wish.approval or None,
        }
        if wish.llm_api_key:
            changes["llm_api_key"] = wish.llm_api_key
        elif changes["llm_base_url"] != self.settings.llm_base_url:
            changes["llm_api_key"] = None  # a key is for the endpoint that it was given for
        return changes

    def _wanted(self, wish: Wish) -> Settings:
        """Return the settings as they would be, without keeping them."""
        changes = {n: v for n, v in self._changes(wish).items() if n not in self.fixed()}
        return self._valid({**read_toml(page_file()), **changes})

    def _valid(self, kept: Mapping[str, Any]) -> Settings:
        """Return the settings with what is kept, and everything else as it is now."""
        given, fixed = self.settings.model_dump(exclude=set(EDITABLE)), self.fixed()
        for name in EDITABLE:
            default = Settings.model_fields[name].get_default(call_default_factory=True)
            given[name] = self._current(name) if name in fixed else kept.get(name) or default
        try:
            return Settings(**given)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in problem["loc"]) or "settings"
            raise ConfigError(f"{where}: {problem['msg']}") from None

    def _current(self, name: str) -> Any:
        value = getattr(self.settings, name)
        return value.get_secret_value() if isinstance(value, SecretStr) else value


def in_one_line(error: Exception) -> str:
    """Return what a person is told of an error that they can act on."""
    if isinstance(error, ConfigError | RunError | ToolError):
        return " ".join(str(error).split())
    raise error
