"""The cards and runtimes of this installation: ours and everybody else's.

A package adds cards through the entry-point group `readingroom.models`; each entry names a folder of TOML files, or a
function that returns one. It adds a runtime through the group `readingroom.runtimes`; each entry has the name that
cards use and names a function `load(loading: Loading)`.

A person's own cards lie with their weights: WEIGHTS/NAME/card.toml, as `train` writes them.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import BadInputError, UnavailableError
from tools.models.card import ModelCard, read_card
from tools.models.runtimes import RUNTIMES

if TYPE_CHECKING:
    from tools.models.runtimes.base import Loading

logger = logging.getLogger(f"readingroom.{__name__}")

GROUP = "readingroom.models"
RUNTIME_GROUP = "readingroom.runtimes"
OWN_CARD = "card.toml"


@dataclass(frozen=True)
class BrokenCard:
    """A card, or an entry point with cards, that could not be read, and why."""

    name: str
    distribution: str
    reason: str


def installed_cards(weights_dir: Path | None = None) -> tuple[tuple[ModelCard, ...], tuple[BrokenCard, ...]]:
    """Read every card of the entry-point group, ours first; a broken one is reported and takes no other down.

    Args:
        weights_dir: the folder of weights that a person brought or trained, whose cards come last.
    """
    cards: dict[str, ModelCard] = {}
    broken: list[BrokenCard] = []
    found = sorted(entry_points(group=GROUP), key=lambda e: (_distribution(e) != "readingroom", e.name))
    for entry in found:
        for card in _cards_of(entry, broken):
            if card.name in cards:
                broken.append(BrokenCard(card.name, _distribution(entry), "a card of this name is there already"))
            else:
                cards[card.name] = card
    for card in _own_cards(weights_dir, broken):
        if card.name in cards:
            broken.append(BrokenCard(card.name, "your weights", "a card of this name is there already"))
        else:
            cards[card.name] = card
    for problem in broken:
        logger.warning("model card %s of %s: %s", problem.name, problem.distribution, problem.reason)
    return tuple(cards.values()), tuple(broken)


def _own_cards(weights_dir: Path | None, broken: list[BrokenCard]) -> list[ModelCard]:
    cards = []
    for file in sorted(weights_dir.glob(f"*/{OWN_CARD}")) if weights_dir else ():
        try:
            cards.append(read_card(file))
        except BadInputError as error:
            broken.append(BrokenCard(file.parent.name, "your weights", str(error)))
    return cards


def _cards_of(entry: EntryPoint, broken: list[BrokenCard]) -> list[ModelCard]:
    owner = _distribution(entry)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # a plugin's chatter is no part of an answer
            given = entry.load()
        folder = Path(given() if callable(given) else given)
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder} is no folder")
        files = sorted(folder.glob("*.toml"))
    except (Exception, SystemExit) as error:  # noqa: BLE001  a plugin may fail in any way
        broken.append(BrokenCard(entry.name, owner, f"{type(error).__name__}: {error}".splitlines()[0]))
        return []
    cards = []
    for file in files:
        try:
            cards.append(read_card(file))
        except BadInputError as error:
            broken.append(BrokenCard(file.name, owner, str(error)))
    return cards


def knows_runtime(name: str) -> bool:
    """Return whether this installation has a runtime of that name; imports nothing."""
    return name in RUNTIMES or name in _plugin_runtimes()


def loader_of(name: str) -> Callable[[Loading], Any]:
    """Return the function that loads a runtime's models; ours come before a plugin's of the same name.

    Raises:
        UnavailableError: a plugin's runtime cannot be imported.
    """
    if name in RUNTIMES:
        module_name, _, attribute = RUNTIMES[name].partition(":")
        ours: Callable[[Loading], Any] = getattr(importlib.import_module(module_name), attribute)
        return ours
    entry = _plugin_runtimes()[name]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            theirs: Callable[[Loading], Any] = entry.load()
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UnavailableError(
            f"runtime {name!r} of {_distribution(entry)} could not be loaded: {reason}; update or remove that package"
        ) from error
    return theirs


def broken_runtimes() -> tuple[BrokenCard, ...]:
    """Import every plugin's runtime and return those that fail, for a diagnosis."""
    broken = []
    for entry in _plugin_runtimes().values():
        try:
            loader_of(entry.name)
        except UnavailableError as error:
            broken.append(BrokenCard(entry.name, _distribution(entry), str(error)))
    return tuple(broken)


@cache
def _plugin_runtimes() -> dict[str, EntryPoint]:
    """Looked up once: it reads the metadata of every installed package, and the hub asks at each choice."""
    return {entry.name: entry for entry in entry_points(group=RUNTIME_GROUP)}


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "unknown"
