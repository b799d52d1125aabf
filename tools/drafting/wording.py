"""A language model words sentences under the same verification as everything else: what it changes is thrown away."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence

from tools.contract import TextModel
from tools.errors import ToolError, UnavailableError, UnsupportedError
from tools.grounding import LookUp, numbers_in, problem_with
from tools.grounding.repair import MAX_REPAIRS, mend
from tools.results import Claim

_LOADED = re.compile(
    r"\b(no|not|without|normal|unremarkable|clear|absent|absence|negative|free|left|right|bilateral)\b", re.I
)

UNWORDED = "The wording of a language model"
"""How the line begins that tells of a draft that a model was to word, and did not."""


def worded(llm: TextModel, claims: Sequence[Claim], style: str, look_up: LookUp) -> tuple[list[Claim], list[str]]:
    """Let a model reword sentences one by one.

    Returns:
        the sentences, the template's where the model's fails twice, fails after MAX_REPAIRS others that were sent back,
        or the model cannot be asked; and why, for each that failed.
    """
    try:
        texts = _ask(llm, [c.text for c in claims], style)
    except (UnavailableError, UnsupportedError) as error:
        return list(claims), [unworded(error)]
    out, thrown_away, answers, sent_back = [], [], True, 0
    for claim, text in zip(claims, texts, strict=True):
        new = claim.model_copy(update={"text": text})
        reason = _problem(claim, new, look_up)
        if reason is None:
            out.append(new)
            continue
        is_sent = answers and sent_back < MAX_REPAIRS
        sent_back += is_sent
        try:
            mended = mend(llm, new, reason, look_up) if is_sent else None
        except (UnavailableError, UnsupportedError) as error:
            mended, answers = None, isinstance(error, UnsupportedError)
        if mended is not None and _problem(claim, mended, look_up) is None:
            out.append(mended)
            continue
        out.append(claim)
        stands = f"written by {llm.name}, the measured sentence stands instead"
        if answers and not is_sent:
            stands += f"; at most {MAX_REPAIRS} sentences of a draft are sent back"
        thrown_away.append(f"{text} — held back: {reason}; {stands}")
    return out, thrown_away


def unworded(error: ToolError) -> str:
    """Return what is told of a draft whose model could not be asked, or gave nothing that can be used."""
    return f"{UNWORDED} — held back: {error}; the template's sentences stand instead"


def _problem(claim: Claim, new: Claim, look_up: LookUp) -> str | None:
    if not says_the_same(claim.text, new.text):
        return "it does not say what the measured sentence says"
    return problem_with(new, look_up)


def _ask(llm: TextModel, sentences: list[str], style: str) -> list[str]:
    from prompts import load

    count = len(sentences)
    schema = {
        "type": "object",
        "properties": {
            "sentences": {"type": "array", "items": {"type": "string"}, "minItems": count, "maxItems": count}
        },
        "required": ["sentences"],
        "additionalProperties": False,
    }
    prompt = load("word_draft").render(sentences=json.dumps(sentences, ensure_ascii=False), style=style)
    answer = llm.complete(prompt, schema=schema, max_tokens=80 * count + 100)
    try:
        given = json.loads(answer)["sentences"]
    except (json.JSONDecodeError, KeyError, TypeError):
        given = None
    if not isinstance(given, list) or len(given) != count or not all(isinstance(w, str) and w.strip() for w in given):
        raise UnsupportedError(f"{llm.name} answered {answer[:60]!r}, expected a list of {count} sentences")
    return [" ".join(w.split()) for w in given]


def says_the_same(original: str, reworded: str) -> bool:
    """Return whether two sentences hold the same numbers and the same words of side, absence and normality."""
    numbers = [Counter((n.value, n.unit) for n in numbers_in(t)) for t in (original, reworded)]
    loaded = [sorted(w.lower() for w in _LOADED.findall(t)) for t in (original, reworded)]
    return numbers[0] == numbers[1] and loaded[0] == loaded[1]
