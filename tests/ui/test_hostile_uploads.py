"""Files that mean harm, brought over HTTP to the real server with real tools: each refused in one line, or harmless."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.pacs.conftest import free_port
from tests.phantoms import write_dicom_series
from tests.phantoms_ct import chest
from tests.reading_server import reading_server

HOSTILE = '<img src=x onerror="hacked=1"><script>hacked=1</script>'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("page")
    env = {"READINGROOM_MAX_UPLOAD_FILES": "3", "READINGROOM_MAX_UPLOAD_MB": "20"}
    with reading_server(folder, free_port(), env) as address:
        yield folder, address


@pytest.fixture
def client(server):
    from gradio_client import Client

    made = Client(server[1], verbose=False)
    yield made
    made.close()


def attached(client, path: Path, reading: str = "") -> dict:
    from gradio_client import handle_file

    return client.predict(handle_file(str(path)), reading, "", "", api_name="/attach")


def refusal(client, path: Path, reading: str = "") -> str:
    from gradio_client.exceptions import AppError

    with pytest.raises(AppError) as error:
        attached(client, path, reading)
    told = str(error.value)
    assert "\n" not in told
    return told


def text_file(folder: Path, number: int, size: int = 20) -> Path:
    path = folder / f"report{number}.txt"
    path.write_text(f"FINDINGS: {number} ".ljust(size, "x"), encoding="utf-8")
    return path


def test_a_reading_holds_so_many_files_and_no_more(client, tmp_path):
    reading = ""
    for number in range(3):
        reading = attached(client, text_file(tmp_path, number), reading)["reading"]
    told = refusal(client, text_file(tmp_path, 4), reading)
    assert "4 files, more than the 3 that one reading may hold here (READINGROOM_MAX_UPLOAD_FILES)" in told
    assert attached(client, text_file(tmp_path, 4))["id"] == "rep1"  # a new one takes it


def test_uploads_add_up_in_a_reading(client, server, tmp_path):
    reading = attached(client, text_file(tmp_path, 1, 12_000_000))["reading"]
    told = refusal(client, text_file(tmp_path, 2, 12_000_000), reading)
    assert "24 MB with what the reading holds already, more than the 20 MB" in told
    kept = server[0] / "readings" / reading / "attachments"
    assert [p.name for p in kept.iterdir()] == ["rep1"]


def test_a_zip_bomb_is_refused_before_it_is_unpacked(client, server, tmp_path):
    bomb = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed,
        packed.open("zeros.dcm", "w", force_zip64=True) as member,
    ):
        for _ in range(1_000):
            member.write(bytes(1_000_000))
    assert bomb.stat().st_size < 2_000_000
    assert "zip bomb" in refusal(client, bomb)
    assert sum(p.stat().st_size for p in server[0].rglob("*") if p.is_file()) < 100_000_000


@pytest.mark.parametrize("name", ["../../../../evil.dcm", "/etc/evil.dcm", "..\\..\\evil.dcm", "C:\\evil.dcm"])
def test_a_member_that_climbs_out_of_its_zip_is_refused(client, server, tmp_path, name):
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr(name, b"x")
    assert "points outside the archive" in refusal(client, archive)
    assert list(server[0].rglob("evil*")) == []


def test_markup_in_a_patients_name_reaches_no_page_as_markup(client, server, tmp_path):
    def hostile(dataset, k):
        dataset.PatientName = HOSTILE.replace("=", "-")  # '=' parts a name's spellings
        dataset.SeriesDescription = dataset.PatientComments = HOSTILE

    archive = tmp_path / "<b onclick=hacked=1>study.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in write_dicom_series(tmp_path / "series", chest().volume, edit=hostile):
            packed.write(file, file.name)
    reading = attached(client, archive)["reading"]
    assert client.submit("Measure the lungs.", reading, api_name="/ask").result()["state"] == "waiting"
    assert client.submit(reading, "approve", "", None, api_name="/decide").result()["outcome"] == "answered"
    made = client.predict(reading, ["s3"], "html", api_name="/export")
    with httpx.Client(base_url=server[1], trust_env=False, cookies=dict(client.cookies)) as owner:
        told = [owner.get(address) for address in made["files"]]
    assert told
    for answer in told:
        assert answer.headers["content-disposition"].startswith("attachment")
        for markup in ("<img src", "<b onclick", "<script>hacked"):
            assert markup not in answer.text
