"""Text in pixels: found by OCR (rapidocr, PP-OCR models in its package) and blacked out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from tools.deidentification.header import terms
from tools.imaging.volume import AnyArray

LONGEST_SIDE = 2000  # a mammogram is 4,000 pixels high; text that a person can read survives halving
FEWEST_SURE = 0.5  # score from which what was read counts; below it OCR sees letters in noise
FEWEST_SURE_ON_SLICES = 0.7
LETTERS = 2  # that a text has at least: organs look like an O or a C, and one letter names nobody
LETTERS_ON_SLICES = 3
MARGIN = 0.25  # of the text's height, around its box: OCR boxes cut strokes
_PASSES = 3  # text beside text shows when the first is gone


class TextBox(NamedTuple):
    """A rectangle of pixels, the last row and column not included."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class Found:
    """What OCR saw in one picture."""

    boxes: tuple[TextBox, ...]
    markers: int = 0
    """How many side or position markers were left alone."""


def find_text(rows: AnyArray, *, on_slice: bool = False) -> Found:
    """Return where text stands in a picture.

    Args:
        rows: (row, column) numbers, or (row, column, 3) uint8.
        on_slice: of a scan, where text is rare and blackened anatomy is not: only longer and surer text counts.
    """
    letters, sure = (LETTERS_ON_SLICES, FEWEST_SURE_ON_SLICES) if on_slice else (LETTERS, FEWEST_SURE)
    picture, step = _shown(rows)
    read = _engine()(picture)
    if read.boxes is None:
        return Found(())
    boxes, markers = [], 0
    for corners, text, score in zip(read.boxes, read.txts, read.scores, strict=True):
        if str(text).strip().upper() in terms()["markers"] and float(score) >= FEWEST_SURE:
            markers += 1
        elif sum(map(str.isalnum, str(text))) >= letters and float(score) >= sure:
            boxes.append(_box(np.asarray(corners) * step, rows.shape))
    return Found(tuple(boxes), markers)


def black_out(frames: Sequence[AnyArray], boxes: Sequence[TextBox], value: float) -> None:
    """Write one value over rectangles, in place."""
    for frame in frames:
        for box in boxes:
            frame[box.top : box.bottom, box.left : box.right] = value


def clear_text(frame: AnyArray, value: float, *, on_slice: bool = False) -> tuple[int, int, bool]:
    """Black out the text of one picture, in place, until none is found.

    Args:
        frame: the picture, writable.
        value: what is black in it.
        on_slice: as in `find_text`.

    Returns:
        Rectangles blacked out, markers left alone, and whether the last look found no text.
    """
    count = 0
    for _ in range(_PASSES):
        found = find_text(frame, on_slice=on_slice)
        if not found.boxes:
            return count, found.markers, True
        black_out([frame], found.boxes, value)
        count += len(found.boxes)
    found = find_text(frame, on_slice=on_slice)
    return count, found.markers, not found.boxes


def clear_volume(frames: Sequence[AnyArray], value: float, progress: Callable[[float], None]) -> tuple[int, int, bool]:
    """Black out the text of slices: a sample is looked at, and every slice where the sample has text.

    Returns:
        Rectangles blacked out, slices looked at, and whether the last look found no text.
    """
    sample = sorted({round(i) for i in np.linspace(0, len(frames) - 1, min(len(frames), 5))})
    with_text = False
    for number, i in enumerate(sample):
        progress(number / len(sample) / 2)
        with_text = with_text or bool(find_text(frames[i], on_slice=True).boxes)
    if not with_text:
        return 0, len(sample), True
    count, clean = 0, True
    for i, frame in enumerate(frames):
        progress(0.5 + i / len(frames) / 2)
        done, _, is_clean = clear_text(frame, value, on_slice=True)
        count, clean = count + done, clean and is_clean
    return count, len(frames), clean


def _shown(rows: AnyArray) -> tuple[AnyArray, int]:
    """Return a picture as OCR wants it, and by how much it was made smaller."""
    step = max(1, -(-max(rows.shape[:2]) // LONGEST_SIDE))
    rows = rows[::step, ::step]
    if rows.ndim == 3:
        return np.ascontiguousarray(rows[..., ::-1]), step  # BGR
    low, high = np.percentile(rows, (0.5, 99.8))
    high = max(high, float(rows.max()) if high <= low else high)
    scaled = np.clip((rows.astype(np.float32) - low) / max(high - low, 1e-6), 0, 1)
    gray = (scaled * 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2), step


def _box(corners: AnyArray, shape: tuple[int, ...]) -> TextBox:
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    margin = MARGIN * min(bottom - top, right - left) + 1
    return TextBox(
        int(max(top - margin, 0)),
        int(max(left - margin, 0)),
        int(min(np.ceil(bottom + margin), shape[0])),
        int(min(np.ceil(right + margin), shape[1])),
    )


@cache
def _engine() -> Any:
    from rapidocr import RapidOCR

    return RapidOCR(params={"Global.log_level": "error"})
