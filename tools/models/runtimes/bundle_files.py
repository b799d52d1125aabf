"""The files of a bundle, in a folder or a zip file, as the model zoo ships them."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from tools.errors import UnavailableError, UnsupportedError

CONFIGS = ("configs/inference.json", "configs/inference.yaml", "configs/inference.yml")
METADATA = "configs/metadata.json"


class BundleFiles:
    """Reads a bundle; a zip is read where it lies, nothing is unpacked.

    Args:
        path: a folder with `configs/` and `models/`, or a zip file with such a folder or its content.

    Raises:
        UnavailableError: the path is neither, or holds no configuration.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        if path.is_file():
            try:
                self._zip = zipfile.ZipFile(path)
            except (zipfile.BadZipFile, OSError) as error:
                raise UnavailableError(f"bundle {path.name!r} is neither a folder nor a zip file: {error}") from error
        elif not path.is_dir():
            raise UnavailableError(f"bundle {path.name!r} is neither a folder nor a zip file")
        self._root = self._find_root()

    def _find_root(self) -> PurePosixPath:
        """Return where `configs/` lies: the top, or the only folder in it."""
        names = self._names()
        found = sorted(
            {PurePosixPath(n).parent.parent for n in names if n.endswith(METADATA)}, key=lambda p: len(p.parts)
        )
        if not found:
            raise UnavailableError(f"bundle {self.path.name!r} holds no {METADATA}: download it again")
        return found[0]

    def _names(self) -> list[str]:
        if self._zip is not None:
            return [n for n in self._zip.namelist() if ".." not in PurePosixPath(n).parts]
        return [
            p.relative_to(self.path).as_posix() for p in (*self.path.glob(METADATA), *self.path.glob(f"*/{METADATA}"))
        ]

    def has(self, name: str) -> bool:
        """Say whether the bundle holds a file."""
        if self._zip is not None:
            return str(self._root / name) in self._zip.namelist()
        return self._on_disk(name).is_file()

    def _on_disk(self, name: str) -> Path:
        file = (self.path / self._root / name).resolve()
        if not file.is_relative_to(self.path.resolve()):
            raise UnsupportedError(f"bundle {self.path.name!r} asks for the file {name!r} outside itself")
        return file

    def read(self, name: str) -> bytes:
        """Return a file's content.

        Raises:
            UnavailableError: the bundle does not hold it.
        """
        try:
            if self._zip is not None:
                return self._zip.read(str(self._root / name))
            return self._on_disk(name).read_bytes()
        except (KeyError, OSError, zipfile.BadZipFile) as error:
            raise UnavailableError(
                f"bundle {self.path.name!r} has no readable file {name!r}: download it again"
            ) from error

    @cached_property
    def metadata(self) -> Mapping[str, Any]:
        """What `configs/metadata.json` says."""
        return self._json(METADATA)

    def config(self) -> tuple[dict[str, Any], str, str]:
        """Return (content, text, name) of the configuration of inference.

        Raises:
            UnavailableError: there is none, or it cannot be parsed.
        """
        for name in CONFIGS:
            if self.has(name):
                text = self.read(name).decode("utf-8", "replace")
                return (self._json(name) if name.endswith(".json") else self._yaml(name)), text, name
        raise UnavailableError(f"bundle {self.path.name!r} has no configs/inference.json: download it again")

    def _json(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads(self.read(name))
        except ValueError as error:
            raise UnavailableError(f"bundle {self.path.name!r}: {name} is damaged: {error}") from None
        return self._mapping(found, name)

    def _yaml(self, name: str) -> dict[str, Any]:
        import yaml

        try:
            found = yaml.safe_load(self.read(name))
        except yaml.YAMLError as error:
            raise UnavailableError(f"bundle {self.path.name!r}: {name} is damaged: {error}") from None
        return self._mapping(found, name)

    def _mapping(self, found: object, name: str) -> dict[str, Any]:
        if not isinstance(found, dict):
            raise UnavailableError(f"bundle {self.path.name!r}: {name} must hold one object at its top")
        return found

    def load_tensors(self, name: str, device: str = "cpu") -> Any:
        """Load a checkpoint with weights_only: tensors and plain containers, never objects.

        Raises:
            UnavailableError: it is missing or damaged, or holds more than tensors and arrays of numbers.
        """
        import torch

        stream: Any = io.BytesIO(self.read(name)) if self._zip is not None else self._on_disk(name)
        try:
            with torch.serialization.safe_globals(_array_parts()):
                return torch.load(stream, map_location=device, weights_only=True)
        except FileNotFoundError:
            raise UnavailableError(f"bundle {self.path.name!r} has no file {name!r}: download it again") from None
        except pickle.UnpicklingError as error:
            raise UnavailableError(
                f"bundle {self.path.name!r}: {name} holds more than tensors and is not loaded: {_first_line(error)}"
            ) from None
        except (RuntimeError, EOFError, OSError, ValueError) as error:
            raise UnavailableError(f"bundle {self.path.name!r}: {name} is damaged: {_first_line(error)}") from None

    def load_script(self, name: str, device: str) -> Any:
        """Load a TorchScript network.

        Raises:
            UnavailableError: it is damaged.
        """
        from tools.models.runtimes.torchscript import load_script

        return load_script(io.BytesIO(self.read(name)), f"bundle {self.path.name!r}: {name}", device)


def _array_parts() -> list[Any]:
    """Return what plain arrays of numpy are rebuilt from; searched architectures (DiNTS) are stored as such."""
    import numpy as np
    from numpy._core.multiarray import _reconstruct

    kinds = (np.float64, np.float32, np.int64, np.int32, np.uint8, np.bool_)
    old = (_reconstruct, "numpy.core.multiarray._reconstruct")  # as numpy before 2 wrote it
    return [_reconstruct, old, np.ndarray, np.dtype, *(type(np.dtype(kind)) for kind in kinds)]


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
