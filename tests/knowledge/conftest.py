from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from knowledge.embed import Embedder, HashEmbedder
from knowledge.search import Knowledge
from knowledge.store import IMAGES, REPORTS, SENTENCES
from tests.knowledge.stores import Opener, start_server, stop_server


@pytest.fixture(scope="module")
def chroma_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    process, url = start_server(tmp_path_factory.mktemp("chroma"))
    yield url
    stop_server(process)


@pytest.fixture(params=["embedded", "server"])
def server(request: pytest.FixtureRequest) -> str | None:
    """None: Chroma inside the process; else the address of an empty server."""
    if request.param == "embedded":
        return None
    url = str(request.getfixturevalue("chroma_server"))
    for name in (SENTENCES, REPORTS, IMAGES):
        httpx.delete(f"{url}/api/v2/tenants/default_tenant/databases/default_database/collections/{name}")
    return url


@pytest.fixture
def open_knowledge(tmp_path: Path) -> Iterator[Opener]:
    """Open stores that are closed when the test ends."""
    with ExitStack() as stack:

        def opened(
            folder: Path | None = None, embedder: Embedder | None = None, server: str | None = None
        ) -> Knowledge:
            knowledge = Knowledge.open(folder or tmp_path / "store", embedder or HashEmbedder(), server)
            stack.callback(knowledge.close)
            return knowledge

        yield opened
