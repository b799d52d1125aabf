"""Finds what a search asks for in a person's words: query, phrase and how many."""

from __future__ import annotations

import re

from agent.planner.text import quoted
from tools.number_words import CARDINALS

_NUMBERS = {word: value for value, word in enumerate(CARDINALS) if value} | {"dozen": 12, "twenty": 20}
_NUMBER = rf"(\d+|{'|'.join(_NUMBERS)})"
_COUNT = re.compile(
    rf"\b(?:top|first|best|nearest|k\s*=?)\s+{_NUMBER}\b|\b{_NUMBER}\s+of\s+(?:them|those|these)\b|\b{_NUMBER}\b(?=\s+(?:\w+\s+){{0,3}}?"
    r"(?:reports?|cases?|images?|x-?rays?|films?|examples?|hits?|results?|neighbou?rs?|radiographs?|studies|matches|"
    r"similar|most|nearest|closest|best|patients|sentences|pictures|scans|documents))",
    re.I,
)
_ENOUGH = re.compile(
    rf"(?:\b(?:just|only|max(?:imum)?|up to|at most|no more than|limit(?:ed)? to|dig (?:me )?out|"
    rf"pull (?:me )?(?:out|up)?|give me|show me)\s+{_NUMBER}\b(?!\s*(?:mm|cm|ml|l|hu|%|years?|days?|months?))"
    rf"|\b{_NUMBER}\s+(?:of them\s+)?(?:will do|would do|(?:is|are) (?:enough|plenty)|max(?:imum)?|tops|at most))"
    r"\b\W*$",
    re.I,
)
_REPORT_WORDS = (
    r"(?:reports?|dictations?|texts?|documents?|sentences|wording|knowledge base|archive|database|patients?)"
)
_QUERY_LINKS = (
    r"(?:of|on|about|with|for|where|that|which|who|whose|mention\w*|describ\w+|say\w*|speak\w*|contain\w*|includ\w+|like|"
    r"report\w*|discuss\w*|to|regarding|concerning|there|is|are|a|an|any|the|have|has|had|show\w*|stat\w+|not\w+|their|in)"
)
_QUERY_VERBS = (
    r"(?:find|show|search|look up|look for|look|retrieve|get|give|pull up|pull|list|fetch|any|are there|is there|"
    r"has anyone|have we(?: ever)?|do we have|which|who|i want|what did|how do|quote)"
)
_QUERY_FILLERS = (
    r"(?:all|any|some|old|past|prior|earlier|similar|comparable|previous|stored|for|through|ever|reported|described|"
    rf"examples|of|the|a|an|had|have|in|most|relevant|\d+|{'|'.join(_NUMBERS)})"
)
_QUERY_LEADS = (
    re.compile(
        r"^.*\b(?:mention(?:s|ing|ed)?|describ(?:e|es|ing)|contain(?:s|ing)?|refer(?:s|ring)? to|"
        r"(?:talk|speak)(?:s|ing)? (?:about|of))\s+(?:(?:an?|the|any)\s+)?",
        re.I,
    ),
    re.compile(
        rf"^.*?\b{_REPORT_WORDS}\b\s*[:,]?\s*(?:in the (?:archive|database|store|knowledge base)\s*)?"
        rf"(?:{_QUERY_LINKS}\b[\s:]*)*",
        re.I,
    ),
    re.compile(rf"^(?:please |can you |could you )?{_QUERY_VERBS}\b\s*(?:me\s+)?(?:{_QUERY_FILLERS}\b\s*)*", re.I),
)
_QUERY_TAIL = re.compile(
    rf"\s+(?:in|from|among|within|according to)\s+(?:the|our|my|their|its|all)?\s*(?:\w+\s+)?{_REPORT_WORDS}\b.*$|"
    r"\s+(?:please|pls|thanks)\b.*$|\s+(?:too|as well|also)\W*$",
    re.I,
)
_OF_THEM = re.compile(
    r"(?:(?:summari[sz]e|tell|say|read|see|and|me|us|what|was|were|is|did|had|been|their|they|those|these|them|the|in|"
    r"about|of|sa(?:y|ys|id)|stat\w+|report(?:s|ed)?|wr(?:ite|ote|itten)|describ\w+|found|radiologists?|conclu\w+)\b\W*)+",
    re.I,
)
"""Asks what reports say that were found just before; names nothing to search for."""
_GROUND_LEADS = re.compile(
    r"^.*?\b(?:described (?:as|by)|phrase|refers? to|match(?:es)?|calls?|bounding box for|box around|rectangle around|"
    r"circle around|point (?:me )?to|where (?:on the image )?(?:is|are)|locali[sz]e|circle|box|mark|highlight|indicate|"
    r"show(?: me)?|find|outline|locate)\b\s*:?\s*(?:where\s+)?(?:the\s+)?(?:region|area|part|place|spot)?\s*"
    r"(?:that\s+)?(?:(?:described (?:as|by)|for|of|matching|matches|with|called|the phrase)\b\s*:?\s*)*(?:the|an?)?\s+",
    re.I,
)
_GROUND_TAIL = re.compile(
    r"\s+(?:in|on|with)\s+(?:the|this|a)\s+(?:image|picture|film|x-?ray|radiograph|scan|rectangle|box|cxr)\b.*$|\s+is$",
    re.I,
)


def count_in(text: str) -> int | None:
    """Return how many results a text asks for."""
    found = _COUNT.search(text) or _ENOUGH.search(text)
    said = next((g for g in found.groups() if g), "") if found else ""
    return _NUMBERS.get(said.lower()) or (int(said) if said.isdigit() else None)


def query_in(text: str) -> str:
    """Return what a text searches for, without the words that only say to search."""
    if said := quoted(text):
        return said
    rest = _ENOUGH.sub("", text).strip(" :,.;")
    for lead in _QUERY_LEADS:
        shorter = lead.sub("", rest, count=1).strip(" :,.")
        rest = shorter if len(shorter) > 2 else rest
    rest = _QUERY_TAIL.sub("", rest).strip(" :,.")
    return "" if re.fullmatch(rf"(?:\w+\s+)?{_REPORT_WORDS}", rest, re.I) or _OF_THEM.fullmatch(rest) else rest


def phrase_in(text: str) -> str:
    """Return the words that describe a region."""
    if said := quoted(text):
        return said
    rest = _GROUND_LEADS.sub("", text, count=1)
    return _GROUND_TAIL.sub("", rest if rest != text else text).strip(" :,.")
