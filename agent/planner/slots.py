"""Fills arguments from a person's words: targets, findings, enumerations, numbers, ids, quoted phrases.

Which filler serves an argument follows from its schema and, for free text, from its name; a tool of another package
gets the same. Nothing is made up: what the words do not say stays empty, and the planner asks for what must be said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from agent.planner.commands import commands_in, is_command
from agent.planner.queries import count_in, phrase_in, query_in
from agent.planner.text import has_phrase, quoted, words

_PATIENT = re.compile(
    r"\b(?:patient|pat|mrn|pid|subject|case)(?:'s)?(?:\s+(?:id|number|no|nr|with id|identifier))?\.?\s*[:#=]?\s*"
    r"((?=[\w-]*\d)[A-Za-z]{0,6}[-_]?\d[\w-]*|\[(?:ID|NUMBER|NAME)-\w+\])",
    re.I,
)
_LATE_ID = re.compile(r"\b(?:id|mrn)\s*[:#=]?\s*((?=[\w-]*\d)[\w-]+)", re.I)
_UID = re.compile(r"\b\d+(?:\.\d+){3,}\b|\[UID-\w+\]")
_DATE_FORMS = (
    (re.compile(r"\b\d{4}-\d{1,2}-\d{1,2}\b"), "%Y-%m-%d"),
    (re.compile(r"\b(?:19|20)\d{6}\b"), "%Y%m%d"),
    (re.compile(r"\b\d{1,2}\.\d{1,2}\.\d{4}\b"), "%d.%m.%Y"),
    (re.compile(r"\b\d{1,2} [A-Z][a-z]{2,8} \d{4}\b"), "%d %B %Y"),
    (re.compile(r"\b[A-Z][a-z]{2,8} \d{1,2},? \d{4}\b"), "%B %d %Y"),
)
_MM = re.compile(r"(\d+(?:\.\d+)?)\s*(?:mm|millimet\w+)\b", re.I)
_EACH_SIDE = re.compile(
    r"\b(?:left and right|right and left|left vs\.? right|each (?:lung|side|one)|sep[ae]rate(?:ly)?|individual(?:ly)?|"
    r"per (?:lung|side)|which (?:of the (?:two )?)?(?:lungs?|side)|(?:on )?(?:each|both) sides?)\b",
    re.I,
)

_DENIED = re.compile(r"\b(?:non|not|no|without)[\s-]+(?:an?\s+|the\s+)?\w+", re.I)
_AND_RATIO = re.compile(r"(?:,|\band|\bplus|\bwith|&)\s+(?:\w+\s+){0,3}?ratios?\b", re.I)


def fill(schema: Mapping[str, Any], names: Iterable[str], text: str, request: str) -> dict[str, Any]:
    """Return the values that a text gives to arguments; an argument that it does not mention is left out.

    Args:
        schema: JSON schema of the tool's arguments.
        names: the arguments to fill, references aside.
        text: the part of the request that asks for the tool.
        request: the whole request.
    """
    filled: dict[str, Any] = {}
    for name in names:
        value = _value(name, schema, text, request)
        if value not in (None, "", [], ()):
            filled[name] = value
    return filled


def enumerated(
    name: str, choices: Sequence[Any], text: str, says: Mapping[str, Sequence[str]] | None = None
) -> list[Any]:
    """Return the choices that a text names, in its order.

    Args:
        name: the argument, by which words.toml lists what people say.
        choices: the allowed values.
        text: a person's words.
        says: what people say for each choice, where the tool declares it (`x-says` in its schema).
    """
    listed = {**words()["values"].get(name, {}), **(says or {})}
    if is_command(choices):
        return _in_order(commands_in(name, choices, text, listed))
    said = {choice: has_phrase(text, [_spoken(choice), *listed.get(str(choice), ())]) for choice in choices}
    found = [(at, choice) for choice, at in said.items() if at]
    if name == "quantities":
        found = _without_overlap(found, text)
    return _in_order(found)


def _spoken(choice: Any) -> str:
    return re.sub(r"[_-]", " ", str(choice)).lower()


def _in_order(found: Iterable[tuple[int, Any]]) -> list[Any]:
    return [choice for _, choice in sorted(found, key=lambda pair: pair[0])]


def labels_in(text: str) -> list[str]:
    """Return the findings that a text names, by the short names of classifiers' labels."""
    from knowledge.vocabulary import load_vocabulary

    short = words()["labels"]
    named = [n.finding for n in load_vocabulary().name_findings(text.lower())]
    names = [short.get(f, f) for f in named if f not in ("normal_study", "acute_disease", "technical_limitation")]
    return list(dict.fromkeys(names))


def targets_in(text: str) -> list[str]:
    """Return the structures that a text names, by the target names of models."""
    from tools.imaging.anatomy import find_targets

    found = [t for mention in find_targets(text) for t in mention.targets]
    found += [target for target, said in words()["enlarged"].items() if has_phrase(text, said)]
    if "lungs" in found and _EACH_SIDE.search(text):
        found = [one for target in found for one in (("lung_left", "lung_right") if target == "lungs" else (target,))]
    return list(dict.fromkeys(found))


def is_only_structures(text: str) -> bool:
    """Return whether a text is nothing but names of structures."""
    from tools.imaging.anatomy import find_targets

    mentions = find_targets(text)
    for mention in mentions:
        text = text.replace(mention.text, "")
    return bool(mentions) and not set(re.findall(r"\w+", text.lower())) - {"the", "a", "an", "of", "and", "both"}


def implied_targets_in(text: str) -> list[str]:
    """Return the structures that a named quantity is measured on: the cardiothoracic ratio on heart and lungs."""
    said = (targets for quantity, targets in words()["implied_targets"].items() if has_phrase(text, [quantity]))
    return next(said, [])


def landmarks_in(text: str) -> list[str]:
    """Return the landmarks that a text names."""
    found = [(at, name) for name, said in words()["landmarks"].items() if (at := has_phrase(text, said))]
    return [name for _, name in sorted(found)]


def modality_in(text: str) -> str:
    """Return the modality that a text names, when it names one only."""
    found = [code for code, said in words()["modalities"].items() if has_phrase(text, said)]
    return found[0] if len(found) == 1 else ""


def date_in(text: str) -> str:
    """Return a date as YYYY-MM-DD; "" where none is named."""
    for pattern, form in _DATE_FORMS:
        for found in pattern.finditer(text):
            for variant in (form, form.replace("%B", "%b")):
                try:
                    return datetime.strptime(found[0].replace(",", ""), variant).date().isoformat()  # noqa: DTZ007
                except ValueError:
                    continue
    found_placeholder = re.search(r"\[DATE-\w+\]", text)
    return found_placeholder[0] if found_placeholder else ""


def patient_in(text: str) -> str:
    """Return the PatientID that a text names."""
    found = _PATIENT.search(text) or _LATE_ID.search(text)
    return found[1] if found else ""


def uid_in(text: str) -> str:
    """Return the DICOM UID that a text names."""
    found = _UID.search(text)
    return found[0] if found else ""


def _detect_target(text: str, _: str) -> str | None:
    from knowledge.vocabulary import load_vocabulary

    found = labels_in(text)
    if found:
        return found[0]
    singular = re.sub(r"(\w{3,})s\b", r"\1", text.lower())
    known = load_vocabulary().findings
    return next((w for w in re.findall(r"\w+", singular) if w in known), None) or next(iter(targets_in(text)), None)


# Arguments of free text, by their names: what serves them.
_BY_NAME: dict[str, Callable[[str, str], Any]] = {
    "targets": lambda text, _: targets_in(text),
    "labels": lambda text, _: labels_in(text),
    "finding": lambda text, _: next(iter(labels_in(text)), None),
    "target": _detect_target,
    "query": lambda text, _: query_in(text),
    "phrase": lambda text, _: phrase_in(text),
    "question": lambda _, request: request.strip(),
    "patient": lambda _, request: patient_in(request),
    "date": lambda _, request: date_in(request),
    "modality": lambda text, _: modality_in(text),
    "uid": lambda _, request: uid_in(request),
    "k": lambda text, _: count_in(text),
    "spacing_mm": lambda text, _: float(found[1]) if (found := _MM.search(text)) else None,
}


def _value(name: str, schema: Mapping[str, Any], text: str, request: str) -> Any:
    prop = _resolved(schema["properties"][name], schema)
    items = _resolved(prop.get("items", {}), schema)
    single = prop.get("enum") or ([prop["const"]] if "const" in prop else [])
    choices = single or items.get("enum")
    if choices:
        says = prop.get("x-says") or items.get("x-says")
        is_required = name in schema.get("required", ())
        said = enumerated(name, choices, text, says) or (
            enumerated(name, choices, request, says) if is_required else []
        )
        affirmed = _DENIED.sub("", text)
        outright = [choice for choice in said if has_phrase(affirmed, [_spoken(choice)])]
        return next(iter(outright or said), None) if single else said
    if name in _BY_NAME:
        return _as_type(prop, _BY_NAME[name](text, request))
    by_type: dict[str, Callable[[], Any]] = {
        "integer": lambda: _number(name, prop, text),
        "number": lambda: _number(name, prop, text),
        "boolean": lambda: True if has_phrase(text, [name.replace("_", " ")]) else None,
        "string": lambda: quoted(text) or None,
    }
    return by_type.get(prop.get("type", ""), lambda: None)()


def _resolved(prop: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Look through `$ref` and through `X or null`."""
    if "$ref" in prop:
        return _resolved(
            {**schema["$defs"][prop["$ref"].rpartition("/")[2]], **{k: v for k, v in prop.items() if k != "$ref"}},
            schema,
        )
    for option in prop.get("anyOf", ()):
        if option.get("type") != "null":
            return _resolved({**option, **{k: v for k, v in prop.items() if k not in ("anyOf", "default")}}, schema)
    return dict(prop)


def _as_type(prop: Mapping[str, Any], value: Any) -> Any:
    if prop.get("type") == "array" and isinstance(value, str):
        return [value]
    if prop.get("type") == "string" and isinstance(value, list):
        return value[0] if value else None
    return value


def _number(name: str, prop: Mapping[str, Any], text: str) -> float | int | None:
    """Return the number said beside an argument's name or unit, or the only number there is."""
    spoken = name.rpartition("_")[0].replace("_", " ") if "_" in name else name
    pattern = rf"{re.escape(spoken)}\D{{0,12}}?(-?\d+(?:\.\d+)?)|(-?\d+(?:\.\d+)?)\D{{0,3}}{re.escape(spoken)}"
    found = re.search(pattern, text, re.I)
    all_numbers = re.findall(r"(?<![\w.-])-?\d+(?:\.\d+)?(?![\w.]*\d)", text)
    said = next(g for g in found.groups() if g) if found else all_numbers[0] if len(all_numbers) == 1 else ""
    if not said:
        return None
    return int(float(said)) if prop.get("type") == "integer" else float(said)


def _without_overlap(found: list[tuple[int, Any]], text: str) -> list[tuple[int, Any]]:
    """Drop a volume or diameter that only "surface area", or "size" beside "diameter" or "ratio", seems to name."""
    named = [choice for _, choice in found]
    explicit = has_phrase(text, ["volume*", "volumetr*", "ml", "mls", "litre*", "liter*", "cc", "millilit*", "cubic*"])
    if "volume" in named and len(named) > 1 and not explicit and set(named) & {"diameter", "surface_area", "ratio"}:
        found = [pair for pair in found if pair[1] != "volume"]
    if "ratio" in named and not _AND_RATIO.search(text):
        found = [pair for pair in found if pair[1] not in ("volume", "diameter")]  # what it is a ratio of
    return found
