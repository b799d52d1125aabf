"""The cards of this installation: ours and everybody else's come in through the same door.

A package adds cards through the entry-point group `readingroom.models`; each entry names a folder of TOML files, or a
function that returns one.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from tools.errors import BadInputError
from tools.models.card import ModelCard, read_card

logger = logging.getLogger(f"readingroom.{__name__}")

GROUP = "readingroom.models"


@dataclass(frozen=True)
class BrokenCard:
    """A card, or an entry point with cards, that could not be read, and why."""

    name: str
    distribution: str
    reason: str


def installed_cards() -> tuple[tuple[ModelCard, ...], tuple[BrokenCard, ...]]:
    """Read every card of the entry-point group, ours first; a broken one is reported and takes no other down."""
    cards: dict[str, ModelCard] = {}
    broken: list[BrokenCard] = []
    found = sorted(entry_points(group=GROUP), key=lambda e: (_distribution(e) != "readingroom", e.name))
    for entry in found:
        for card in _cards_of(entry, broken):
            if card.name in cards:
                broken.append(BrokenCard(card.name, _distribution(entry), "a card of this name is there already"))
            else:
                cards[card.name] = card
    for problem in broken:
        logger.warning("model card %s of %s: %s", problem.name, problem.distribution, problem.reason)
    return tuple(cards.values()), tuple(broken)


def _cards_of(entry: EntryPoint, broken: list[BrokenCard]) -> list[ModelCard]:
    owner = _distribution(entry)
    try:
        given = entry.load()
        folder = Path(given() if callable(given) else given)
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder} is no folder")
        files = sorted(folder.glob("*.toml"))
    except Exception as error:  # noqa: BLE001  a plugin may fail in any way
        broken.append(BrokenCard(entry.name, owner, f"{type(error).__name__}: {error}".splitlines()[0]))
        return []
    cards = []
    for file in files:
        try:
            cards.append(read_card(file))
        except BadInputError as error:
            broken.append(BrokenCard(file.name, owner, str(error)))
    return cards


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "unknown"
