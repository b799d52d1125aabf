"""Search over a store of many sentences, made by recombining real ones: latency of a warm query.

How the sentences are made: two stored sentences of the Open-i reports are drawn with a fixed seed, the first half of
one's words is joined to the second half of the other's; where that text was made before, a number is put behind.
Its vector is the normalised mean of the two real vectors plus a small fixed noise, because embedding a million texts
takes hours on two cores and the time of a query does not depend on what the vectors mean. Analysis, words, database and
Chroma are the real ones. Eight sentences make a report.

    python benchmarks/retrieval_scale.py --cache CACHE --folder EMPTY_FOLDER --sentences 1000000
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from knowledge.assets import Assets
from knowledge.embed import Embedder, Vectors, load_embedder, normalise
from knowledge.readers.openi import read_openi
from knowledge.report import Report, report_from_sections
from knowledge.search import Knowledge
from knowledge.sentences import sentence_key, split_sentences

QUERIES = (
    "enlarged heart",
    "pleural effusion but a normal heart size",
    "fluid around the lungs",
    "completely normal chest radiograph",
    "lung nodule",
    "low lung volumes with bibasilar atelectasis",
    "degenerative changes of the thoracic spine",
    "right upper lobe opacity",
    "the lungs are clear",
    "hiatal hernia",
    "shortness of breath after a fall",
)
SENTENCES_PER_REPORT = 8


class RecombinedEmbedder:
    """The real embedder for queries; for recombined sentences the mean of their parents' vectors."""

    def __init__(self, real: Embedder, sentences: Sequence[str]) -> None:
        self._real = real
        self._parents = real.embed(sentences)
        self.pending: dict[str, tuple[int, int]] = {}
        self.name, self.hash, self.dimension = real.name, real.hash, real.dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text."""
        if not texts or texts[0] not in self.pending:
            return self._real.embed(texts)
        pairs = np.array([self.pending.pop(text) for text in texts])
        generator = np.random.default_rng(int(pairs.sum()))
        noise = generator.standard_normal((len(texts), self.dimension), dtype=np.float32) * 0.01
        return normalise(self._parents[pairs[:, 0]] + self._parents[pairs[:, 1]] + noise)


def real_sentences(reports: Sequence[Report]) -> list[str]:
    found: dict[str, None] = {}
    for report in reports:
        for section in report.sections:
            if section.name in {"findings", "impression"}:
                for start, end in split_sentences(report.text, section.start, section.end):
                    found[report.text[start:end].rstrip(" .")] = None
    return list(found)


def recombined(parents: Sequence[str], embedder: RecombinedEmbedder, count: int) -> Iterator[Report]:
    draw = random.Random(7)  # noqa: S311  (no secret)
    seen: set[str] = set()
    for number in range(count // SENTENCES_PER_REPORT):
        lines = []
        for _ in range(SENTENCES_PER_REPORT):
            first, second = draw.randrange(len(parents)), draw.randrange(len(parents))
            head, tail = parents[first].split(), parents[second].split()
            text = " ".join([*head[: (len(head) + 1) // 2], *tail[len(tail) // 2 :]]).replace(". ", " ")
            if sentence_key(text) in seen:
                text = f"{text} {number}"
            seen.add(sentence_key(text))
            embedder.pending[sentence_key(text)] = (first, second)
            lines.append(f"{text}.")
        yield report_from_sections([("findings", "\n\n".join(lines))], id=f"M{number}", source="recombined")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--sentences", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    assets = Assets(options.cache)
    reports = [r for r in read_openi(assets.path("openi-reports", "reports.tgz")) if isinstance(r, Report)]
    parents = real_sentences(reports)
    embedder = RecombinedEmbedder(load_embedder(assets, threads=2), parents)
    knowledge = Knowledge.open(options.folder, embedder)
    start = time.perf_counter()
    if knowledge.stats().reports == 0:
        knowledge.ingest(
            recombined(parents, embedder, options.sentences),
            lambda done, _: print(f"\r{done} reports, {time.perf_counter() - start:.0f} s", end="", flush=True),
            masking=False,
        )
        print()
    built = time.perf_counter() - start
    start = time.perf_counter()
    knowledge.search(QUERIES[0])
    first = time.perf_counter() - start
    seconds = [_timed(knowledge, query) for _ in range(options.rounds) for query in QUERIES]
    seconds.sort()
    stats = knowledge.stats()
    result = {
        "sentences": stats.sentences,
        "distinct_sentences": stats.distinct_sentences,
        "reports": stats.reports,
        "build_s": round(built, 1),
        "first_query_s": round(first, 2),
        "median_ms": round(1000 * statistics.median(seconds), 1),
        "p95_ms": round(1000 * seconds[int(0.95 * len(seconds))], 1),
        "slowest_ms": round(1000 * seconds[-1], 1),
    }
    print(json.dumps(result))


def _timed(knowledge: Knowledge, query: str) -> float:
    start = time.perf_counter()
    knowledge.search(query, 10)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
