"""The key image: slices with outlined masks, names, sides and a scale, as one PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from tools.imaging.slices import Picture, Preset, pictures
from tools.imaging.volume import BoolArray, Volume

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

PALETTE = ((86, 180, 233), (230, 159, 0), (0, 158, 115), (240, 228, 66), (204, 121, 167), (213, 94, 0), (0, 114, 178))
"""RGB; told apart with all common kinds of colour blindness: Okabe and Ito, Color Universal Design (2008)."""

PANEL_PX = 640
MARGIN_PX = 20
FILL_ALPHA = 0.22
CONTOUR_PX = 2
MAX_NAMES = 12
Style = Literal["on image", "on page", "faint"]
_BACKGROUND, _INK, _FAINT = (14, 17, 22), (236, 239, 244), (150, 158, 170)


def overlay_png(
    volume: Volume, masks: Mapping[str, BoolArray], path: Path, *, title: str = "", preset: Preset | None = None
) -> str:
    """Draw masks on the key slices of their image and write the picture as PNG.

    Args:
        volume: the image.
        masks: bool (i, j, k) per name, on the grid of `volume`.
        path: the file to write; its folder exists.
        title: a line above the panels.
        preset: the window; None chooses by targets.

    Returns:
        What is shown, in one sentence, for a reader who does not see it.

    Raises:
        ValueError: a mask has another shape than the image.
    """
    from tools.workspace import writing

    for name, mask in masks.items():
        if mask.shape != volume.shape:
            raise ValueError(f"mask {name!r} must have the shape {volume.shape} of its image, got {mask.shape}")
    shown = pictures(volume, masks, preset)
    colours = {name: PALETTE[n % len(PALETTE)] for n, name in enumerate(masks)}
    image = _page([_panel(picture, colours) for picture in shown], colours, title)
    with writing(path):
        image.save(path, format="PNG", optimize=False)
    where = " and ".join(picture.caption for picture in shown)
    return f"{', '.join(masks)} on {where}" if masks else where


def _panel(picture: Picture, colours: Mapping[str, tuple[int, int, int]]) -> Image:
    """Draw one slice with square millimetres, its masks, and what it says of side and scale."""
    from PIL import Image as Images
    from PIL import ImageDraw as Drawing

    rows, columns = picture.gray.shape[:2]
    height_mm, width_mm = rows * picture.step_mm[0], columns * picture.step_mm[1]
    px_per_mm = PANEL_PX / max(height_mm, width_mm)
    size = (max(1, round(width_mm * px_per_mm)), max(1, round(height_mm * px_per_mm)))
    scaled = Images.fromarray(np.ascontiguousarray(picture.gray)).convert("RGB").resize(size, Images.Resampling.BICUBIC)
    pixels = np.asarray(scaled, dtype=np.float32).copy()
    contours: list[tuple[BoolArray, tuple[int, int, int]]] = []
    for name, mask in picture.masks.items():
        inside = _resized(mask, size)
        pixels[inside] += FILL_ALPHA * (np.array(colours[name], np.float32) - pixels[inside])
        contours.append((_rim(inside), colours[name]))
    for rim, colour in contours:
        pixels[rim] = colour
    panel = Images.fromarray((pixels + 0.5).astype(np.uint8))
    _annotate(Drawing.Draw(panel), picture, size, px_per_mm)
    return panel


def _resized(mask: BoolArray, size: tuple[int, int]) -> BoolArray:
    from PIL import Image as Images

    field = Images.fromarray(np.ascontiguousarray(mask).astype(np.uint8) * 255)
    return np.asarray(field.resize(size, Images.Resampling.BILINEAR)) >= 128


def _rim(inside: BoolArray) -> BoolArray:
    """Return the pixels of a mask within two pixels of its outside; the picture's edge is no outside."""
    core = np.pad(inside, CONTOUR_PX, mode="edge")
    for _ in range(CONTOUR_PX):
        core = core[1:-1, 1:-1] & core[:-2, 1:-1] & core[2:, 1:-1] & core[1:-1, :-2] & core[1:-1, 2:]
    return inside & ~core


def _annotate(draw: ImageDraw, picture: Picture, size: tuple[int, int], px_per_mm: float) -> None:
    width, height = size
    if picture.left_side:
        other = "L" if picture.left_side == "R" else "R"
        _text(draw, (10, height // 2), picture.left_side, 22, "lm")
        _text(draw, (width - 10, height // 2), other, 22, "rm")
    _text(draw, (10, 10), picture.caption, 15, "la")
    if not picture.has_spacing:
        return
    for length_mm in (100, 50, 20, 10, 5, 2, 1):
        length_px = length_mm * px_per_mm
        if length_px <= width / 3:
            label = f"{length_mm // 10} cm" if length_mm >= 10 else f"{length_mm} mm"
            right, bottom = width - 14, height - 14
            draw.rectangle([right - length_px - 1, bottom - 3, right + 1, bottom + 2], fill=(0, 0, 0))
            draw.rectangle([right - length_px, bottom - 2, right, bottom + 1], fill=_INK)
            _text(draw, (right - length_px / 2, bottom - 6), label, 14, "ms")
            return


def _page(panels: Sequence[Image], colours: Mapping[str, tuple[int, int, int]], title: str) -> Image:
    """Put the panels side by side under a title and above the legend."""
    from PIL import Image as Images
    from PIL import ImageDraw as Drawing

    width = max(400, sum(panel.width for panel in panels) + MARGIN_PX * (len(panels) + 1))
    tallest = max(panel.height for panel in panels)
    top = MARGIN_PX + (34 if title else 0)
    lines = _legend_lines(list(colours), width)
    page = Images.new("RGB", (width, top + tallest + MARGIN_PX + 30 * len(lines) + 34), _BACKGROUND)
    draw = Drawing.Draw(page)
    if title:
        _text(draw, (MARGIN_PX, MARGIN_PX - 4), title, 19, "la", "on page")
    left = MARGIN_PX
    for panel in panels:
        page.paste(panel, (left, top + (tallest - panel.height) // 2))
        left += panel.width + MARGIN_PX
    bottom = top + tallest + MARGIN_PX
    for number, line in enumerate(lines):
        for name, at in line:
            y = bottom + 30 * number
            if name in colours:
                draw.rounded_rectangle([at, y + 2, at + 18, y + 18], radius=3, fill=colours[name])
            _text(draw, (at + 26, y + 10), name.replace("_", " "), 16, "lm", "on page")
    _text(draw, (MARGIN_PX, page.height - 14), "Research use only, not for diagnosis", 13, "ls", "faint")
    return page


def _legend_lines(names: Sequence[str], width: int) -> list[list[tuple[str, int]]]:
    """Break the names into lines of (name, x in pixels)."""
    from PIL import ImageFont

    shown = list(names[:MAX_NAMES])
    if len(names) > MAX_NAMES:
        shown.append(f"and {len(names) - MAX_NAMES} more")
    font = ImageFont.load_default(16)
    lines: list[list[tuple[str, int]]] = [[]]
    at = MARGIN_PX
    for name in shown:
        needed = 26 + int(font.getlength(name)) + 28
        if lines[-1] and at + needed > width:
            lines.append([])
            at = MARGIN_PX
        lines[-1].append((name, at))
        at += needed
    return lines


def _text(
    draw: ImageDraw, at: tuple[float, float], text: str, size: int, anchor: str, style: Style = "on image"
) -> None:
    from PIL import ImageFont

    ink, halo_px = (_FAINT if style == "faint" else _INK), (0 if style != "on image" else 1 if size < 18 else 2)
    font = ImageFont.load_default(size)
    draw.text(at, text, fill=ink, font=font, anchor=anchor, stroke_width=halo_px, stroke_fill=(0, 0, 0))
