"""Which models share the targets of one call out among them, and what stands against each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.errors import UnsupportedError

if TYPE_CHECKING:
    from tools.facts import AttachmentFacts
    from tools.models.hub import Choice, Hub


@dataclass(frozen=True)
class Share:
    """A model and what it is to find."""

    choice: Choice
    targets: tuple[str, ...]
    lacks: str = ""
    """Why the model cannot run here, with the command that mends it; empty: it can."""


def shares_of(
    hub: Hub, verb: str, facts: AttachmentFacts, targets: Sequence[str], *, images: int = 1
) -> tuple[Share, ...]:
    """Return one model for all targets, or several, each with its share of them.

    What one model finds alone is shared out only where that model cannot run here and another can for some of it.

    Args:
        hub: the models.
        verb: the tool.
        facts: of the image, the first one where several are one input.
        targets: what is to be found.
        images: how many aligned images are one input.

    Raises:
        UnsupportedError: a target has no model on this image.
    """
    whole: tuple[Share, ...] = ()
    try:
        whole = (share_of(hub, hub.choose(verb, facts, targets, images=images), targets),)
    except UnsupportedError:
        if len(targets) == 1:
            raise
    if whole and (len(targets) == 1 or not whole[0].lacks):
        return whole
    parts: dict[str, tuple[Choice, list[str]]] = {}
    for target in targets:
        choice = hub.choose(verb, facts, (target,), images=images)
        parts.setdefault(choice.card.name, (choice, []))[1].append(target)
    shares = tuple(share_of(hub, choice, found) for choice, found in parts.values())
    return whole if whole and all(share.lacks for share in shares) else shares


def share_of(hub: Hub, choice: Choice, targets: Sequence[str]) -> Share:
    """Return a chosen model with its targets, and whether it can run here."""
    status = hub.status(choice.card)
    lacks = "" if status.state == "ready" else f"{choice.card.name} {status.state}; {status.remedy}"
    return Share(choice, tuple(targets), lacks)
