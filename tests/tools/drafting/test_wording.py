"""What a model words badly goes back to it once a sentence, and not without end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.tools.grounding.evidence_of import kept, measured
from tools.drafting.wording import worded
from tools.facts import AttachmentFacts
from tools.grounding.repair import MAX_REPAIRS
from tools.results import Claim

COUNT = MAX_REPAIRS + 8
CT = {"img1": AttachmentFacts(id="img1", modality="CT", body_part="CHEST", dims=3)}
EVIDENCE = kept("s2", measured([("liver", "volume", 1500.0 + i, "ml", None, "") for i in range(COUNT)], "img1"),
                "img1", "measure", CT)  # fmt: skip
CLAIMS = [Claim(text=f"Volume of the liver: {1500 + i} ml.", evidence=("s2",), kind="measured") for i in range(COUNT)]


class Careless:
    """Words every sentence with a value that nobody measured; mends some of those that it is sent."""

    name, can_write = "careless", True

    def __init__(self, *mends: int) -> None:
        self.mends = mends
        self.repairs = 0

    def complete(self, prompt: str, *, schema: Mapping[str, Any] | None = None, max_tokens: int = 512) -> str:
        if schema and "sentences" in schema["properties"]:
            return json.dumps({"sentences": [f"The liver measures {9000 + i} ml." for i in range(COUNT)]})
        place, self.repairs = self.repairs, self.repairs + 1
        return json.dumps({"sentence": f"The liver measures {(1500 if place in self.mends else 9100) + place} ml."})


def test_a_draft_sends_back_a_bounded_number_of_sentences() -> None:
    llm = Careless(0, 3)
    claims, thrown_away = worded(llm, CLAIMS, "whole sentences", {"s2": EVIDENCE}.get)
    assert llm.repairs == MAX_REPAIRS
    texts = [c.text for c in claims]
    assert texts[:5] == [
        "The liver measures 1500 ml.", CLAIMS[1].text, CLAIMS[2].text, "The liver measures 1503 ml.", CLAIMS[4].text,
    ]  # fmt: skip
    assert texts[5:] == [c.text for c in CLAIMS[5:]]
    assert len(thrown_away) == COUNT - 2
    unasked = [line for line in thrown_away if f"at most {MAX_REPAIRS} sentences of a draft are sent back" in line]
    assert unasked == thrown_away[-8:]
