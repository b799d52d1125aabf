"""Numbers as people write them, with their unit: "3,694 ml", "3.7 litres", "three point seven l", "−812 HU"."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from tools.number_words import CARDINALS, TENS

_MINUS = "−–-"  # the hyphen last: it stands in a character class
_NUMERAL = r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:[\u00a0\u2009\u202f ]\d{3})+(?![\d,.]?\d)|\d+[.,]\d+|\d+|\.\d+"
_NUMBER = re.compile(
    r"(?:(?<![\w.,])|(?<=\dx))"
    rf"(?P<sign>(?<![\w)])(?:\+/-|[+±{_MINUS}])\s?|(?:give or take|plus or minus|plus[/-]minus|minus|negative)\s)?"
    rf"(?P<digits>{_NUMERAL})(?P<power>e[+-]?\d+|\s?[×x]\s?10\^[−-]?\d+)?",
    re.IGNORECASE,
)
_ORDINAL = re.compile(r"(?:st|nd|rd|th)\b|-?D\b|-?bit\b|-?fold\b", re.IGNORECASE)
_JOINT = re.compile(
    r"\s*(?:×|x|by|and|or|to|through|–|-|−|,|/|vs\.?|versus)\s*(?:and\s+)?(?:a\s+|an\s+|[xyz]\s*[=:]?\s*)?",
    re.IGNORECASE,
)
_NAMED_UNCERTAIN = re.compile(
    r"\b(?:uncertainty|error|margin)(?:\s+(?:of|is|was))?(?:\s+(?:about|around|roughly|approximately|some|only))?\s+$",
    re.IGNORECASE,
)
_UNCERTAIN = re.compile(r"±|\+/-|plus|give", re.IGNORECASE)
_TIMES = re.compile(r"\s*(?:×|x|\*|by)\s*", re.IGNORECASE)
_RANGE = re.compile(r"\s*(?:to|through|–|-|−|and)\s*", re.IGNORECASE)
_WORDS = {w: n for n, w in enumerate(CARDINALS)} | {w: 10 * n for n, w in enumerate(TENS, 2)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_SPELLED = re.compile(
    rf"\b(?P<minus>minus |negative )?(?P<words>(?:{'|'.join([*_WORDS, *_SCALES])})"
    rf"(?:(?:[\s-]+|\s+and\s+)(?:{'|'.join([*_WORDS, *_SCALES])}))*"
    rf"(?P<point>\s+point(?:\s+(?:{'|'.join([*_WORDS, 'oh'])}))+)?)\b",
    re.IGNORECASE,
)
_COUNTED = re.compile(
    r"[\s-]+(?:\w+[\s-]+){0,2}?(?:nodules?|lesions?|boxes|box|findings?|reports?|regions?|structures?|images?|scans?|"
    r"masks?|labels?|candidates?|components?|pieces?|slices?|points?|tools?|models?|fractures?|mass(?:es)?|lobes?|lungs|"
    r"kidneys|aspects?|criteria|detections?|landmarks?|scores)\b",
    re.IGNORECASE,
)
_OF_THEM = re.compile(r"\s+(?:out )?of (?:the|these|those|its)\s+(?:\w+\s+){0,2}?\w+s\b", re.IGNORECASE)
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10}
_FRACTION = re.compile(
    rf"(?<!left )(?<!right )(?<!upper )(?<!lower )(?<!other )\b(?:(?P<half>half)|(?P<count>an?|one|two|three|four)[\s-]"
    rf"(?P<part>{'|'.join(list(_PARTS)[1:])})s?)(?=\s+(?:of|the|an?)\b)",
    re.IGNORECASE,
)
_OF_A = re.compile(r"\s+(?:of\s+)?an?\s+", re.IGNORECASE)
_AND_A_HALF = re.compile(rf"\b(?P<whole>{'|'.join(_WORDS)}|\d+)\s+and\s+a\s+half\b", re.IGNORECASE)
_FRACTION_STEP = 0.1  # "a third of it" is said of 32 to 35 %
_DATE = re.compile(
    r"\b\d{4}-\d{1,2}-\d{1,2}\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b"
    r"|\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+\d{1,2}(?:st|nd|rd|th)?,?\s+\d{4}\b"
    r"|\b\d{1,2}(?:st|nd|rd|th)?\.?\s+(?:of\s+)?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?,?\s+\d{4}\b"
    r"|\b(?:in|since|from|of|on|until|before|after|dated)\s+(?:(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+)?"
    r"(?:19|20)\d{2}\b(?![-./]\d)"
    r"|\b(?:in|since|from|to|and|of|last|until|before|after)\s+(?:january|february|march|april|june|july|august|september|october|"
    r"november|december)\b(?!\s+\d)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Unit:
    """A unit: what it measures, and its size in the base unit of that dimension."""

    name: str
    dimension: str
    size: float


@dataclass(frozen=True)
class NumberSaid:
    """One number of a sentence; `start` and `end` count the sentence's characters, unit included."""

    value: float
    unit: str
    """Canonical: "ml", "mm", "HU", "%"; empty where none is written; "?" for a compound one that is not known."""
    step: float
    """The worth of the last digit shown, in the unit as written."""
    significant: int
    """How many significant digits are shown."""
    text: str
    start: int
    end: int
    joined: str = ""
    """How it hangs on the number before: "×", "to", or empty."""

    @property
    def is_uncertainty(self) -> bool:
        """Whether it is written behind ±."""
        return bool(_UNCERTAIN.match(self.text))


@cache
def _units() -> dict[str, Unit]:
    table = tomllib.loads(Path(__file__).with_name("units.toml").read_text(encoding="utf-8"))
    return {
        word: Unit(name, str(entry["dimension"]), float(entry["size"]))
        for name, entry in table.items()
        for word in (name.lower(), *entry["words"])
    }


@cache
def _unit_pattern() -> re.Pattern[str]:
    words = sorted(_units(), key=len, reverse=True)
    either = "|".join(re.escape(word).replace(r"\ ", r"[\s-]+") for word in words)
    return re.compile(
        rf"(?:[\s\u00a0\u202f]|-(?=[a-z])|\)\s(?=(?:mm|cm|ml|hu)\b))?(?P<unit>{either})(?![\w³²^])(?P<per>\s?/\s?(?:min|day|kg|m2|m²)\b|/\w+)?",
        re.IGNORECASE,
    )


def unit_named(word: str) -> Unit | None:
    """Return the unit that a word means, or None."""
    return _units().get(" ".join(word.lower().replace("-", " ").split()))


def factor(source: str, target: str) -> float | None:
    """Return what a value in one unit is multiplied by to be in another; None where they measure different things."""
    if source == target:
        return 1.0
    first, second = unit_named(source), unit_named(target)
    if first is None or second is None or first.dimension != second.dimension:
        return None
    return first.size / second.size


def dates_in(text: str) -> list[tuple[str, int, int]]:
    """Return the dates of a text with their offsets, as written."""
    found = ((m.group(), m.start(), m.end()) for m in _DATE.finditer(text))
    return [date for date in found if not _unit_at(text, date[2])[0]]  # "a volume of 1963 ml" names no year


def numbers_in(text: str) -> list[NumberSaid]:
    """Return the numbers of a sentence in order; dates, ordinals and the digits of names are none."""
    taken = [(start, end) for _, start, end in dates_in(text)]
    parts = [n for n in (*_fractions(text), *_halves(text)) if not any(s < n.end and n.start < e for s, e in taken)]
    taken += [(n.start, n.end) for n in parts]
    found = [n for n in (*_numerals(text), *_spelled(text)) if not any(s < n.end and n.start < e for s, e in taken)]
    found += parts
    found = [replace(n, text=f"± {n.text}") if _NAMED_UNCERTAIN.search(text, 0, n.start) else n for n in found]
    return _with_units_of_neighbours(text, sorted(found, key=lambda n: n.start))


def _numerals(text: str) -> Iterator[NumberSaid]:
    for match in _NUMBER.finditer(text):
        rest = text[match.end() :]
        unit, length = _unit_at(text, match.end())
        if not unit and (_ORDINAL.match(rest) or (re.match(r"\w", rest) and not re.match(r"[x×]\s?\d", rest))):
            continue
        yield _numeral(match, unit, text[match.start() : match.end() + length].strip())


def _numeral(match: re.Match[str], unit: str, text: str) -> NumberSaid:
    digits = match["digits"]
    if re.fullmatch(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?", digits):
        plain = digits.replace(",", "")
    else:
        plain = re.sub(r"[\s\u00a0\u2009\u202f]", "", digits).replace(",", ".")
    power = (
        int(re.sub(r"^(?:e|\s?[×x]\s?10\^?)", "", match["power"].replace("−", "-"), flags=re.I))
        if match["power"]
        else 0
    )
    sign = -1.0 if (match["sign"] or "").strip().lower() in {*_MINUS, "minus", "negative"} else 1.0
    decimals = len(plain.partition(".")[2])
    start = match.start()
    return NumberSaid(
        value=sign * float(plain) * 10.0**power,
        unit=unit,
        step=10.0 ** (power - decimals),
        significant=len(plain.replace(".", "").lstrip("0")),
        text=text,
        start=start,
        end=start + len(match.group()) + (len(text) - len(match.group().strip())),
    )


def _unit_at(text: str, position: int) -> tuple[str, int]:
    """Return the unit that stands at a position ("?" for one over another, as g/ml), and how long it is."""
    found = _unit_pattern().match(text, position)
    if found is None:
        return "", 0
    if found["per"]:
        return "?", found.end() - position
    unit = unit_named(found["unit"])
    return (unit.name if unit else ""), found.end() - position


def _spelled(text: str) -> Iterator[NumberSaid]:
    for match in _SPELLED.finditer(text):
        unit, length = _unit_at(text, match.end())
        if not unit and not match["point"] and not counts(text, match.end()):
            continue
        if not unit and match["words"].lower() == "one":
            continue
        whole, decimals = _value_of(match["words"])
        yield NumberSaid(
            value=-whole if match["minus"] else whole,
            unit=unit,
            step=10.0**-decimals,
            significant=max(2, len(f"{whole:g}".replace(".", "").lstrip("0"))),
            text=text[match.start() : match.end() + length],
            start=match.start(),
            end=match.end() + length,
        )


def _fractions(text: str) -> Iterator[NumberSaid]:
    """Yield "a tenth of" and "two thirds of" as percentages."""
    for match in _FRACTION.finditer(text):
        count = {"two": 2, "three": 3, "four": 4}.get((match["count"] or "").lower(), 1)
        share = count / _PARTS[(match["part"] or "half").lower()]
        unit, length, value = "%", 0, 100 * share
        if of_unit := _OF_A.match(text, match.end()):
            unit, length = _unit_at(text, of_unit.end())
            unit, length, value = (unit, of_unit.end() - match.end() + length, share) if unit else ("%", 0, value)
        yield NumberSaid(
            value=value, unit=unit, step=_FRACTION_STEP * value, significant=2,
            text=text[match.start() : match.end() + length], start=match.start(), end=match.end() + length,
        )  # fmt: skip


def _halves(text: str) -> Iterator[NumberSaid]:
    """Yield "two and a half litres"."""
    for match in _AND_A_HALF.finditer(text):
        unit, length = _unit_at(text, match.end())
        whole = match["whole"].lower()
        if unit:
            yield NumberSaid(
                value=float(_WORDS.get(whole, whole)) + 0.5, unit=unit, step=0.1, significant=2,
                text=text[match.start() : match.end() + length], start=match.start(), end=match.end() + length,
            )  # fmt: skip


def counts(text: str, position: int) -> bool:
    """Return whether what follows a number can be counted: "two nodules", "two of the four findings"."""
    return bool(_COUNTED.match(text, position) or _OF_THEM.match(text, position))


def small_number(word: str) -> int | None:
    """Return what a count says in digits or in one word: "four", "4"."""
    return int(word) if word.isdigit() else _WORDS.get(word.lower(), {"both": 2}.get(word.lower()))


def _value_of(words: str) -> tuple[float, int]:
    """Return the value of spelled words and how many decimals they say."""
    whole_words, _, decimals = words.lower().replace("-", " ").partition(" point ")
    total, current = 0, 0
    for word in whole_words.split():
        if word == "hundred":
            current = max(current, 1) * 100
        elif word in _SCALES:
            total, current = total + max(current, 1) * _SCALES[word], 0
        elif word != "and":
            current += _WORDS[word]
    digits = "".join(str(_WORDS.get(word, 0)) for word in decimals.split())
    return float(f"{total + current}.{digits or 0}"), len(digits)


def _with_units_of_neighbours(text: str, numbers: list[NumberSaid]) -> list[NumberSaid]:
    """Give "52" its unit in "52 × 31 mm", "1.7 and 2.0 l" and "−950 to −600 HU"."""
    out = list(numbers)
    for place in range(len(out) - 2, -1, -1):
        between = text[out[place].end : out[place + 1].start]
        hangs_on = _JOINT.fullmatch(between) or (out[place + 1].is_uncertainty and between.strip(" (") == "")
        if hangs_on and not out[place].unit and out[place + 1].unit:
            out[place] = replace(out[place], unit=out[place + 1].unit)
    for place in range(1, len(out)):
        between = text[out[place - 1].end : out[place].start]
        if _TIMES.fullmatch(between):
            out[place] = replace(out[place], joined="×")
        elif _RANGE.fullmatch(between) and between.strip().lower() != "and":
            out[place] = replace(out[place], joined="to")
    return out


def texts_in(data: object) -> Iterable[str]:
    """Yield every string of JSON data."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for item in data.values():
            yield from texts_in(item)
    elif isinstance(data, list | tuple):
        for item in data:
            yield from texts_in(item)
