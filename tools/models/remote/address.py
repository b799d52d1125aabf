"""Where pixels may go: to this machine, and to other machines that the person has named."""

from __future__ import annotations

import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from tools.loopback import is_loopback
from tools.models.card import ModelCard

REMOTE_RUNTIMES = ("remote_http", "remote_mcp")
SETTING = "READINGROOM_REMOTE_MODELS"
_PORTS = {"http": 80, "https": 443}
_KNOCK_S = 0.5  # this machine answers or refuses at once; longer only under heavy load


def origin_of(url: str) -> str:
    """Return scheme, host and port of an http(s) address, in one spelling; empty when it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return ""
    if not parts.hostname or parts.username or parts.password:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def address_refusal(card: ModelCard, allowed: Collection[str]) -> str:
    """Return why a card's model must not be sent pixels, and what allows it; empty when it may.

    Args:
        card: of any model; only those of remote runtimes have an address.
        allowed: addresses of other machines that the person's settings name.
    """
    if card.runtime not in REMOTE_RUNTIMES:
        return ""
    url = str(card.options.get("url", ""))
    origin = origin_of(url)
    if not origin:
        return f"its card must name an http(s) address as options.url, got {url!r}"
    if is_loopback(url) or origin in {origin_of(each) for each in allowed}:
        return ""
    return f"pixels would leave for {origin}: to allow that, set {SETTING}={origin}"


def silence(card: ModelCard) -> str:
    """Return that nothing answers at the address of a card on this machine, and what starts it; empty otherwise.

    Other machines are not asked: that would take time, and tell them that somebody is there.
    """
    url = str(card.options.get("url", ""))
    if card.runtime not in REMOTE_RUNTIMES or not is_loopback(url):
        return ""
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or _PORTS[parts.scheme]), _KNOCK_S).close()
    except OSError:
        how = f": {card.extra_install}" if card.extra_install else ""
        return f"nothing answers at {origin_of(url)}; start its server{how}, or correct options.url of its card"
    return ""
