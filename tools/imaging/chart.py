"""A bar chart of scores against their operating points, as one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tools.results import LabelScore

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

MAX_BARS = 40
WIDTH_PX, ROW_PX, NAME_PX, MARGIN_PX = 900, 26, 260, 20
_BACKGROUND, _INK, _FAINT = (14, 17, 22), (236, 239, 244), (150, 158, 170)
_REACHED, _BELOW, _UNJUDGED = (230, 159, 0), (86, 180, 233), (110, 118, 130)  # Okabe and Ito's palette, and gray


def scores_png(rows: Sequence[LabelScore], path: Path, *, title: str) -> str:
    """Draw scores as bars, each with a line at its operating point, highest margin first.

    Args:
        rows: what to draw; at most 40 are.
        path: the file to write; its folder exists.
        title: a line above the bars.

    Returns:
        What is shown, in one sentence, for a reader who does not see it.
    """
    from PIL import Image, ImageDraw

    from tools.workspace import writing

    shown = sorted(rows, key=_margin, reverse=True)[:MAX_BARS]
    image = Image.new("RGB", (WIDTH_PX, 62 + ROW_PX * len(shown) + 66), _BACKGROUND)
    draw = ImageDraw.Draw(image)
    _text(draw, (MARGIN_PX, MARGIN_PX - 4), title, 19, "la")
    for number, row in enumerate(shown):
        _bar(draw, row, 62 + ROW_PX * number)
    legend = "bar: score, 0 to 1    white line: operating point    orange: reached    gray: has none, not judged"
    _text(draw, (MARGIN_PX, image.height - 44), legend, 13, "ls")
    _text(draw, (MARGIN_PX, image.height - 14), "Research use only, not for diagnosis", 13, "ls", _FAINT)
    with writing(path):
        image.save(path, format="PNG")
    left_out = f" ({len(rows) - len(shown)} more are in the table)" if len(rows) > len(shown) else ""
    return f"{len(shown)} scores as bars, each with its operating point{left_out}"


def _margin(row: LabelScore) -> tuple[bool, float]:
    return row.operating_point is not None, row.score - (row.operating_point or 0.0)


def _bar(draw: ImageDraw, row: LabelScore, top: int) -> None:
    left, right = MARGIN_PX + NAME_PX, WIDTH_PX - MARGIN_PX - 60
    width = right - left
    colour = _UNJUDGED if row.above is None else _REACHED if row.above else _BELOW
    _text(draw, (left - 10, top + 10), row.label.replace("_", " ")[:32], 15, "rm")
    draw.rectangle([left, top + 2, right, top + 18], outline=(60, 66, 76))
    draw.rectangle([left, top + 2, left + round(width * row.score), top + 18], fill=colour)
    if row.operating_point is not None:
        at = left + round(width * row.operating_point)
        draw.line([at, top - 1, at, top + 21], fill=_INK, width=2)
    _text(draw, (right + 8, top + 10), f"{row.score:.2f}", 15, "lm")


def _text(
    draw: ImageDraw, at: tuple[int, int], text: str, size: int, anchor: str, ink: tuple[int, int, int] = _INK
) -> None:
    from PIL import ImageFont

    draw.text(at, text, fill=ink, font=ImageFont.load_default(size), anchor=anchor)
