"""One repair: a sentence that failed goes back to a language model with the reason, once."""

from __future__ import annotations

import json

from tools.contract import TextModel
from tools.grounding.evidence import Evidence, LookUp, Quantity
from tools.grounding.judge import problem_with
from tools.results import Claim

MAX_REPAIRS = 12  # calls of the language model per answer or draft, some seconds each; what fails beyond is held back
MAX_FACTS = 40  # lines of evidence that a prompt holds
MAX_SENTENCE = 400  # a repaired sentence longer than this is no sentence


def mend(llm: TextModel, claim: Claim, reason: str, look_up: LookUp) -> Claim | None:
    """Return a sentence that a model mended and that its evidence supports, or None.

    Args:
        llm: asked only when it can write.
        claim: the sentence that failed; its evidence ids stay as they are.
        reason: why it failed.
        look_up: what an id holds.
    """
    found = [e for i in claim.evidence if (e := look_up(i)) is not None]
    if not llm.can_write or not found or claim.kind == "quoted":
        return None
    text = _ask(llm, claim.text, reason, found)
    if not text or len(text) > MAX_SENTENCE or text == claim.text:
        return None
    mended = claim.model_copy(update={"text": text})
    return mended if problem_with(mended, look_up) is None else None


def _ask(llm: TextModel, sentence: str, reason: str, found: list[Evidence]) -> str:
    from prompts import load

    schema = {
        "type": "object",
        "properties": {"sentence": {"type": "string"}},
        "required": ["sentence"],
        "additionalProperties": False,
    }
    prompt = load("mend_sentence").render(
        sentence=json.dumps(sentence, ensure_ascii=False), reason=reason, evidence="\n".join(facts_of(found))
    )
    try:
        given = json.loads(llm.complete(prompt, schema=schema, max_tokens=200))["sentence"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return ""
    return " ".join(given.split()) if isinstance(given, str) else ""


def facts_of(found: list[Evidence]) -> list[str]:
    """Return what evidence holds, one value a line: "s2: volume of lung_left = 1712.3 ml"."""
    lines = [_fact(e.id, q) for e in found for q in e.quantities if q.name and q.targets]
    lines += [f"{e.id}: looked for and not found: {', '.join(e.not_found)}" for e in found if e.not_found]
    return lines[:MAX_FACTS] or ["no values"]


def _fact(where: str, quantity: Quantity) -> str:
    of = " ÷ ".join(quantity.targets)
    return f"{where}: {quantity.name} of {of} = {quantity.value:g} {quantity.unit}".strip()
