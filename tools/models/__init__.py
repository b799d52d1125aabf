"""Models as data: cards, the hub that chooses among them, and the runtimes that run them."""

from pathlib import Path


def cards() -> Path:
    """Return the folder of the cards that come with Reading Room; the entry point `builtin` names it."""
    return Path(__file__).with_name("cards")
