"""Planner tests share one planner with the real embedding; it is never changed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import planning

from agent.planner import Planner
from knowledge.assets import Assets
from knowledge.embed import Embedder, load_embedder


@pytest.fixture(scope="session")
def minilm(assets: Assets) -> Embedder:
    if not assets.present("minilm"):
        pytest.skip("sample 'minilm' is not cached; run 'make samples'")
    return load_embedder(assets, threads=2)


@pytest.fixture(scope="session")
def kept_examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the examples' embeddings are kept, so that they are made once."""
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(scope="session")
def default_planner(minilm: Embedder, kept_examples: Path) -> Planner:
    return planning.planner(embedder=minilm, cache_dir=kept_examples)
