"""What the report's editor asks of the server: kept once, never over another's change, and only by its owner."""

from __future__ import annotations

import errno

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from tests.agent.test_report_edits import drafted
from tests.phantoms_ct import chest
from tools.imaging.nifti import write_nifti
from ui.owners import Owners
from ui.reporting import Reporting
from ui.reports import report_routes
from ui.server import guard


@pytest.fixture
def page(tmp_path):
    """A browser whose reading it is, another's, the reading's id, and what keeps reports."""
    volume = chest().volume
    write_nifti(tmp_path / "ct.nii.gz", volume.array, volume)
    assistant, reading_id = drafted(tmp_path, tmp_path / "ct.nii.gz")
    owners, reporting = Owners(assistant.settings.readings_dir), Reporting(assistant)
    app = FastAPI()
    app.include_router(report_routes(reporting, owners))
    guard(app, assistant.settings, "127.0.0.1")

    @app.get("/claim")
    def claim(request: Request):
        owners.claim(request, reading_id)

    mine, theirs = (TestClient(app, base_url="http://127.0.0.1:7860", client=("127.0.0.1", 1)) for _ in range(2))
    for client in (mine, theirs):
        client.get("/config")  # gives the cookie
        client.get("/claim")  # the first to ask owns the reading
    return mine, theirs, reading_id, reporting


def put(client, reading_id, text, revision, by="tab1", base="s4"):
    given = {"base": base, "text": text, "revision": revision, "by": by}
    return client.put(f"/report/{reading_id}", json=given)


def test_a_change_is_kept_and_sent_again_it_is_the_same_change(page):
    mine, _, reading_id, _ = page
    there = mine.get(f"/report/{reading_id}").json()
    assert "3,701 ml" in there["text"]
    assert put(mine, reading_id, "FINDINGS\nOne.\n", there["revision"], base=there["base"]).json() == {"revision": 1}
    again = put(mine, reading_id, "FINDINGS\nOne.\n", there["revision"], base=there["base"])
    assert (again.status_code, again.json()) == (200, {"revision": 1})
    unheard = put(mine, reading_id, "FINDINGS\nOne. Two.\n", there["revision"], base=there["base"])
    assert unheard.json() == {"revision": 2}  # the same tab goes on from what it was never told of


def test_another_tab_is_told_and_overwrites_nothing(page):
    mine, _, reading_id, _ = page
    there = mine.get(f"/report/{reading_id}").json()
    put(mine, reading_id, "FINDINGS\nOne.\n", 0, base=there["base"])
    refused = put(mine, reading_id, "FINDINGS\nOther.\n", 0, by="tab2", base=there["base"])
    assert refused.status_code == 409
    assert "changed in another tab" in refused.json()["detail"]
    assert put(mine, reading_id, "x", 1, base="s9").status_code == 409
    assert mine.get(f"/report/{reading_id}").json()["text"] == "FINDINGS\nOne.\n"


def test_sentences_are_checked_and_templates_made_without_keeping_anything(page):
    mine, _, reading_id, _ = page
    there = mine.get(f"/report/{reading_id}").json()
    given = {"base": there["base"], "text": "FINDINGS\nThe lungs have a volume of 9.9 l.\n"}
    assert "rr-contradicted" in mine.post(f"/report/{reading_id}/checked", json=given).json()["html"]
    made = mine.post(f"/report/{reading_id}/template", json=given | {"template": "Findings and impression"})
    assert made.json()["text"].startswith("FINDINGS\nThe lungs have a volume of 9.9 l.")
    assert mine.get(f"/report/{reading_id}/draft?base={there['base']}").json()["text"] == there["text"]
    assert mine.get(f"/report/{reading_id}").json() == there


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"text": "x" * 100_001}, 413, "at most"),
        ({"template": "<b>"}, 422, "template must be one of"),
        ({"base": "s77"}, 422, "s77"),
        ({"more": 1}, 422, "more"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(page, change, status, said):
    mine, _, reading_id, _ = page
    given = {"base": mine.get(f"/report/{reading_id}").json()["base"], "text": "x"} | change
    answer = mine.post(f"/report/{reading_id}/{'template' if 'template' in change else 'checked'}", json=given)
    assert answer.status_code == status
    assert said in answer.text


def test_a_full_disk_is_said_and_nothing_is_half_kept(page, monkeypatch):
    mine, _, reading_id, _ = page
    there = mine.get(f"/report/{reading_id}").json()

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("agent.report_edits.write_atomically", full)
    answer = put(mine, reading_id, "FINDINGS\nOne.\n", 0, base=there["base"])
    assert answer.status_code == 507
    assert "the disk is full" in answer.json()["detail"]
    assert mine.get(f"/report/{reading_id}").json() == there


@pytest.mark.parametrize("path", ["", "/draft?base=s4"])
def test_a_stranger_gets_nothing(page, path):
    _, theirs, reading_id, _ = page
    assert theirs.get(f"/report/{reading_id}{path}").status_code == 404
    assert put(theirs, reading_id, "mine now", 0).status_code == 404
    assert theirs.post(f"/report/{reading_id}/checked", json={"base": "s4", "text": "x"}).status_code == 404
