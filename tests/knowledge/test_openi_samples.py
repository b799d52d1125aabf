"""The real collection: fast enough, right often enough, and blind to its own answer key."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from knowledge.assets import Assets
from knowledge.embed import Embedder, load_embedder
from knowledge.evaluation import evaluate_retrieval, read_cases
from knowledge.readers.openi import read_openi, read_openi_headings
from knowledge.report import Report
from knowledge.search import Knowledge

pytestmark = pytest.mark.samples
SETS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def embedder(assets: Assets) -> Embedder:
    if not assets.present("minilm"):
        pytest.skip("sample 'minilm' is not cached; run 'make samples'")
    return load_embedder(assets, threads=2)


@pytest.fixture(scope="module")
def archive(assets: Assets) -> Path:
    if not assets.present("openi-reports"):
        pytest.skip("sample 'openi-reports' is not cached; run 'make samples'")
    return assets.path("openi-reports", "reports.tgz")


@pytest.fixture(scope="module")
def knowledge(embedder: Embedder, archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knowledge]:
    store = Knowledge.open(tmp_path_factory.mktemp("openi"), embedder)
    store.ingest(read_openi(archive))
    yield store
    store.close()


def test_all_reports_are_stored_and_the_empty_ones_listed(knowledge: Knowledge, archive: Path) -> None:
    again = knowledge.ingest(read_openi(archive))

    assert (again.added, again.unchanged, len(again.bad)) == (0, 3927, 28)
    assert all("holds no text" in line for line in again.bad)
    assert knowledge.stats().vectors == knowledge.stats().distinct_sentences


@pytest.mark.parametrize(("name", "least"), [("tune", 0.92), ("holdout", 0.92), ("fresh", 0.92)])
def test_the_first_ten_hits_are_right(knowledge: Knowledge, archive: Path, name: str, least: float) -> None:
    result = evaluate_retrieval(read_cases(SETS / f"retrieval_{name}.jsonl"), knowledge, read_openi_headings(archive))

    assert result.mean_p_at_10 >= least


def test_the_answer_key_is_nowhere_in_the_store(archive: Path) -> None:
    reports = [record for record in read_openi(archive) if isinstance(record, Report)]
    text = " ".join(report.model_dump_json().lower() for report in reports)

    for heading in ("catheters, indwelling", "technical quality of image unsatisfactory", "bone diseases, metabolic"):
        assert heading not in text


def test_meaning_lies_close(embedder: Embedder) -> None:
    vectors = embedder.embed(["the heart is enlarged", "enlarged cardiac silhouette", "broken left rib", ""])

    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors[:3], axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > 0.6 > vectors[0] @ vectors[2]


def test_a_batch_gives_nearly_what_one_text_gives(embedder: Embedder) -> None:
    """The int8 model chooses its scale by batch, so the values differ a little; the neighbours don't."""
    texts = ["effusion", "there is a moderate left pleural effusion with adjacent atelectasis", "clear"]
    together, alone = embedder.embed(texts), np.concatenate([embedder.embed([text]) for text in texts])

    assert (together * alone).sum(axis=1) == pytest.approx(1, abs=0.02)


def test_the_default_path_imports_no_transformers(knowledge: Knowledge) -> None:
    import subprocess

    code = (
        "import sys\nfrom knowledge.search import Knowledge\nfrom knowledge.embed import HashEmbedder\n"
        "import tempfile, pathlib\nstore = Knowledge.open(pathlib.Path(tempfile.mkdtemp()), HashEmbedder())\n"
        "store.search('effusion')\nprint(sorted({'transformers', 'sentence_transformers', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=SETS.parent)

    assert done.stdout.strip() == "[]"
