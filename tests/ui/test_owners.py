"""Whose a reading is."""

from dataclasses import dataclass, field

import pytest

from ui.owners import OWNER_FILE, Owners


@dataclass
class Asker:
    headers: dict[str, str] = field(default_factory=dict)


ANNA, BERT, NOBODY = Asker({"x-readingroom-who": "user:anna"}), Asker({"x-readingroom-who": "user:bert"}), Asker()


@pytest.fixture
def owners(tmp_path):
    for name in ("20260101-a", "20260102-b", "20260103-c"):
        (tmp_path / name).mkdir()
    return Owners(tmp_path)


def test_a_reading_is_its_owners_alone(owners):
    owners.claim(ANNA, "20260101-a")
    assert owners.owner_may(ANNA, "20260101-a")
    assert not owners.owner_may(BERT, "20260101-a")
    assert not owners.owner_may(NOBODY, "20260101-a")
    owners.claim(BERT, "20260101-a")  # too late
    assert owners.owner_may(ANNA, "20260101-a")
    assert not owners.owner_may(BERT, "20260101-a")


def test_readings_without_an_owner_are_nobodys(owners):
    owners.claim(NOBODY, "20260102-b")
    assert not any(owners.owner_may(asker, "20260102-b") for asker in (ANNA, NOBODY))


@pytest.mark.parametrize(
    "reading", ["", "..", "../20260101-a", "20260101-a/..", "/etc", "none", "20260101-a\0", "a" * 300]
)
def test_other_paths_are_no_readings(owners, reading):
    owners.claim(ANNA, "20260101-a")
    assert not owners.owner_may(ANNA, reading)


def test_own_readings_newest_first_also_after_a_restart(owners, tmp_path):
    for reading in ("20260101-a", "20260103-c"):
        owners.claim(ANNA, reading)
    owners.claim(BERT, "20260102-b")
    assert Owners(tmp_path).readings(ANNA) == ["20260103-c", "20260101-a"]
    assert Owners(tmp_path).readings(NOBODY) == []


def test_the_folder_does_not_give_the_cookie_away(owners, tmp_path):
    owners.claim(ANNA, "20260101-a")
    assert "anna" not in (tmp_path / "20260101-a" / OWNER_FILE).read_text(encoding="utf-8")


def test_a_file_is_its_readings_owners(owners, tmp_path):
    owners.claim(ANNA, "20260101-a")
    file = tmp_path / "20260101-a" / "artifacts" / "s1" / "key.png"
    assert owners.may_have(ANNA, file)
    assert not owners.may_have(BERT, file)
    assert not owners.may_have(ANNA, tmp_path / "20260102-b" / "key.png")
    assert not owners.may_have(ANNA, tmp_path.parent / "elsewhere.png")
    assert not owners.may_have(ANNA, tmp_path / "20260101-a" / ".." / "20260102-b" / "key.png")
