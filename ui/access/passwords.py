"""The page's users: a file of names and password hashes, read again when it changes.

One user a line, `NAME:scrypt$N$R$P$SALT$HASH`; made by `readingroom users add NAME`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import threading
from pathlib import Path

from agent.errors import ConfigError
from tools.workspace import write_atomically

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
MIN_CHARACTERS = 10
_N, _R, _P = 2**15, 8, 1  # 32 MB and about 0.1 s a try: OWASP's password storage cheat sheet, 2024, scrypt's second row
_MAX_MEMORY = 64 * 2**20
_MAX_N = 2**17


def hashed(password: str) -> str:
    """Return a password's hash as it stands in the file."""
    salt = secrets.token_bytes(16)
    return "$".join(("scrypt", str(_N), str(_R), str(_P), _text(salt), _text(_derived(password, salt, _N, _R, _P))))


def matches(password: str, kept: str) -> bool:
    """Return whether a password is the one that was hashed."""
    try:
        kind, n, r, p, salt, digest = kept.split("$")
        if kind != "scrypt" or int(n) > _MAX_N:
            return False
        derived = _derived(password, base64.b64decode(salt), int(n), int(r), int(p))
        return hmac.compare_digest(derived, base64.b64decode(digest))
    except (ValueError, binascii.Error):
        return False


class Users:
    """The users of a password file.

    Args:
        path: the file.

    Raises:
        ConfigError: it can't be read, or a line is no user.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._read_at = -1
        self._kept: dict[str, str] = {}
        self.read()

    def read(self) -> dict[str, str]:
        """Return name → hash; the file is read again when it has changed.

        Raises:
            ConfigError: it can't be read, or a line is no user.
        """
        with self._lock:
            try:
                changed = self._path.stat().st_mtime_ns
                if changed != self._read_at:
                    self._kept = parsed(self._path.read_text(encoding="utf-8"), self._path)
                    self._read_at = changed
            except OSError as error:
                raise ConfigError(
                    f"READINGROOM_PASSWORD_FILE: {self._path} cannot be read ({error.strerror}); make it with "
                    "'readingroom users add NAME'"
                ) from error
            return self._kept

    def knows(self, name: str, password: str) -> bool:
        """Return whether a password is this user's; an unknown name takes as long as a known one."""
        kept = self.read().get(name, _NOBODYS)
        return matches(password, kept) and kept is not _NOBODYS


def parsed(text: str, path: Path) -> dict[str, str]:
    """Return name → hash of a password file's text.

    Raises:
        ConfigError: a line is no user; says which.
    """
    users = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, sign, kept = line.strip().partition(":")
        if not sign or not NAME.fullmatch(name) or not kept.startswith("scrypt$"):
            raise ConfigError(f"{path} line {number}: must be NAME:scrypt$…, as 'readingroom users add' writes it")
        users[name] = kept
    return users


def put(path: Path, name: str, password: str) -> bool:
    """Write a user into a file, readable by its owner only, and return whether the name is new.

    Raises:
        ConfigError: the name or the password won't do; says why.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(f"a user's name has letters, digits and . _ @ -, up to 64; got {name!r:.80}")
    if len(password) < MIN_CHARACTERS:
        raise ConfigError(f"a password needs at least {MIN_CHARACTERS} characters, this one has {len(password)}")
    users = parsed(path.read_text(encoding="utf-8"), path) if path.exists() else {}
    is_new = name not in users
    _write(path, users | {name: hashed(password)})
    return is_new


def take_away(path: Path, name: str) -> bool:
    """Take a user out of a file and return whether there was one."""
    users = parsed(path.read_text(encoding="utf-8"), path) if path.exists() else {}
    if name not in users:
        return False
    _write(path, {n: h for n, h in users.items() if n != name})
    return True


def _write(path: Path, users: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    write_atomically(path, "".join(f"{name}:{kept}\n" for name, kept in sorted(users.items())))
    path.chmod(0o600)


def _derived(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MAX_MEMORY, dklen=32)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


_NOBODYS = hashed(secrets.token_urlsafe(24))
