"""Where a model's weights lie on this machine, and whether they are the ones that its card names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from knowledge.assets import Assets
from tools.errors import UnavailableError
from tools.models.card import Weights


def weight_paths(weights: Weights, weights_dir: Path | None, assets: Assets | None) -> dict[str, Path]:
    """Return where each file of the weights should lie, by its name in the card; it need not be there.

    Args:
        weights: the card's.
        weights_dir: folder of the weights that a person brought; None: there is none.
        assets: the cache of fetched assets; None: there is none.

    Raises:
        UnavailableError: the package, asset or folder itself is missing; says what to do.
    """
    if weights.distribution:
        try:
            package = distribution(weights.distribution)
        except PackageNotFoundError:
            raise UnavailableError(f"install the package {weights.distribution!r}, which carries the weights") from None
        return {name: Path(str(package.locate_file(name))) for name in weights.sha256}
    if weights.asset:
        if assets is None or not assets.present(weights.asset):
            raise UnavailableError(f"run 'readingroom samples get {weights.asset}'")
        return {name: assets.path(weights.asset, name) for name in weights.sha256}
    if weights_dir is None:
        raise UnavailableError(f"{weights.file!r} is to be brought by you, and no folder of weights is set")
    root = weights_dir / weights.file
    return {name: root.parent / name for name in weights.sha256} or {weights.file: root}


def check_hashes(model: str, weights: Weights, paths: Mapping[str, Path]) -> None:
    """Compare every file with the card's sha256.

    Raises:
        UnavailableError: a file is another than the card names.
    """
    for name, expected in weights.sha256.items():
        found = sha256_of(paths[name])
        if found != expected:
            raise UnavailableError(
                f"weights {name!r} of model {model!r} must have sha256 {expected[:16]}…, got {found[:16]}…: the file "
                "is damaged or another version; install it again"
            )


def hashes_of(paths: Mapping[str, Path]) -> dict[str, str]:
    """Return the sha256 of every file, those in folders by their path from the folder's own place."""
    found: dict[str, str] = {}
    for name, path in paths.items():
        inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        found |= {str(Path(name) / p.relative_to(path)) if p != path else name: sha256_of(p) for p in inside}
    return found


def sha256_of(path: Path) -> str:
    """Return a file's sha256; read once, as long as neither its size nor its time changes."""
    seen = path.stat()
    return _sha256(path, seen.st_size, seen.st_mtime_ns)


@lru_cache(maxsize=4096)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
