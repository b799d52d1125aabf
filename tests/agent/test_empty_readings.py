"""Empty readings are removed when a server starts: what a page begins when it is opened and nobody asks anything."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from agent.empty_readings import KEEP_S, remove_empty_readings
from agent.running import OWNER_FILE

NOW = time.time()


def reading(root: Path, name: str, *, age_s: float = KEEP_S + 60, holds: str = "") -> Path:
    folder = root / name
    for part in ("attachments", "artifacts"):
        (folder / part).mkdir(parents=True)
    (folder / OWNER_FILE).write_text("owner", encoding="utf-8")
    if holds:
        path = folder / holds
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("kept", encoding="utf-8")
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (NOW - age_s, NOW - age_s))
    return folder


def test_what_is_old_and_empty_goes_and_all_else_stays(tmp_path):
    reading(tmp_path, "20260101-000000-aaaa")
    reading(tmp_path, "20260101-000000-aaab", holds="view/new1.nii.gz")
    reading(tmp_path, "20260101-000000-bbbb", age_s=KEEP_S - 60)
    kept = [
        reading(tmp_path, f"20260101-000000-cc{number:02d}", holds=holds)
        for number, holds in enumerate(
            ("record.jsonl", "attachments/img1/attachment.json", "artifacts/s1/artifact.json", "notes.txt")
        )
    ]
    (tmp_path / "somebody's file").write_text("x", encoding="utf-8")
    (tmp_path / "other folder").mkdir()
    os.utime(tmp_path / "other folder", (0, 0))
    assert remove_empty_readings(tmp_path, now=NOW) == 2
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {"20260101-000000-bbbb", "somebody's file", "other folder", *(k.name for k in kept)}


def test_a_link_is_left_alone_and_no_folder_is_fine(tmp_path):
    real = reading(tmp_path / "elsewhere", "20260101-000000-aaaa")
    (tmp_path / "readings").mkdir()
    (tmp_path / "readings" / "20260101-000000-aaaa").symlink_to(real)
    assert remove_empty_readings(tmp_path / "readings", now=NOW) == 0
    assert real.is_dir()
    assert remove_empty_readings(tmp_path / "none", now=NOW) == 0


def test_a_reading_of_an_mcp_session_goes_too_unless_something_was_attached(tmp_path):
    from agent.assistant import Assistant
    from agent.settings import Settings
    from tests.phantoms import phantom_volume
    from tools.imaging.nifti import write_nifti
    from ui.mcp.readings import Readings

    settings = Settings(
        readings_dir=tmp_path / "readings", cache_dir=tmp_path / "cache", data_dir=tmp_path / "data", device="cpu"
    )
    readings = Readings(Assistant(settings=settings), (tmp_path,))
    empty, used = readings.of("one", None), readings.of("another", None)
    volume = phantom_volume()
    write_nifti(tmp_path / "ct.nii.gz", volume.array, volume)
    readings.take(used, {"path": "ct.nii.gz", "modality": "CT"})
    assert remove_empty_readings(settings.readings_dir) == 0
    assert remove_empty_readings(settings.readings_dir, now=time.time() + KEEP_S + 60) == 1
    assert [f.name for f in settings.readings_dir.iterdir()] == [used]
    assert readings.of("another", None) == used
    begun = readings.of("one", None)  # a session that lives longer than its empty reading has a new one
    assert begun not in (empty, used)
    assert (settings.readings_dir / begun).is_dir()


@pytest.mark.timeout(120)
def test_a_server_removes_them_when_it_starts(tmp_path):
    from tests.page_server import serving

    (tmp_path / "readings").mkdir()
    old = reading(tmp_path / "readings", "20260101-000000-aaaa")
    kept = reading(tmp_path / "readings", "20260101-000000-bbbb", holds="record.jsonl")
    with serving(tmp_path):
        assert not old.exists()
        assert kept.is_dir()
