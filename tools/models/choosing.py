"""What a choice among models rests on: the targets meant, what an image can show, and why no model fits."""

from __future__ import annotations

from collections.abc import Sequence

from tools.errors import BadInputError, UnsupportedError
from tools.facts import AttachmentFacts
from tools.imaging.anatomy import may_show, resolve
from tools.models.card import ModelCard


def resolved(targets: Sequence[str], cards: list[ModelCard]) -> tuple[str, ...]:
    """Turn words into targets, where they are not the cards' own; a word that anatomy does not know stays."""
    names: dict[str, None] = {}
    for word in targets:
        if any(card.serves(word) for card in cards):
            names[word] = None
            continue
        try:
            names |= dict.fromkeys(resolve(word))
        except BadInputError:
            names[word] = None
    return tuple(names)


def require_served(verb: str, cards: list[ModelCard], targets: Sequence[str], named: str = "") -> None:
    """Refuse a target that no card names, with the nearest names.

    Args:
        verb: the tool.
        cards: those that may serve it.
        targets: what is to be found.
        named: the one model that was asked for; empty: any.

    Raises:
        UnsupportedError: no model of this installation finds it.
    """
    import difflib

    for target in targets:
        if any(card.serves(target) for card in cards):
            continue
        known = sorted({t for card in cards for t in card.targets})
        near = difflib.get_close_matches(target, known, n=3, cutoff=0.5)
        hint = f"nearest: {', '.join(near)}" if near else f"there are: {', '.join(known[:12])}"
        able = f"model {named!r} cannot" if named else "no model of this installation can"
        raise UnsupportedError(f"{able} {verb} {target!r}; {hint}")


def require_shown(facts: AttachmentFacts, targets: Sequence[str]) -> None:
    """Refuse a target that the image's body part does not hold.

    Raises:
        UnsupportedError: the image shows another region.
    """
    absent = [target for target in targets if not may_show(facts.body_part, target)]
    if absent:
        missing = ", no ".join(absent[:3]).replace("_", " ")
        raise UnsupportedError(
            f"{facts.id} shows {facts.body_part}, which holds no {missing}: attach an image of the right region, or "
            "correct the body part"
        )


def why_none(
    facts: AttachmentFacts, targets: Sequence[str], cards: list[ModelCard], refusals: dict[str, str | None]
) -> str:
    """Say why no single card serves all targets on this image."""
    serving = [card for card in cards if all(map(card.serves, targets))]
    near = [card for card in serving if facts.modality in card.modality]  # others would want another examination
    serving = near or serving
    if serving:
        by_need = {str(refusals[card.name]).partition(":")[0]: card for card in reversed(serving)}
        said = [f"{refusals[card.name]} (model {card.name})" for card in serving if card in by_need.values()]
        return "; ".join(said[:2])
    parts = []
    for target in targets:
        able = [card for card in cards if card.serves(target)]
        fitting = [card.name for card in able if refusals[card.name] is None]
        parts.append(f"{target}: {fitting[0] if fitting else refusals[able[0].name]}")
    return (
        f"no single model finds all of {', '.join(targets)} on {facts.id}; ask for them one by one ({'; '.join(parts)})"
    )
