"""Frames of DICOM files, decoded; where a damaged file can crash the decoder, in a process of its own.

gdcm is the one decoder here for JPEG lossless and JPEG-LS, and it aborts the process on some damaged streams (about one
in a hundred of those with random bytes changed in their first 400). One file must not end everybody's readings.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tools.errors import BadInputError, ToolError, UnavailableError, UnsupportedError
from tools.imaging.dicom import read_dataset
from tools.imaging.pixels import stored_frame
from tools.imaging.volume import AnyArray

CRASH_PRONE = frozenset(
    {
        "1.2.840.10008.1.2.4.51",
        "1.2.840.10008.1.2.4.57",
        "1.2.840.10008.1.2.4.70",
        "1.2.840.10008.1.2.4.80",
        "1.2.840.10008.1.2.4.81",
    }
)
"""Transfer syntaxes left to gdcm: JPEG extended, JPEG lossless (both), JPEG-LS (both)."""

_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from tools.imaging.decode import serve; serve()"
_REFUSALS = {kind.__name__: kind for kind in (BadInputError, UnsupportedError, UnavailableError)}


class Frame(NamedTuple):
    """One frame of one file."""

    path: Path
    number: int
    """0-based."""


def stored_frames(frames: Sequence[Frame], transfer_syntaxes: Collection[str]) -> Iterator[AnyArray]:
    """Yield frames as `pixels.stored_frame` gives them, in the order asked for.

    Args:
        frames: at least one.
        transfer_syntaxes: UIDs of their files; they decide where the frames are decoded.

    Raises:
        BadInputError, UnsupportedError, UnavailableError: as `stored_frame`; the first also where
            the decoder crashed.
    """
    if not CRASH_PRONE.isdisjoint(transfer_syntaxes):
        yield from _decoded_apart(frames)
    else:
        yield from _decoded_here(frames)


def _decoded_here(frames: Sequence[Frame]) -> Iterator[AnyArray]:
    opened: Path | None = None
    for frame in frames:
        if frame.path != opened:
            dataset, opened = read_dataset(frame.path, pixels=True), frame.path
        yield stored_frame(dataset, frame.path.name, frame.number)


def _decoded_apart(frames: Sequence[Frame]) -> Iterator[AnyArray]:
    with tempfile.TemporaryDirectory(prefix="readingroom-") as folder:
        request = json.dumps(
            {"folder": folder, "frames": [(str(frame.path.resolve()), frame.number) for frame in frames]}
        )
        done = subprocess.run(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-c", _START, json.dumps(sys.path)],
            input=request, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            _raise_refusal(done, frames, sum(1 for _ in Path(folder).iterdir()))
        for number in range(len(frames)):
            file = _frame_file(folder, number)
            yield np.load(file)
            file.unlink()


def _raise_refusal(done: subprocess.CompletedProcess[str], frames: Sequence[Frame], decoded: int) -> None:
    """Turn what the other process said, or its crash, into an error."""
    try:
        refusal = json.loads(done.stdout)
    except json.JSONDecodeError:
        refusal = None
    if refusal is not None:
        raise _REFUSALS[refusal["kind"]](refusal["message"])
    if done.returncode > 0:
        raise RuntimeError(f"the decoding process failed with exit code {done.returncode}: {done.stderr[-2000:]}")
    name = frames[min(decoded, len(frames) - 1)].path.name
    raise BadInputError(f"{name!r}: the pixel data are damaged (the decoder crashed on them): send it again")


def _frame_file(folder: str, number: int) -> Path:
    return Path(folder) / f"{number:06d}.npy"


def serve() -> None:
    """Decode the frames that standard input asks for into .npy files; a refusal goes to standard output as JSON."""
    request = json.load(sys.stdin)
    frames = [Frame(Path(path), number) for path, number in request["frames"]]
    try:
        for number, array in enumerate(_decoded_here(frames)):
            np.save(_frame_file(request["folder"], number), array)
    except ToolError as error:
        sys.stdout.write(json.dumps({"kind": type(error).__name__, "message": str(error)}))
        sys.exit(1)
