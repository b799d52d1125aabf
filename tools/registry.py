"""The tools of this installation: ours and everybody else's come in through the same door.

A package adds tools through the entry-point group `readingroom.tools`; each entry names a `Tool`.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points

from tools.contract import Tool
from tools.errors import NotFoundError

logger = logging.getLogger(f"readingroom.{__name__}")

GROUP = "readingroom.tools"


@dataclass(frozen=True)
class BrokenPlugin:
    """An entry point that could not be loaded, and why."""

    name: str
    distribution: str
    reason: str


class Registry:
    """Tools by name. A plugin that fails to import is reported and never takes the rest down."""

    def __init__(self, tools: Iterable[Tool], broken: Iterable[BrokenPlugin] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise ValueError(f"two tools are named {tool.name!r}; rename one")
            self._tools[tool.name] = tool
        self.broken = tuple(broken)

    @classmethod
    def installed(cls) -> Registry:
        """Load every tool of the entry-point group, ours first."""
        tools: dict[str, Tool] = {}
        broken: list[BrokenPlugin] = []
        found = sorted(entry_points(group=GROUP), key=lambda e: (_distribution(e) != "readingroom", e.name))
        for entry in found:
            try:
                # What a plugin prints while it is imported must not get into an answer on stdout.
                with contextlib.redirect_stdout(sys.stderr):
                    tool = _load(entry, tools)
            except (Exception, SystemExit) as error:  # noqa: BLE001  a plugin may fail in any way
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                logger.warning("tool %s of %s could not be loaded: %s", entry.name, _distribution(entry), reason)
                broken.append(BrokenPlugin(entry.name, _distribution(entry), reason))
            else:
                tools[tool.name] = tool
        return cls(tools.values(), broken)

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __len__(self) -> int:
        return len(self._tools)

    def get(self, name: str) -> Tool:
        """Return a tool.

        Raises:
            NotFoundError: no such tool; says which there are.
        """
        if name not in self._tools:
            raise NotFoundError(f"no tool named {name!r}; there are: {', '.join(self.names)}")
        return self._tools[name]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all tools, sorted."""
        return tuple(sorted(self._tools))

    def with_tools(self, *tools: Tool) -> Registry:
        """Return a registry with more tools."""
        return Registry([*self, *tools], self.broken)


def _load(entry: EntryPoint, already: dict[str, Tool]) -> Tool:
    tool = entry.load()
    if not isinstance(tool, Tool):
        raise TypeError(f"{entry.value} is {type(tool).__name__}, expected a function decorated with @tool")
    if tool.name in already:
        raise ValueError(f"a tool named {tool.name!r} is already registered")
    return tool


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "unknown"
