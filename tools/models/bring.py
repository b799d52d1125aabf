"""Brings a model's weights to the place where its card looks for them: from a folder, a file, a zip, an address, a hub.

What is brought is staged beside its place, compared with the card's sha256, and moved there in one step: weights are
there whole or not at all.
"""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tools.errors import BadInputError, UnavailableError
from tools.models.card import ModelCard, Weights
from tools.models.download import Download, OnProgress
from tools.models.unpack import unpack
from tools.models.weights import hashes_of, sha256_of

FILE_SUFFIXES = (".pt", ".pth", ".ts", ".onnx", ".safetensors", ".bin", ".ckpt", ".zip")
_TORCH_SUFFIXES = (".pt", ".pth", ".ts", ".ckpt")  # torch's files are zips as well, and not to be unpacked
HUB_PREFIX = "hf:"


@dataclass(frozen=True)
class Brought:
    """What lies in the model's place now."""

    path: Path
    sha256: Mapping[str, str]
    """By file name, relative to the folder that the weights lie in."""
    checked: bool
    """Whether the card has hashes, so that these are known to be the right files."""


def bring(
    card: ModelCard, weights_dir: Path, source: str, on_progress: OnProgress, *, silence_s: float = 30.0
) -> Brought:
    """Bring weights.

    Args:
        card: the model's; its weights are a file or folder below the folder of weights.
        weights_dir: the folder of weights; made if need be.
        source: a folder, a file, a zip, an http(s) address of a file or zip, or `hf:OWNER/NAME[@REVISION]`.
        on_progress: told of downloaded bytes.
        silence_s: after how long without a byte a server is given up.

    Raises:
        BadInputError: the source is not there or not what the card needs; or its hash is another.
        UnavailableError: a server, the hub or disk space is missing.
    """
    weights = card.weights
    if weights is None or not weights.file:
        raise BadInputError(f"the weights of {card.name!r} are not brought from a folder or address: omit --from")
    target = weights_dir / weights.file
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".staging-", dir=target.parent) as staging:
            staged = Path(staging) / target.name
            _stage(source, staged, weights_dir / ".incoming", on_progress, silence_s)
            found = _checked(card.name, weights, staged)
            _replace(staged, target, Path(staging) / "before")
    except shutil.Error as error:
        raise UnavailableError(f"{source} could not be copied: {error.args[0][0][2]}") from error
    except OSError as error:
        raise UnavailableError(
            f"weights of {card.name!r} could not be written to {target}: {error.strerror or error}"
        ) from error
    return Brought(target, found, checked=bool(weights.sha256))


def _stage(source: str, staged: Path, incoming: Path, on_progress: OnProgress, silence_s: float) -> None:
    if "://" in source:
        download = Download(source, incoming, silence_s)
        try:
            whole = download.fetch(on_progress)
            try:
                _place_file(whole, staged, download.file_name)
            finally:
                whole.unlink(missing_ok=True)
        finally:
            with suppress(OSError):  # a part is kept there, or another download is under way
                incoming.rmdir()
        return
    if source.startswith(HUB_PREFIX):
        _from_hub(source.removeprefix(HUB_PREFIX), staged)
        return
    path = Path(source).expanduser()
    if path.is_dir():
        _place_folder(path, staged)
    elif path.is_file():
        _place_file(path, staged, path.name)
    else:
        raise BadInputError(f"--from: there is no {source!r}; give a folder, a file, a zip or an http(s) address")


def _place_folder(folder: Path, staged: Path) -> None:
    """Copy a folder; where the card wants one file, that file of it."""
    if _wants_file(staged):
        if not (folder / staged.name).is_file():
            raise BadInputError(f"--from: {folder} holds no {staged.name!r}, which the card needs")
        shutil.copyfile(folder / staged.name, staged)
        return
    broken = [path.name for path in folder.rglob("*") if path.is_symlink() and not path.exists()]
    if broken:
        raise BadInputError(f"--from: {folder} holds links that lead nowhere, such as {broken[0]!r}")
    shutil.copytree(folder, staged)
    if not any(path.is_file() for path in staged.rglob("*")):
        raise BadInputError(f"--from: {folder} is empty")


def _place_file(path: Path, staged: Path, name: str) -> None:
    wants = _wants_file(staged)
    if not wants and zipfile.is_zipfile(path) and not name.endswith(_TORCH_SUFFIXES):
        unpack(path, staged)
    elif wants:
        if not name.endswith(staged.suffix) and name.endswith(FILE_SUFFIXES):
            raise BadInputError(f"--from: the card needs a file {staged.name!r}, got {name!r}")
        shutil.copyfile(path, staged)
    else:
        raise BadInputError(f"--from: the card needs a folder {staged.name!r}: give a folder or a zip, got {name!r}")


def _wants_file(staged: Path) -> bool:
    return staged.suffix in FILE_SUFFIXES


def _from_hub(address: str, staged: Path) -> None:
    name, _, revision = address.partition("@")
    if importlib.util.find_spec("huggingface_hub") is None:
        raise UnavailableError(
            f"{name} lies on a hub, which needs the package huggingface_hub: pip install huggingface_hub; or download "
            "the files elsewhere and give them with '--from FOLDER'"
        )
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        snapshot_download(name, revision=revision or None, local_dir=staged)
    except HFValidationError as error:
        raise BadInputError(f"--from: {address!r} is no OWNER/NAME[@REVISION]: {error}") from error
    except HfHubHTTPError as error:
        raise UnavailableError(f"the hub refused {name}: {str(error).splitlines()[0]}") from error
    except (LocalEntryNotFoundError, httpx.TransportError, ConnectionError) as error:
        raise UnavailableError(
            f"the hub cannot be reached for {name}: check the network, or download the files elsewhere and give them "
            "with '--from FOLDER'"
        ) from error
    shutil.rmtree(staged / ".cache", ignore_errors=True)


def _checked(model: str, weights: Weights, staged: Path) -> dict[str, str]:
    """Return the hashes of what was staged, after comparing those that the card names."""
    for name, expected in weights.sha256.items():
        path = staged.parent / name
        if not path.is_file():
            raise BadInputError(f"--from: {name!r}, which the card of {model!r} names, is not among what was brought")
        found = sha256_of(path)
        if found != expected:
            raise BadInputError(
                f"--from: {name!r} must have sha256 {expected[:16]}…, got {found[:16]}…: it is damaged or another "
                "version; nothing was changed"
            )
    return hashes_of({staged.name: staged})


def _replace(staged: Path, target: Path, before: Path) -> None:
    """Put what was staged into its place; what lay there goes."""
    if target.exists():
        target.replace(before)
    try:
        staged.replace(target)
    except OSError:
        if before.exists():
            before.replace(target)
        raise
