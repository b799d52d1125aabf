"""What a language model that reads pictures sees in the parts that no tool examined: opinions, marked as such."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.contract import SeeingModel
from tools.errors import UnsupportedError
from tools.grounding import numbers_in
from tools.places import Place, Region
from tools.results import Claim

if TYPE_CHECKING:
    from tools.imaging.volume import Volume

MAX_CHARACTERS = 300  # of one sentence
_NORMAL = re.compile(
    r"\b(no|not|none|without|normal|normally|unremarkable|clear|absent|absence|negative|free|intact|healthy|healed|"
    r"unchanged|within)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Look:
    """Who looks at what, for which draft."""

    llm: SeeingModel
    image: str
    """Id of the image."""
    volume: Volume
    step: str
    """Id of the draft's step: its result keeps what was said, and is the evidence that it was."""


@dataclass(frozen=True)
class Opinions:
    """What came of a look."""

    claims: tuple[Claim, ...] = ()
    held_back: tuple[str, ...] = ()
    """Sentences that no opinion may hold, each with the reason."""
    notes: tuple[str, ...] = ()


def opinions(look: Look, parts: Sequence[str]) -> Opinions:
    """Ask a model that reads pictures about the parts of a report that no tool examined.

    An opinion may neither give a value nor call anything normal or absent: no tool measured or looked.

    Args:
        look: who looks at what.
        parts: names of the parts, in reading order.

    Raises:
        UnavailableError: the model cannot be reached, or its egress policy lets no pixels out.
        UnsupportedError: it answers with nothing that can be used.
    """
    from prompts import load
    from tools.imaging.montage import montage, png

    picture, shown = montage(look.volume)
    prompt = load("look_for_draft").render(parts=json.dumps(list(parts)), shown=shown)
    said = look.llm.look(prompt, [png(picture)], schema=_schema(parts), max_tokens=60 * len(parts) + 100)
    claims, held_back = [], []
    for sentence in _sentences(said.text, look.llm.name, parts):
        text = f"The model's opinion ({look.llm.name}): “{sentence}”"
        if reason := _problem(sentence):
            held_back.append(f"{text} — held back: {reason}")
        else:
            place = Place(evidence=look.step, region=Region(image=look.image))
            claims.append(Claim(text=text, evidence=(look.step,), kind="model opinion", where=(place,)))
    note = f"{look.llm.name} was shown {shown} for opinions on parts that no tool examined."
    return Opinions(tuple(claims), tuple(held_back), (note, *said.notes))


def _schema(parts: Sequence[str]) -> dict[str, object]:
    seen = {
        "type": "object",
        "properties": {"part": {"enum": list(parts)}, "sentence": {"type": "string"}},
        "required": ["part", "sentence"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"seen": {"type": "array", "items": seen, "maxItems": len(parts)}},
        "required": ["seen"],
        "additionalProperties": False,
    }


def _sentences(answer: str, name: str, parts: Sequence[str]) -> list[str]:
    """Return the sentences in the order of the parts, as plain text that can stand in quotation marks."""
    try:
        seen = json.loads(answer)["seen"]
        given = [(parts.index(s["part"]), " ".join(s["sentence"].split())) for s in seen]
    except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        raise UnsupportedError(f"{name} answered {answer[:60]!r}, expected a list of parts with sentences") from None
    ordered = [text for _, text in sorted(given, key=lambda pair: pair[0]) if text]
    return [text.replace("“", "'").replace("”", "'")[:MAX_CHARACTERS] for text in ordered]


def _problem(sentence: str) -> str:
    if any(n.unit for n in numbers_in(sentence)):
        return "it gives a value, and no tool measured one"
    if word := _NORMAL.search(sentence):
        return f"“{word[0]}” says what no tool of this reading looked for"
    return ""
