"""The addresses of the viewer and of files: to whom a reading belongs, and what guesses and tricks get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from agent.assistant import Assistant
from agent.attach import Attach
from agent.settings import Settings
from tests.oriented_phantom import phantom_of
from tools.imaging.nifti import write_nifti
from tools.workspace import Workspace
from ui.owners import Owners
from ui.server import add_routes, guard
from ui.shelf import Shelf
from ui.viewing.serve import add_viewer

IMAGE_PAGES = (
    "img1/info.json",
    "img1/volume.nii",
    "img1/slice.png?plane=axial&index=3&low=0&high=100",
    "img1/slice.png?plane=axial&index=3&low=0&high=100&show=mask1/lesion",
    "img1/value.json?at=1,1,1",
    "img1/thumbnail.png",
    "mask1/layers.json",
    "labels/mask1-0-labels.nii.gz",
)
TRICKS = (
    "..", ".", "%2e%2e", "..%2f", "%2e%2e%2f{other}", "{other}%2f..%2f{other}", "{mine}%2f..%2f{other}",
    "{mine}/../{other}", "{mine}%00", "%00", "{other}%20", "{other}%0a", "{other}.", "%5c..%5c{other}", "a" * 300,
)  # fmt: skip


@dataclass(frozen=True)
class House:
    """A server on which Anna has a reading with an image, a mask and a report, and Bert one with nothing."""

    anna: TestClient
    bert: TestClient
    stranger: TestClient
    hers: str
    his: str
    report: str


def browser(app: FastAPI) -> TestClient:
    made = TestClient(app, base_url="http://127.0.0.1:7860", client=("127.0.0.1", 1), raise_server_exceptions=False)
    made.get("/config")  # gives the cookie
    return made


def stranger_of(app: FastAPI) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1:7860", client=("127.0.0.1", 1), raise_server_exceptions=False)


def fill(workspace: Workspace, folder: Any) -> None:
    from agent.attach import attach

    volume, _ = phantom_of("PSR")
    write_nifti(folder / "ct.nii.gz", volume.array, volume)
    write_nifti(folder / "lesion.nii.gz", volume.array > 50, volume)
    attach(workspace, Attach(folder / "ct.nii.gz", modality="CT"))
    attach(workspace, Attach(folder / "lesion.nii.gz", kind="mask", of="img1", label="lesion"))


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> House:
    folder = tmp_path_factory.mktemp("house")
    settings = Settings(readings_dir=folder / "readings", data_dir=folder / "data", cache_dir=folder / "cache")
    assistant, shelf = Assistant(settings=settings), Shelf()
    owners = Owners(settings.readings_dir)
    app = FastAPI()

    @app.get("/config")
    async def config() -> dict[str, str]:
        return {}

    @app.post("/begin")
    def begin(request: Request) -> str:
        reading = assistant.begin()
        owners.claim(request, reading)
        return reading

    add_routes(app, shelf, owners.may_have)
    add_viewer(app, assistant, owners)
    guard(app, settings, "127.0.0.1")
    anna, bert = browser(app), browser(app)
    hers, his = anna.post("/begin").json(), bert.post("/begin").json()
    workspace = assistant.workspace(hers)
    fill(workspace, folder)
    made = workspace.root / "artifacts" / "s1" / "report.pdf"
    made.parent.mkdir(parents=True)
    made.write_bytes(b"%PDF canary of Anna")
    made.with_name("measurements.csv").write_text("canary of Anna", encoding="utf-8")
    return House(anna, bert, stranger_of(app), hers, his, shelf.put(made, workspace.root))


@pytest.mark.parametrize("page", ["scene.json", *IMAGE_PAGES])
def test_the_owner_sees_it_and_nobody_else(house, page):
    assert house.anna.get(f"/view/{house.hers}/{page}").status_code == 200, page
    for other in (house.bert, house.stranger):
        refused = other.get(f"/view/{house.hers}/{page}")
        assert (refused.status_code, refused.json()) == (404, {"detail": "no such reading of yours"})


@pytest.mark.parametrize("page", IMAGE_PAGES)
def test_the_same_ids_in_a_reading_of_ones_own_show_nothing_of_the_others(house, page):
    assert house.bert.get(f"/view/{house.his}/{page}").status_code in (404, 422)


@pytest.mark.parametrize("trick", TRICKS)
def test_guesses_and_tricks_with_the_readings_id_are_not_found(house, trick):
    reading = trick.format(mine=house.his, other=house.hers)
    for page in ("scene.json", *IMAGE_PAGES):
        found = house.bert.get(f"/view/{reading}/{page}")
        assert found.status_code in (404, 405), (page, found.status_code, found.text[:200])


@pytest.mark.parametrize("image", ["..", "%2e%2e", "img1%00", "%00", "img99", "new1", "new..", "..%2fimg1", "a" * 300])
def test_tricks_with_an_images_id_are_refused_to_its_owner_too(house, image):
    for page in ("info.json", "volume.nii", "pixels", "thumbnail.png", "layers.json"):
        found = house.anna.get(f"/view/{house.hers}/{image}/{page}")
        assert found.status_code in (404, 422), (page, found.status_code)


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e%2fowner", "..%2f..%2frecord.jsonl", "img1.nii", "%00-labels.nii.gz", "x-labels.nii.gz"]
)
def test_only_label_images_lie_under_labels(house, name):
    assert house.anna.get(f"/view/{house.hers}/labels/{name}").status_code in (404, 422)


@pytest.mark.parametrize(
    "query",
    ["plane=axial&index=3&low=nan&high=1", "plane=x&index=3&low=0&high=1",
     "plane=axial&index=-1&low=0&high=1", "plane=axial&index=3&low=0&high=inf"],
)  # fmt: skip
def test_what_no_slice_can_be_drawn_from_is_refused_in_words(house, query):
    refused = house.anna.get(f"/view/{house.hers}/img1/slice.png?{query}")
    assert refused.status_code == 422
    assert "must" in refused.json()["detail"]


def test_a_report_is_downloaded_by_its_owner_only(house):
    assert house.anna.get(house.report).content == b"%PDF canary of Anna"
    for other in (house.bert, house.stranger):
        refused = other.get(house.report)
        assert refused.status_code == 404
        assert b"canary" not in refused.content


@pytest.mark.parametrize("name", ["measurements.csv", "..%2fmeasurements.csv", "report.pdf%2f..%2fmeasurements.csv"])
def test_a_key_opens_no_file_beside_its_own(house, name):
    key = house.report.split("/")[2]
    for asker in (house.anna, house.bert):
        refused = asker.get(f"/files/{key}/{name}")
        assert refused.status_code == 404
        assert b"canary" not in refused.content
