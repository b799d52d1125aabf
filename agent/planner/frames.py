"""What people put around a request: lead-ins ("it would be wonderful if you could …") and purposes ("… so that …").

Neither asks for anything, and both carry words that examples of other tools hold, so they are taken off before a
request is compared with examples. The person's own text is kept for arguments.
"""

from __future__ import annotations

import re

_WHO = (
    r"(?:you|u|(?:the|your|this) (?:\w+ )?(?:system|assistant|computer|software|tool|program|machine)|"
    r"somebody|someone)"
)
_MANNER = (
    r"(?:(?:please|pls|kindly|possibly|perhaps|maybe|also|just|quickly|honestly|be (?:so|as) (?:kind|good) (?:as )?to|"
    r"be able to|help me(?: to)?|mind|by any chance|next|now|then)\s+)*"
)
_LEAD_INS = (
    rf"(?:would|'d|will|should|shall|could|might)\b[^.;:]{{0,60}}?\bif {_WHO} (?:could|would|can|might|were to)\s+"
    rf"{_MANNER}",
    rf"(?:could|can|cld|would|will|wd) {_WHO}\s+{_MANNER}",
    rf"(?:would|'d) (?:like|love|want|prefer)(?: {_WHO})? to\s+(?:(?:know|see|learn|hear|find out)\b,?\s*)?{_MANNER}",
    r"(?:wonder(?:s|ed|ing)?|curious|asked|asking|want(?:s|ed)? to know)\s+(?=(?:whether|if|how|what|which|where)\b)",
    r"(?:would|'d) (?:really |much |greatly )?appreciate "
    r"(?:it|(?:a |your |some )?(?:\w+ )?(?:opinion|help|advice|view))?\s*(?:on|with|about)?\s+",
    r"(?<=[,;])\s*(?:so|and|and so|hence|therefore|then)?\s*(?:if (?:that|this)(?: is|'s) (?:right|so|true),?\s*)?"
    rf"(?:please|kindly)\s+{_MANNER}",
)
_LEAD_IN = re.compile(rf"^(?P<before>.*?)(?:^|(?<=[\s,;])|(?=,))(?:{'|'.join(_LEAD_INS)})(?P<rest>\S.*)$", re.I | re.S)
_JOINED = re.compile(r"[\s,;]+(?:and|so|but|now|then|i|we|it|that|they|he|she|let us|let me)*\s*$", re.I)
_PURPOSE = re.compile(
    r",?\s+(?:so that|in order (?:to|that)|because|such that)\b.*$"
    r"|,?\s+so (?:i|we|they|he|she|people|everyone|everybody|our|my|the)\b.*$"
    r"|,\s+(?:since|as|for) (?:i|we|our|my|he|she|they)\b.*$"
    r"|,?\s+before (?:i|we|they|he|she)\b.*$"
    r"|,\s+(?:if|provided) (?:that|this|it)(?:'s| is| can be)\s+(?:not |at all |too )*"
    r"(?:possible|done|ok|okay|fine|alright|all right|feasible|allowed|convenient|much trouble)\b.*$"
    r"|\s+(?:if (?:you|u) (?:can|could|may|like|will|please|don't mind|have (?:a moment|time))|if possible)\W*$",
    re.I | re.S,
)
_ASIDE = re.compile(
    r"(?:,|^)\s*(?:in (?:plain|simple|lay|other|layman's|everyday) (?:terms|words|language|english)|"
    r"in (?:your|my|our) (?:view|opinion)|if (?:you|u) (?:can|could|like|please|will)|if possible|to be honest|"
    r"as (?:usual|always|ever))\s*(?=,)",
    re.I,
)


def without_lead_ins(sentence: str, imperatives: frozenset[str]) -> list[str]:
    """Return the requests of a sentence without what leads up to them.

    Args:
        sentence: one sentence.
        imperatives: the verbs with which a request begins; what stands before a lead-in is kept where one begins it.
    """
    kept: list[str] = []
    rest = _ASIDE.sub("", sentence).lstrip(" ,")
    while (found := _LEAD_IN.match(rest)) and len(found["rest"].split()) > 1:
        before = _JOINED.sub("", found["before"]).strip(" ,;")
        words = re.findall(r"[\w'-]+", before.lower())
        if words and words[0] in imperatives:
            kept.append(before)
        rest = found["rest"]
    return [*kept, rest]


def without_purpose(text: str) -> str:
    """Return a part of a request without why it is asked; the text itself when nothing else is in it."""
    bare = _PURPOSE.sub("", text, count=1).strip(" ,;")
    return bare if len(bare.split()) > 1 else text
