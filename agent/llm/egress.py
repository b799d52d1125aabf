"""The egress gate: what may leave to a language model on another machine.

Prompts hold no header values to begin with: facts carry none, and files are named by their ids. What a person types, a
report says or a tool quotes may still hold identifiers. On the way out they are replaced by pseudonyms, the same one
for the same text in every call; on the way back only those that this call sent are resolved.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from agent.errors import ConfigError
from agent.llm.chat import Message
from agent.llm.pixels import without_text
from agent.settings import EgressPolicy
from knowledge.masking import Span, identifiers_in
from tools.loopback import is_loopback

_DATA_URL = re.compile(r"\Adata:(?P<type>[\w/+.-]+);base64,(?P<data>.*)\Z", re.DOTALL)
_IMAGE_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG"}
_PLACEHOLDER = re.compile(r"\[[A-Z]+-[A-Z]\d*\]")

# Identifiers as people type them, beyond what reports hold (knowledge/masking.toml); the first group, or the
# whole match, is replaced.
_TYPED = (
    ("EMAIL", re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")),
    ("UID", re.compile(r"\b\d+(?:\.\d+){4,}\b")),
    ("DATE", re.compile(r"\b(?:\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./]\d{1,2}[./]\d{2,4}|(?:19|20)\d{6})\b")),
    ("PATH", re.compile(r"(?<!\w)(?:[A-Za-z]:\\|~?/)[^\s,;'\"]+")),
    ("NAME", re.compile(r"\b([A-Z][\w'-]+(?:\^[\w'-]+)+)")),
    ("NAME", re.compile(r"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Sir|Herr|Frau|Mme)\.? ([A-Z][\w'-]+(?: [A-Z][\w'-]+)*)")),
    (
        "NAME",
        re.compile(
            r"\b(?:[Pp]atient|[Nn]amed?|[Cc]alled|[Mm]other|[Ff]ather|[Hh]usband|[Ww]ife|[Nn]urse|[Dd]octor)"
            r"(?: is|:|,)? ([A-Z][a-z'-]+(?:,? [A-Z][\w'-]+)+)"
        ),
    ),
    (
        "NAME",
        re.compile(r"\b([A-Z][a-z'-]+ [A-Z][\w'-]+)(?=,? (?:aged?|born|DOB|MRN|\d{1,3}[- ]?(?:years?|yrs?|y/?o)))"),
    ),
    (
        "ID",
        re.compile(
            r"\b(?:patient|mrn|pid|id|accession|case|acc|nhs|ssn|insurance|policy|account)(?: (?:id|number|no\.?|nr))?"
            r"[ :#]*([\w-]*\d[\w-]*)",
            re.IGNORECASE,
        ),
    ),
    ("NUMBER", re.compile(r"(?<![\w@])\+?\d[\d ()-]{6,}\d\b")),
)  # fmt: skip


class Pseudonyms:
    """Which placeholder stands for what, for as long as an endpoint is used."""

    def __init__(self) -> None:
        self._by_secret: dict[str, str] = {}
        self._lock = threading.Lock()

    def of(self, label: str, secret: str) -> str:
        """Return the placeholder of a text; the same text has the same one, whatever its case."""
        key = " ".join(secret.lower().split())
        with self._lock:
            if key not in self._by_secret:
                count = len(self._by_secret)
                letter, more = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[count % 26], count // 26 or ""
                self._by_secret[key] = f"[{label}-{letter}{more}]"
            return self._by_secret[key]


@dataclass
class Passage:
    """One call's way through the gate: remembers which placeholder stands for what."""

    policy: EgressPolicy
    known: Sequence[str] = ()
    """Strings that must not leave, for instance names from DICOM headers."""
    pseudonyms: Pseudonyms = field(default_factory=Pseudonyms)
    replaced: dict[str, str] = field(default_factory=dict)
    """Placeholder → what it stands for; of this call only."""
    counts: Counter[str] = field(default_factory=Counter)
    images: int = 0

    @property
    def altered(self) -> tuple[str, ...]:
        """What was done to pictures, for the reader of the answer."""
        removed = self.counts["burned-in text"]
        if self.policy != "remote-deidentified" or not self.images:
            return ()
        text = f"{removed} places with text in the picture were blacked out" if removed else "no text was found in it"
        return (
            f"The picture went to another machine without its header; {text}. Text that OCR misses would go along.",
        )

    def outgoing(self, messages: Sequence[Message]) -> list[Message]:
        """Return the messages as they may leave.

        Raises:
            ConfigError: pixels would leave that may not, or bytes are not the image that they claim to be.
        """
        return [{"role": m["role"], "content": self._content(m["content"])} for m in messages]

    def data(self, value: Any) -> Any:
        """Return JSON data, such as a schema, as it may leave; names of fields stay."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return {key: self.data(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(item) for item in value]
        return value

    def incoming(self, text: str) -> str:
        """Return an answer with the placeholders of this call resolved; others are left as they are."""
        return _PLACEHOLDER.sub(lambda found: self.replaced.get(found[0], found[0]), text)

    def _content(self, content: str | list[dict[str, Any]]) -> str | list[dict[str, Any]]:
        if isinstance(content, str):
            return self._text(content)
        return [self._part(part) for part in content]

    def _part(self, part: dict[str, Any]) -> dict[str, Any]:
        if part.get("type") == "text":
            return {**part, "text": self._text(str(part["text"]))}
        if part.get("type") != "image_url":
            raise ConfigError(f"a message part must be text or image_url, got {part.get('type')!r}")
        check_image(str(part["image_url"]["url"]))
        self.images += 1
        if self.policy != "remote-deidentified":
            return part
        url, removed = without_text(str(part["image_url"]["url"]))
        if removed:
            self.counts["burned-in text"] += removed
        return {**part, "image_url": {**part["image_url"], "url": url}}

    def _text(self, text: str) -> str:
        if self.policy != "remote-deidentified":
            return text
        out, position = [], 0
        for span in _spans(text, self.known):
            secret = text[span.start : span.end]
            placeholder = self.pseudonyms.of(span.kind.upper(), secret)
            self.replaced.setdefault(placeholder, secret)
            self.counts[span.kind.lower()] += 1
            out += [text[position : span.start], placeholder]
            position = span.end
        return "".join([*out, text[position:]])


def _spans(text: str, known: Sequence[str]) -> list[Span]:
    """Return what must be replaced, in order, without overlaps; of two that overlap the union counts."""
    found = [*identifiers_in(text, known)]
    for label, pattern in _TYPED:
        for match in pattern.finditer(text):
            group = 1 if pattern.groups else 0
            found.append(Span(match.start(group), match.end(group), label))
    taken = [match.span() for match in _PLACEHOLDER.finditer(text)]
    found = [s for s in found if s.start < s.end and not any(a < s.end and s.start < b for a, b in taken)]
    merged: list[Span] = []
    for span in sorted(found, key=lambda s: (s.start, -s.end)):
        if merged and span.start < merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end), merged[-1].kind)
        else:
            merged.append(span)
    return merged


def policy_for(
    base_url: str, wished: EgressPolicy | None, by_endpoint: Mapping[str, EgressPolicy] | None = None
) -> EgressPolicy:
    """Return what may leave to an endpoint: everything on loopback, text without identifiers elsewhere.

    Args:
        base_url: the endpoint.
        wished: what the settings say for every endpoint; None: the default.
        by_endpoint: what they say for one, by its address or by its host; goes before `wished`.

    Raises:
        ConfigError: "local" was set for an endpoint on another machine.
    """
    named = by_endpoint or {}
    wished = named.get(base_url) or named.get(urlsplit(base_url).hostname or "") or wished
    if is_loopback(base_url):
        return wished or "local"
    if wished == "local":
        raise ConfigError(
            f"READINGROOM_EGRESS=local allows only an LLM on this machine, got {base_url}; "
            "use a loopback address, or READINGROOM_EGRESS=remote-deidentified"
        )
    return wished or "remote-deidentified"


def check_image(url: str) -> None:
    """Make sure that an image in a message is what it claims to be.

    Raises:
        ConfigError: not a data URL of a PNG or JPEG, or its bytes do not decode as that.
    """
    found = _DATA_URL.match(url)
    wanted = _IMAGE_FORMATS.get(found["type"]) if found else None
    if found is None or wanted is None:
        raise ConfigError(f"an image for an LLM must be a data URL of image/png or image/jpeg, got {url[:40]!r}")
    from PIL import Image

    try:
        with Image.open(io.BytesIO(base64.b64decode(found["data"], validate=True)), formats=[wanted]) as image:
            image.load()
    except (OSError, SyntaxError, binascii.Error) as error:
        raise ConfigError(f"bytes that claim to be {found['type']} do not decode as that: {error}") from None
