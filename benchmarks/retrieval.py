"""Findings-aware search beside plain Chroma dense retrieval, in one run: quality, ingestion time, a warm query.

    python benchmarks/retrieval.py --cache CACHE --folder EMPTY_FOLDER benchmarks/retrieval_tune.jsonl [more.jsonl …]

The plain side is what the peers do: one vector a whole report, asked with the query's vector. The rows below it add one
part after the other. Prints Markdown; figures of one run on one machine, to be read side by side.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from knowledge.assets import Assets
from knowledge.embed import Embedder, load_embedder
from knowledge.evaluation import Headings, RetrievalCase, evaluate_search, read_cases
from knowledge.fusion import Parts
from knowledge.readers.openi import read_openi, read_openi_headings
from knowledge.report import Report
from knowledge.search import Knowledge
from knowledge.store import Encoding, VectorStore

STEPS = {
    "+ sentences": Parts(findings=False, negation=False, lexical=False),
    "+ assertion (denying sentences dropped)": Parts(findings=False, lexical=False),
    "+ lexical (BM25, negated words apart)": Parts(findings=False),
    "+ findings and fusion": Parts(),
}
Search = Callable[[str, int], list[str]]


def plain_dense(folder: Path, embedder: Embedder, reports: list[Report]) -> tuple[Search, float]:
    """Return the peers' search, and the seconds that building it took."""
    start = time.perf_counter()
    store = VectorStore(folder, "whole_reports", Encoding(embedder.name, embedder.hash, embedder.dimension))
    store.put([report.id for report in reports], embedder.embed([report.text for report in reports]))
    seconds = time.perf_counter() - start

    def search(query: str, k: int) -> list[str]:
        return [name for name, _ in store.nearest(embedder.embed([query])[0], k)]

    return search, seconds


def latency_ms(search: Search, cases: list[RetrievalCase]) -> tuple[float, float]:
    """Return median and 95th percentile over three rounds of all queries, after one that warms up."""
    seconds = []
    for round_number in range(4):
        for case in cases:
            start = time.perf_counter()
            search(case.query, 10)
            if round_number:
                seconds.append(time.perf_counter() - start)
    seconds.sort()
    return 1000 * statistics.median(seconds), 1000 * seconds[int(0.95 * len(seconds))]


def show(name: str, search: Search, files: dict[str, list[RetrievalCase]], headings: Headings) -> None:
    cells = []
    for cases in files.values():
        result = evaluate_search(cases, headings, search)
        cells.append(f"{result.mean_p_at_10:.3f} | {result.mean_recall['50']:.3f} | {result.mean_recall['100']:.3f}")
    median, p95 = latency_ms(search, next(iter(files.values())))
    print(f"| {name} | {' | '.join(cells)} | {median:.0f} | {p95:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("files", type=Path, nargs="+")
    options = parser.parse_args()
    assets = Assets(options.cache)
    archive = assets.path("openi-reports", "reports.tgz")
    headings = read_openi_headings(archive)
    files = {path.stem: read_cases(path) for path in options.files}
    embedder = load_embedder(assets, options.threads)
    knowledge = Knowledge.open(options.folder / "store", embedder)
    start = time.perf_counter()
    summary = knowledge.ingest(read_openi(archive))
    ours = time.perf_counter() - start
    reports = [record for record in read_openi(archive) if isinstance(record, Report)]
    dense, theirs = plain_dense(options.folder / "plain", embedder, reports)
    print(
        f"ingested {summary.added} reports ({len(summary.bad)} bad): {ours:.1f} s; plain dense: {theirs:.1f} s; ",
        end="",
    )
    print(f"ratio {ours / theirs:.2f}\n")
    columns = " | ".join(f"{name} P@10 | R@50 | R@100" for name in files)
    print(f"| search | {columns} | median ms | p95 ms |\n|---|{'---|' * (3 * len(files) + 2)}")
    show("dense, whole reports (plain Chroma)", dense, files, headings)
    for name, parts in STEPS.items():

        def search(query: str, k: int, parts: Parts = parts) -> list[str]:
            return [hit.report_id for hit in knowledge.search(query, k, parts=parts)]

        show(name, search, files, headings)


if __name__ == "__main__":
    main()
