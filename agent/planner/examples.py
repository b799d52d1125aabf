"""Which tool a part of a request asks for, learned from the example requests that tools declare.

Each example is two vectors: a sentence embedding (what it means) and its words and letter groups (how it is spelt, so
that typing errors and rare words count); and the same two again with organs and findings put in general terms, since
what is asked does not depend on which organ it is asked of. Kernel ridge regression over both gives a score per tool.
It is solved from the registered tools' own examples when the planner starts, in a fraction of a second: a tool
registered by another package is planned without any training run.
"""

from __future__ import annotations

import hashlib
import logging
import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agent.planner.text import clauses, has_phrase, words
from tools.contract import Call, Example
from tools.errors import BadInputError
from tools.registry import Registry

if TYPE_CHECKING:
    from knowledge.embed import Embedder

logger = logging.getLogger(f"readingroom.{__name__}")

# Chosen on tests/evals/plans_tune.jsonl; results change little between half and twice these values.
SPELLING_SHARE = 0.4
SHARPNESS = 2.0
RIDGE = 0.2

NAMED = 0.12  # what a tool gains when the request names it by its own verb

_BUCKETS = 4096

# Findings and targets that are kept as they are said: what is counted and located is detected, not scored.
_DECIDING = (
    "nodule", "mass", "fracture", "normal_study", "acute_disease", "technical_limitation", "opacity", "density",
    "medical_device", "tube", "catheter", "lung_nodule", "implanted_device",
)  # fmt: skip

_POSSESSIVE = re.compile(r"\b(?:its|their)\b", re.I)

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Near:
    """A declared example request, and how near it is."""

    request: str
    calls: tuple[Call, ...]
    tool: str
    """The tool that declares it; "!kind" for a kind of out_of_scope.toml."""
    similarity: float


@dataclass(frozen=True)
class Scored:
    """How strongly a part of a request asks for each tool: near 1 for yes, near 0 for no."""

    scores: dict[str, float]

    def ranked(self) -> list[tuple[str, float]]:
        """Return tools with their scores, best first."""
        return sorted(self.scores.items(), key=lambda item: -item[1])


@dataclass(frozen=True)
class OutOfScope:
    """A kind of request that no tool may answer."""

    outcome: str
    message: str
    requests: tuple[str, ...]


@cache
def out_of_scope() -> dict[str, OutOfScope]:
    """Return the kinds of requests that are declined or asked back, by name."""
    table = tomllib.loads(Path(__file__).with_name("out_of_scope.toml").read_text(encoding="utf-8"))
    return {k: OutOfScope(v["outcome"], v["message"], tuple(v["requests"])) for k, v in table.items()}


class ExampleIndex:
    """The declared example requests of a registry, ready to be compared with.

    Args:
        registry: the tools whose examples count.
        embedder: the sentence embedding; its absence is an error, never a silent fallback.
        cache_dir: where the examples' embeddings are kept between processes; None: nowhere.
    """

    def __init__(self, registry: Registry, embedder: Embedder, cache_dir: Path | None = None) -> None:
        self._embedder = embedder
        self._rows = _rows(registry)
        texts = _both_forms([row.request for row in self._rows])
        self._meaning = self._cached(texts, cache_dir)
        counts = np.stack([_spelling(text) for text in texts])
        self._rarity = np.log(len(texts) / (1.0 + (counts > 0).sum(axis=0))).clip(min=0).astype(np.float32)
        self._spelling = self._weighted(counts)
        self._learn()

    def score(self, texts: Sequence[str]) -> list[Scored]:
        """Return a score per tool for each text."""
        if not texts:
            return []
        scores: Floats = self._kernel(texts)[:, self._single] @ self._weights
        return [
            Scored(
                {
                    name: float(value) + NAMED * is_named(name, text)
                    for name, value in zip(self._classes, row, strict=True)
                }
            )
            for text, row in zip(texts, scores, strict=True)
        ]

    def nearest(self, text: str, count: int = 4) -> list[Near]:
        """Return the declared examples nearest to a request, best first."""
        closeness = self._kernel([text])[0]
        order = np.argsort(-closeness)[:count]
        return [
            Near(self._rows[i].request, self._rows[i].calls, self._rows[i].tool, float(closeness[i])) for i in order
        ]

    def _learn(self) -> None:
        """Solve the regression on examples that ask for one thing; combined ones would teach two at once."""
        self._single = np.array([i for i, row in enumerate(self._rows) if row.is_single])
        labels = [self._rows[i].tool for i in self._single]
        self._classes = sorted(set(labels))
        wanted = np.eye(len(self._classes), dtype=np.float32)[[self._classes.index(label) for label in labels]]
        kernel = self._between(self._meaning, self._spelling)[np.ix_(self._single, self._single)]
        self._weights = np.linalg.solve(kernel + RIDGE * np.eye(len(labels), dtype=np.float32), wanted)

    def _kernel(self, texts: Sequence[str]) -> Floats:
        forms = _both_forms(texts)
        meaning = self._embedder.embed([_bare(text) for text in forms])
        return self._between(meaning, self._weighted(np.stack([_spelling(text) for text in forms])))

    def _between(self, meaning: Floats, spelling: Floats) -> Floats:
        """Return how near texts are to the examples, float32 (texts, examples): the mean of both forms."""
        count, own = len(meaning) // 2, len(self._rows)
        as_said = _combine(meaning[:count] @ self._meaning[:own].T, spelling[:count] @ self._spelling[:own].T)
        general = _combine(meaning[count:] @ self._meaning[own:].T, spelling[count:] @ self._spelling[own:].T)
        return np.asarray((as_said + general) / 2, dtype=np.float32)

    def _weighted(self, counts: Floats) -> Floats:
        weighted = np.sqrt(counts) * self._rarity
        lengths = np.linalg.norm(weighted, axis=1, keepdims=True)
        return np.asarray(weighted / np.where(lengths == 0, 1, lengths), dtype=np.float32)

    def _cached(self, texts: list[str], cache_dir: Path | None) -> Floats:
        """Embed the examples, or read their embeddings from the cache; a changed example or model is a new file."""
        digest = hashlib.sha256("\n".join([self._embedder.name, self._embedder.hash, *texts]).encode()).hexdigest()
        path = cache_dir / f"examples-{digest[:16]}.npy" if cache_dir else None
        if path is not None and path.is_file():
            try:
                kept: Floats = np.load(path, allow_pickle=False)
            except (OSError, ValueError) as error:
                logger.warning("cached example embeddings %s are made anew: %s", path.name, error)
            else:
                if kept.shape == (len(texts), self._embedder.dimension):
                    return kept
        meaning = self._embedder.embed([_bare(text) for text in texts])
        if path is not None:
            _keep(path, meaning)
        return meaning


@dataclass(frozen=True)
class _Row:
    request: str
    calls: tuple[Call, ...]
    tool: str

    @property
    def is_single(self) -> bool:
        return len(clauses(self.request)) <= 1 or self.tool.startswith("!")


def _rows(registry: Registry) -> list[_Row]:
    rows = [
        _Row(e.request, e.calls, e.calls[-1].tool) for tool in registry for e in tool.examples if _is_sound(e, registry)
    ]
    rows += [_Row(r, (), f"!{kind}") for kind, scope in out_of_scope().items() for r in scope.requests]
    unique = {(row.request, row.tool): row for row in rows if row.tool in registry or row.tool.startswith("!")}
    return list(unique.values())


def is_named(tool: str, text: str) -> bool:
    """Return whether a text names a tool outright, by a verb or noun of its own."""
    said = words()["verbs"].get(tool) or ([tool.replace("_", " ")] if not tool.startswith("!") else [])
    return bool(said and has_phrase(text, said))


def _is_sound(given: Example, registry: Registry) -> bool:
    """Return whether an example's calls fit the tools' schemas; one that does not teaches nothing, and is reported."""
    try:
        for call in given.calls:
            if call.tool in registry:
                registry.get(call.tool).validate_args(call.args)
    except BadInputError as error:
        logger.warning("example %r is left out, it contradicts its tool: %s", given.request, error)
        return False
    return bool(given.calls)


def _both_forms(texts: Sequence[str]) -> list[str]:
    return [*texts, *(in_general(text) for text in texts)]


def in_general(text: str) -> str:
    """Put one organ for every organ and one finding for every finding, except those that decide on a tool."""
    from knowledge.vocabulary import load_vocabulary
    from tools.imaging.anatomy import find_targets

    found = [
        (naming.start, naming.end, "pneumonia")
        for naming in load_vocabulary().name_findings(text.lower())
        if not naming.finding.endswith(_DECIDING)
    ]
    for mention in find_targets(text):
        is_free = not any(start < mention.end and mention.start < end for start, end, _ in found)
        if is_free and mention.targets[0] not in _DECIDING:
            found.append((mention.start, mention.end, "liver"))
    for start, end, word in sorted(found, reverse=True):
        text = text[:start] + word + text[end:]
    return _POSSESSIVE.sub("liver", text)


def _combine(meaning: Floats, spelling: Floats) -> Floats:
    near = (1 - SPELLING_SHARE) * np.exp(SHARPNESS * (meaning - 1)) + SPELLING_SHARE * spelling
    return np.asarray(near, dtype=np.float32)


def _bare(text: str) -> str:
    """Drop the punctuation at the end: parts of a request have lost theirs."""
    return text.rstrip(" .?!,;:")


def _spelling(text: str) -> Floats:
    """Count a text's words, word pairs and letter groups in hashed buckets; float32 (buckets,)."""
    tokens = re.findall(r"\w+", text.lower())
    marks = [f"w{t}" for t in tokens] + [f"p{a} {b}" for a, b in pairwise(tokens)]
    for token in tokens:
        edged = f"<{token}>"
        marks += [edged[i : i + n] for n in (3, 4, 5) for i in range(len(edged) - n + 1)]
    counts = np.zeros(_BUCKETS, dtype=np.float32)
    for mark, count in Counter(marks).items():
        counts[int.from_bytes(hashlib.blake2b(mark.encode(), digest_size=4).digest(), "little") % _BUCKETS] += count
    return counts


def _keep(path: Path, meaning: Floats) -> None:
    """Write the embeddings; a folder that cannot be written costs a second at the next start, no more."""
    temporary = path.with_suffix(".part.npy")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(temporary, meaning)
        temporary.replace(path)
    except OSError as error:
        logger.warning("example embeddings could not be cached in %s: %s", path.parent, error.strerror or error)
