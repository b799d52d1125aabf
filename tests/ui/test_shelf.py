"""Only files of a reading that were put on the shelf are served."""

import pytest

from ui.shelf import Shelf


def test_a_file_of_the_reading_is_lent_under_a_key_nobody_can_guess(tmp_path):
    file = tmp_path / "artifacts" / "key image.png"
    file.parent.mkdir()
    file.write_bytes(b"png")
    shelf = Shelf()
    address = shelf.put(file, tmp_path)
    _, prefix, key, name = address.split("/")
    assert prefix == "files"
    assert name == "key%20image.png"
    assert len(key) >= 24
    assert shelf.get(key) == file
    assert shelf.put(file, tmp_path) == address
    assert Shelf("/readingroom").put(file, tmp_path).startswith("/readingroom/files/")


@pytest.mark.parametrize("name", ["../outside.txt", "link.txt"])
def test_files_outside_the_reading_are_never_lent(tmp_path, name):
    reading = tmp_path / "reading"
    reading.mkdir()
    (tmp_path / "outside.txt").write_text("secret", encoding="utf-8")
    (reading / "link.txt").symlink_to(tmp_path / "outside.txt")
    with pytest.raises(ValueError, match="does not lie in the reading's folder"):
        Shelf().put(reading / name, reading)


def test_an_unknown_key_and_a_deleted_file_give_nothing(tmp_path):
    file = tmp_path / "draft.md"
    file.write_text("x", encoding="utf-8")
    shelf = Shelf()
    key = shelf.put(file, tmp_path).split("/")[2]
    file.unlink()
    assert shelf.get(key) is None
    assert shelf.get("nonsense") is None
