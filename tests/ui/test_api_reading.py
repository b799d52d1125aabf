"""The page's endpoints over real tools: a phantom read, its report held against it, results written as files."""

from __future__ import annotations

import httpx
import pytest

from tests.pacs.conftest import free_port
from tests.phantoms_ct import chest
from tests.reading_server import reading_server
from tests.writing_endpoint import PLAN, writer
from tools.imaging.read import write_nifti


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Address, client and reading of a phantom whose lungs were segmented and measured."""
    from gradio_client import Client, handle_file

    folder = tmp_path_factory.mktemp("page")
    phantom = chest()
    write_nifti(folder / "ct.nii.gz", phantom.volume.array, phantom.volume)
    with reading_server(folder, free_port()) as address:
        client = Client(address, verbose=False)
        reading = client.predict(handle_file(str(folder / "ct.nii.gz")), "", "CT", "", api_name="/attach")["reading"]
        assert client.submit("Measure the lungs.", reading, api_name="/ask").result()["state"] == "waiting"
        answer = client.submit(reading, "approve", "", None, api_name="/decide").result()
        assert answer["outcome"] == "answered", answer
        yield address, client, reading, answer
        client.close()


def test_a_plan_is_followed_while_a_language_model_writes_it(tmp_path):
    from gradio_client import Client, handle_file

    phantom = chest()
    write_nifti(tmp_path / "ct.nii.gz", phantom.volume.array, phantom.volume)
    with writer() as model:
        model.plan = PLAN
        env = model.settings() | {"READINGROOM_PLAN_BY": "llm"}
        with reading_server(tmp_path, free_port(), env, planner="own") as address:
            client = Client(address, verbose=False)
            given = (handle_file(str(tmp_path / "ct.nii.gz")), "", "CT", "")
            reading = client.predict(*given, api_name="/attach")["reading"]
            seen = []
            for update in client.submit("What is worth a second look here?", reading, api_name="/ask"):
                seen.append(update)
                if (update.get("planning") or {}).get("tools"):
                    model.go_on.set()
            client.close()
    written = {"by": "writer", "tools": ["segment"], "checked": False}
    assert written in [update.get("planning") for update in seen]
    assert all(update["steps"] == [] for update in seen if update.get("planning"))  # nothing of it is a step yet
    assert seen[-1]["state"] == "waiting"
    assert [step["tool"] for step in seen[-1]["pause"]["plan"]["steps"]] == ["segment", "measure"]


def volume_of(answer) -> dict:
    (artifact,) = [a for a in answer["artifacts"] if a["kind"] == "measurements"]
    return next(row for row in artifact["data"]["rows"] if row["quantity"] == "volume")


def test_a_report_is_held_against_what_was_measured(read):
    _, client, reading, answer = read
    millilitres = volume_of(answer)["value"]
    text = f"The volume of the lungs is {millilitres:.0f} ml. The volume of the lungs is {3 * millilitres:.0f} ml."
    checked = client.predict(reading, text, api_name="/check_report")
    assert [row["verdict"] for row in checked["rows"]] == ["supported", "contradicted"], checked
    assert int(checked["id"][1:]) > 3  # beside the plan's own steps
    assert checked["report"] == "rep1"


def test_a_report_that_was_checked_is_no_evidence_for_another(read):
    _, client, reading, _ = read
    for _ in range(2):
        (row,) = client.predict(reading, "FINDINGS: There is a small left pleural effusion.", api_name="/check_report")[
            "rows"
        ]
        assert row["verdict"] == "not covered", row


@pytest.mark.parametrize(
    ("text", "said"), [(" \n", "must hold one report with text"), ("Lungs. " * 80_000, "characters")]
)
def test_a_report_that_cannot_be_checked_leaves_nothing_behind(read, text, said):
    from gradio_client.exceptions import AppError

    _, client, reading, _ = read
    before = client.predict(reading, "The scan is a CT.", api_name="/check_report")
    with pytest.raises(AppError, match=said):
        client.predict(reading, text, api_name="/check_report")
    after = client.predict(reading, "The scan is a CT.", api_name="/check_report")
    assert int(after["report"][3:]) == int(before["report"][3:]) + 1


def test_results_are_written_as_files_that_their_owner_downloads(read):
    address, client, reading, _ = read
    made = client.predict(reading, ["s2"], "csv", api_name="/export")
    assert made["files"], made
    with httpx.Client(base_url=address, trust_env=False) as stranger:
        assert stranger.get(made["files"][0]).status_code == 404
    with httpx.Client(base_url=address, trust_env=False, cookies=dict(client.cookies)) as owner:
        told = owner.get(made["files"][0])
    assert told.status_code == 200
    assert "lungs" in told.text
    assert "volume" in told.text
