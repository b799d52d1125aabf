import stat
import zipfile

import pytest

from tools.errors import BadInputError, NotFoundError, UnsupportedError
from tools.imaging import archive
from tools.imaging.archive import extract_zip
from tools.imaging.read import read_image


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def make_zip(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as out:
        for name, content in members.items():
            out.writestr(name, content)
    return path


def test_members_land_in_one_flat_folder(tmp_path, target):
    members = {"a/1.dcm": b"one", "b/1.dcm": b"two", "x y*.dcm": b"three", "c/": b""}
    assert extract_zip(make_zip(tmp_path / "x.zip", members), target) == 3
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {
        "000000-1.dcm": b"one",
        "000001-1.dcm": b"two",
        "000002-x_y_.dcm": b"three",
    }


def test_resource_forks_are_left_out(tmp_path, target):
    members = {"__MACOSX/a/._1.dcm": b"x", "a/._1.dcm": b"x", "a/.DS_Store": b"x", "a/1.dcm": b"x"}
    assert extract_zip(make_zip(tmp_path / "x.zip", members), target) == 1


@pytest.mark.parametrize(
    "name", ["../evil.dcm", "a/../../evil.dcm", "/etc/evil.dcm", "..\\evil.dcm", "C:\\evil.dcm", "C:/x"]
)
def test_a_member_that_points_outside_is_refused(tmp_path, target, name):
    with pytest.raises(BadInputError, match=r"points outside"):
        extract_zip(make_zip(tmp_path / "x.zip", {"1.dcm": b"x", name: b"x"}), target)
    assert list(target.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["target", "x.zip"]


def test_a_link_is_refused(tmp_path, target):
    link = zipfile.ZipInfo("1.dcm")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
        out.writestr(link, "/etc/passwd")
    with pytest.raises(BadInputError, match=r"is a link"):
        extract_zip(tmp_path / "x.zip", target)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path, target):
    make_zip(tmp_path / "x.zip", {"1.dcm": b"\0" * (archive.RATIO_COUNTS_FROM_BYTES + 1)})
    with pytest.raises(UnsupportedError, match=r"zip bomb"):
        extract_zip(tmp_path / "x.zip", target)
    assert list(target.iterdir()) == []


def test_too_many_members_and_too_many_bytes(tmp_path, target, monkeypatch):
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    with pytest.raises(UnsupportedError, match=r"4 files, more than 3"):
        extract_zip(make_zip(tmp_path / "x.zip", {str(n): b"x" for n in range(4)}), target)
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 1000)
    with pytest.raises(UnsupportedError, match=r"unpacks to"):
        extract_zip(make_zip(tmp_path / "y.zip", {"1": b"x" * 600, "2": b"x" * 600}), target)


def test_a_member_that_lies_about_its_size_is_refused(tmp_path, target):
    path = make_zip(tmp_path / "x.zip", {"1.dcm": bytes(range(256)) * 40}, zipfile.ZIP_STORED)
    raw = bytearray(path.read_bytes())
    directory = raw.rfind(b"PK\x01\x02")
    raw[directory + 24 : directory + 28] = (100).to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(BadInputError, match=r"damaged zip"):
        extract_zip(path, target)


def test_an_encrypted_archive_says_what_to_do(tmp_path, target):
    path = make_zip(tmp_path / "x.zip", {"1.dcm": b"x"})
    raw = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.find(mark) + offset] |= 1
    path.write_bytes(raw)
    with pytest.raises(BadInputError, match=r"encrypted"):
        extract_zip(path, target)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_damaged_archive_is_refused(tmp_path, target, share):
    content = make_zip(tmp_path / "x.zip", {"1.dcm": bytes(range(256)) * 10}).read_bytes()
    (tmp_path / "cut.zip").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BadInputError, match=r"damaged zip"):
        extract_zip(tmp_path / "cut.zip", target)


def test_empty_archives_and_archives_of_other_things(tmp_path):
    with pytest.raises(BadInputError, match=r"empty zip"):
        read_image(make_zip(tmp_path / "x.zip", {}))
    with pytest.raises(NotFoundError, match=r"1 files, none of them DICOM"):
        read_image(make_zip(tmp_path / "y.zip", {"readme.txt": b"hello"}))
    with pytest.raises(BadInputError, match=r"named .dcm but is not DICOM"):
        read_image(make_zip(tmp_path / "z.zip", {"1.dcm": b"hello"}))


def test_a_member_without_a_name_is_refused(tmp_path, target):
    raw = bytearray(make_zip(tmp_path / "x.zip", {"1": b"x"}).read_bytes())
    directory = raw.rfind(b"PK\x01\x02")
    raw[directory + 46] = 0
    (tmp_path / "x.zip").write_bytes(raw)
    with pytest.raises(BadInputError, match=r"damaged zip"):
        extract_zip(tmp_path / "x.zip", target)
