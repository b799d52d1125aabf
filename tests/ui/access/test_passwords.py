"""Users and their passwords."""

import stat

import pytest

from agent.errors import ConfigError
from ui.access.passwords import Users, hashed, matches, put

PASSWORD = "correct horse battery"


def test_a_password_is_kept_as_a_hash_of_its_own():
    one, two = hashed(PASSWORD), hashed(PASSWORD)
    assert one != two
    assert PASSWORD not in one
    assert matches(PASSWORD, one)
    assert not matches(PASSWORD + " ", one)


@pytest.mark.parametrize("kept", ["", "scrypt", PASSWORD, "scrypt$x$8$1$AA==$AA==", "scrypt$99999999999$8$1$AA==$AA=="])
def test_a_damaged_hash_matches_nothing(kept):
    assert not matches(PASSWORD, kept)


def test_users_are_added_changed_and_read_again(tmp_path):
    path = tmp_path / "users"
    assert put(path, "anna", PASSWORD)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    users = Users(path)
    assert users.knows("anna", PASSWORD)
    assert not users.knows("anna", "wrong password")
    assert not users.knows("bert", PASSWORD)
    assert not put(path, "anna", "another password")
    assert users.knows("anna", "another password")
    assert not users.knows("anna", PASSWORD)


def test_a_name_or_password_that_will_not_do_says_why(tmp_path):
    with pytest.raises(ConfigError, match="at least 10 characters"):
        put(tmp_path / "users", "anna", "short")
    for name in ("", "a:b", "a b", "../x", "x" * 70):
        with pytest.raises(ConfigError, match="a user's name has"):
            put(tmp_path / "users", name, PASSWORD)


def test_a_file_that_is_none_says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="readingroom users add"):
        Users(tmp_path / "none")
    (tmp_path / "users").write_text("anna:plain text password\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="line 1"):
        Users(tmp_path / "users")


def test_the_command_writes_the_file(run_cli, tmp_path, monkeypatch):
    import io

    path = tmp_path / "users"
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
    added = run_cli("users", "add", "anna", "--file", path)
    assert added.code == 0
    assert PASSWORD not in added.out + added.err + path.read_text(encoding="utf-8")
    assert run_cli("users", "list", "--file", path).out == "anna\n"
    assert run_cli("users", "remove", "bert", "--file", path).code == 2
    assert run_cli("users", "remove", "anna", "--file", path).code == 0
    assert "READINGROOM_PASSWORD_FILE" in run_cli("users", "list").err
