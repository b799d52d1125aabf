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
from ui.longwork import Job, Work
from ui.upkeep import Upkeep


def upkeep(folder, **settings) -> tuple[Upkeep, Assistant]:
    given = Settings(
        readings_dir=folder / "readings", data_dir=folder / "data", cache_dir=folder / "cache",
        weights_dir=folder / "weights", device="cpu", **settings,
    )  # fmt: skip
    assistant = Assistant(settings=given, embedder=HashEmbedder())
    return Upkeep(assistant), assistant


def said(work: Work) -> str:
    job = Job(work)
    assert work.title in job.html  # what is shown before anything is known
    job.run()
    assert job.is_over
    return job.html


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


def test_a_pacs_is_asked_and_what_it_says_is_told(tmp_path, pacs):
    there = PacsServer(host="127.0.0.1", port=pacs, ae_title="PEER", timeout_s=5)
    gone = PacsServer(host="127.0.0.1", port=free_port(), timeout_s=2)
    page, _ = upkeep(tmp_path, pacs={"main": there, "old": gone})
    assert "main answers C-ECHO." in said(page.echo("main"))
    told = said(page.echo("old"))
    assert "rr-error" in told
    assert "old" in told
    assert "rr-error" in said(page.echo("none"))


def test_reports_are_stored_without_names_and_counted(tmp_path):
    page, assistant = upkeep(tmp_path)
    files = []
    for number, finding in enumerate(("The lungs are clear.", "There is a small left effusion.", "No pneumothorax.")):
        path = tmp_path / f"report{number}.txt"
        path.write_text(f"Patient: Canary, Anna\n\nFINDINGS:\n{finding}\n\nIMPRESSION:\nSee above.\n", encoding="utf-8")
        files.append(path)
    (tmp_path / "broken.pdf").write_bytes(b"no pdf")
    told = said(page.store([*files, tmp_path / "broken.pdf"]))
    assert "3 added, 0 updated, 0 unchanged." in told
    assert "broken.pdf" in told
    assert "<dd>3</dd>" in page.reports_html()
    assert "0 added, 0 updated, 3 unchanged." in said(page.store(files))
    hits = assistant.open_knowledge().search("effusion", k=3)
    assert hits
    assert not any("Canary" in str(hit) for hit in hits)
    assistant.open_knowledge().close()


def test_a_model_is_brought_from_a_folder_and_tried(tmp_path):
    page, _ = upkeep(tmp_path)
    name = "monai-spleen-ct"
    assert page.model_names()[0] != "ct-chest-threshold"  # those that lack something come first
    lacking = said(page.check(name))
    assert "rr-error" in lacking
    write_bundle(tmp_path / "bundle", spleen_config(), spleen_weights())
    brought = said(page.get(name, str(tmp_path / "bundle")))
    assert "rr-error" not in brought, brought
    assert f"{name} is ready" in brought
    tried = said(page.check(name))
    assert "rr-error" not in tried, tried
    assert "s on cpu" in tried


def test_a_folder_that_is_not_there_is_said(tmp_path):
    page, _ = upkeep(tmp_path)
    told = said(page.get("monai-spleen-ct", str(tmp_path / "none")))
    assert "rr-error" in told
    assert "none" in told
