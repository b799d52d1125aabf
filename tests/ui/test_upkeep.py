"""What the settings page does for models, past reports and PACS: done once for real, as the page's events do it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.assistant import Assistant
from agent.settings import Settings
from knowledge.embed import HashEmbedder
from tests.bundles import spleen_config, spleen_weights, write_bundle
from tests.pacs.conftest import free_port
from tools.pacs.server import PacsServer
from ui.upkeep import Upkeep


def upkeep(folder, **settings) -> tuple[Upkeep, Assistant]:
    given = Settings(
        readings_dir=folder / "readings", data_dir=folder / "data", cache_dir=folder / "cache",
        weights_dir=folder / "weights", device="cpu", **settings,
    )  # fmt: skip
    assistant = Assistant(settings=given, embedder=HashEmbedder())
    return Upkeep(assistant), assistant


async def said(updates) -> list[str]:
    return [update async for update in updates]


@pytest.fixture
def pacs() -> Iterator[int]:
    """A PACS that knows C-ECHO; its port."""
    from pynetdicom import AE
    from pynetdicom.sop_class import Verification

    entity = AE(ae_title="PEER")
    entity.add_supported_context(Verification)
    running = entity.start_server(("127.0.0.1", 0), block=False)
    yield running.server_address[1]
    running.shutdown()


async def test_every_pacs_is_asked_and_what_it_says_is_listed(tmp_path, pacs):
    there = PacsServer(host="127.0.0.1", port=pacs, ae_title="PEER", timeout_s=5)
    gone = PacsServer(host="127.0.0.1", port=free_port(), timeout_s=2)
    page, _ = upkeep(tmp_path, pacs={"main": there, "old": gone})
    last = (await said(page.echo()))[-1]
    assert "1 of 2 answer." in last
    assert "answers C-ECHO" in last
    assert "old" in last


async def test_no_pacs_is_said(tmp_path):
    page, _ = upkeep(tmp_path)
    assert "No PACS is set up." in (await said(page.echo()))[-1]


async def test_reports_are_stored_without_names_and_counted(tmp_path):
    page, assistant = upkeep(tmp_path)
    files = []
    for number, finding in enumerate(("The lungs are clear.", "There is a small left effusion.", "No pneumothorax.")):
        path = tmp_path / f"report{number}.txt"
        path.write_text(f"Patient: Canary, Anna\n\nFINDINGS:\n{finding}\n\nIMPRESSION:\nSee above.\n", encoding="utf-8")
        files.append(str(path))
    (tmp_path / "broken.pdf").write_bytes(b"no pdf")
    told = await said(page.ingest([*files, str(tmp_path / "broken.pdf")]))
    assert "3 added, 0 updated, 0 unchanged." in told[-1]
    assert "broken.pdf" in told[-1]
    assert "storing reports" in told[0]
    assert "<dd>3</dd>" in page.reports_html()
    again = await said(page.ingest(files))
    assert "0 added, 0 updated, 3 unchanged." in again[-1]
    hits = assistant.open_knowledge().search("effusion", k=3)
    assert hits
    assert not any("Canary" in str(hit) for hit in hits)
    assistant.open_knowledge().close()


async def test_nothing_chosen_is_said(tmp_path):
    page, _ = upkeep(tmp_path)
    assert "Choose files" in (await said(page.ingest(None)))[-1]
    assert "Choose a model" in (await said(page.get(None, "")))[-1]
    assert "Choose a model" in (await said(page.check(None)))[-1]


async def test_a_model_is_brought_from_a_folder_and_tried(tmp_path):
    page, _ = upkeep(tmp_path)
    name = "monai-spleen-ct"
    assert page.model_names()[0] != "ct-chest-threshold"  # those that lack something come first
    lacking = (await said(page.check(name)))[-1]
    assert "rr-error" in lacking
    write_bundle(tmp_path / "bundle", spleen_config(), spleen_weights())
    brought = (await said(page.get(name, str(tmp_path / "bundle"))))[-1]
    assert "rr-error" not in brought, brought
    assert f"{name} is ready" in brought
    tried = (await said(page.check(name)))[-1]
    assert "rr-error" not in tried, tried
    assert "s on cpu" in tried


async def test_a_folder_that_is_not_there_is_said(tmp_path):
    page, _ = upkeep(tmp_path)
    told = (await said(page.get("monai-spleen-ct", str(tmp_path / "none"))))[-1]
    assert "rr-error" in told
    assert "none" in told
