"""Makes the settings and the assistant that commands and page work with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.errors import ConfigError

if TYPE_CHECKING:
    from agent.assistant import Assistant
    from agent.settings import Settings


def load_settings(**explicit: object) -> Settings:
    """Return the settings; explicit values beat environment and file.

    Raises:
        ConfigError: a value is not allowed; names setting, problem and value in one line.
    """
    from pydantic import ValidationError

    from agent.settings import Settings

    given = {name: value for name, value in explicit.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # checked by pydantic itself
    except ValidationError as error:
        raise ConfigError("; ".join(_problem(dict(p)) for p in error.errors(include_url=False))) from None


def open_assistant(**explicit: object) -> Assistant:
    """Return an assistant on the settings of this machine. Cheap: heavy things load at first use."""
    from agent.assistant import Assistant

    return Assistant(settings=load_settings(**explicit))


def _problem(problem: dict[str, object]) -> str:
    location = problem.get("loc")
    name = ".".join(str(part) for part in location) if isinstance(location, tuple) else "settings"
    shown = "" if "key" in name.lower() else f", got {problem.get('input')!r:.80}"
    return f"setting {name} (READINGROOM_{name.upper()} or readingroom.toml): {problem.get('msg')}{shown}"
