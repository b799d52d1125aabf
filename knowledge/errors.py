"""Errors the knowledge folder may raise, routed by what the caller can do about them.

KnowledgeError             base; has kind, with the same meanings as the kinds of tools/errors.py
├─ BadInputError           an argument or setting is wrong: another value could work
│  └─ BadRecordError       one record or file can't be read: ingestion lists it and goes on
├─ NotFoundError           a report id, asset, member or file does not exist
├─ StoreMismatchError      the store was made by another embedder or an older layout: refused, says what to do
├─ UnavailableError        weights, samples, pip, disk space or a server is missing: says what to install or run
│  └─ StoreBusyError       another process is writing the store
└─ StoppedError            a person stopped the work; what was committed before stays

Any *other* exception is our bug: it stops the run with its traceback.
"""

from typing import ClassVar, Literal

KnowledgeErrorKind = Literal["bad_input", "not_found", "unsupported", "unavailable", "cancelled"]


class KnowledgeError(Exception):
    """Base of what this folder tells its caller: one line with parameter, what was expected, what came, what to do."""

    kind: ClassVar[KnowledgeErrorKind] = "unsupported"


class BadInputError(KnowledgeError):
    """An argument or setting is wrong; another value could work."""

    kind = "bad_input"


class BadRecordError(BadInputError):
    """One record or file can't be read as a report."""


class NotFoundError(KnowledgeError):
    """A report id, asset, member or file does not exist."""

    kind = "not_found"


class StoreMismatchError(KnowledgeError):
    """The store holds vectors of another embedder or an older layout."""

    kind = "unsupported"


class UnavailableError(KnowledgeError):
    """Something that must be installed, started, fetched or freed first is missing."""

    kind = "unavailable"


class StoreBusyError(UnavailableError):
    """Another process is writing the store."""


class StoppedError(KnowledgeError):
    """A person stopped the work; what was committed before stays."""

    kind = "cancelled"
