"""The egress gate: what may leave to a language model on another machine.

Prompts hold no header values to begin with: facts carry none, and files are named by their ids. What a person types may
still hold identifiers; on the way out they are replaced by placeholders, on the way back the placeholders are resolved.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.errors import ConfigError
from agent.llm.chat import Message
from agent.settings import EgressPolicy, is_loopback

_DATA_URL = re.compile(r"\Adata:(?P<type>[\w/+.-]+);base64,(?P<data>.*)\Z", re.DOTALL)
_IMAGE_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG"}

# Identifiers as people type them; each pattern's first group (or the whole match) is replaced.
_IDENTIFIERS = (
    ("EMAIL", re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")),
    ("UID", re.compile(r"\b\d+(?:\.\d+){4,}\b")),
    ("DATE", re.compile(r"\b(?:\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./]\d{1,2}[./]\d{2,4}|(?:19|20)\d{6})\b")),
    ("PATH", re.compile(r"(?<!\w)(?:[A-Za-z]:\\|~?/)[^\s,;'\"]+")),
    ("NAME", re.compile(r"\b([A-Z][\w'-]+(?:\^[\w'-]+)+)")),
    ("NAME", re.compile(r"\b(?:Mr|Mrs|Ms|Miss|Dr|Herr|Frau)\.? ([A-Z][\w'-]+(?: [A-Z][\w'-]+)*)")),
    ("NAME", re.compile(r"\b(?:[Pp]atient|[Nn]amed?)(?: is|:)? ([A-Z][a-z'-]+(?:,? [A-Z][\w'-]+)+)")),
    (
        "ID",
        re.compile(
            r"\b(?:patient|mrn|pid|id|accession|case)(?: (?:id|number|no\.?|nr))?[ :#]*([\w-]*\d[\w-]*)", re.IGNORECASE
        ),
    ),
    ("NUMBER", re.compile(r"(?<![\w@])\+?\d[\d ()-]{6,}\d\b")),
)


@dataclass
class Passage:
    """One call's way through the gate: remembers which placeholder stands for what."""

    policy: EgressPolicy
    known: Sequence[str] = ()
    """Strings that must not leave, for instance names from DICOM headers."""
    replaced: dict[str, str] = field(default_factory=dict)

    def outgoing(self, messages: Sequence[Message]) -> list[Message]:
        """Return the messages as they may leave.

        Raises:
            ConfigError: pixels would leave that may not, or bytes are not the image that they claim to be.
        """
        return [{"role": m["role"], "content": self._content(m["content"])} for m in messages]

    def incoming(self, text: str) -> str:
        """Return an answer with the placeholders resolved."""
        for placeholder, original in self.replaced.items():
            text = text.replace(placeholder, original)
        return text

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
        if self.policy == "remote-deidentified":
            raise ConfigError(
                "pixels may not leave to this LLM endpoint: set READINGROOM_EGRESS=remote-allowed if they may"
            )
        return part

    def _text(self, text: str) -> str:
        if self.policy != "remote-deidentified":
            return text
        for identifier in sorted(filter(None, self.known), key=len, reverse=True):
            text = re.sub(re.escape(identifier), self._placeholder("NAME", identifier), text, flags=re.IGNORECASE)
        for label, pattern in _IDENTIFIERS:
            text = pattern.sub(lambda found, label=label: self._hide(label, found), text)  # type: ignore[misc]
        return text

    def _hide(self, label: str, found: re.Match[str]) -> str:
        group = 1 if found.re.groups else 0
        secret = found[group]
        if secret in self.replaced:
            return found[0]
        start, end = found.start(group) - found.start(), found.end(group) - found.start()
        return found[0][:start] + self._placeholder(label, secret) + found[0][end:]

    def _placeholder(self, label: str, secret: str) -> str:
        for placeholder, original in self.replaced.items():
            if original == secret:
                return placeholder
        placeholder = (
            f"[{label}-{'ABCDEFGHIJKLMNOPQRSTUVWXYZ'[len(self.replaced) % 26]}{len(self.replaced) // 26 or ''}]"
        )
        self.replaced[placeholder] = secret
        return placeholder


def policy_for(base_url: str, wished: EgressPolicy | None) -> EgressPolicy:
    """Return what may leave to an endpoint: everything on loopback, text without identifiers elsewhere.

    Raises:
        ConfigError: "local" was set for an endpoint on another machine.
    """
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
