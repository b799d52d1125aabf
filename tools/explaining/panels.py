"""The picture of an explanation: the image, its heat maps, and the image with the marked region filled in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tools.imaging.plots import NOTICE
from tools.imaging.slices import window
from tools.imaging.volume import AnyArray, Volume

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STRONGEST = 0.65  # opacity where a map is highest; the image stays visible


def panels_png(volume: Volume, maps: Mapping[str, AnyArray], edited: AnyArray | None, path: Path, title: str) -> str:
    """Draw the slice on which the first map is highest, plain, under each map, and edited.

    Args:
        volume: the image.
        maps: float (i, j, k) per name, on the image's grid; only what is above 0 is drawn.
        edited: the image with the region filled in, (i, j, k); None: not drawn.
        path: the file to write; its folder exists.
        title: a line above.

    Returns:
        What is shown, in one sentence.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from tools.workspace import writing

    first = next(iter(maps.values()))
    index = int(np.argmax(first.max(axis=(0, 1))))
    names = ["image", *maps, *(["region filled in"] if edited is not None else [])]
    figure = Figure(figsize=(3.4 * len(names), 3.9), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    gray = window(volume.array)[:, :, index]
    for number, name in enumerate(names, start=1):
        axes: Axes = figure.add_subplot(1, len(names), number)
        axes.set_title(name, loc="left", fontsize=10)
        axes.set_axis_off()
        shown = window(edited)[:, :, index] if name == "region filled in" and edited is not None else gray
        axes.imshow(shown.swapaxes(0, 1), cmap="gray")
        if name in maps:
            heat = np.clip(maps[name][:, :, index].T, 0, None)
            scaled = heat / heat.max() if heat.max() > 0 else heat
            axes.imshow(scaled, cmap="inferno", alpha=STRONGEST * scaled)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    figure.text(0.995, 0.005, NOTICE, ha="right", va="bottom", fontsize=7, color="0.4")
    with writing(path):
        figure.savefig(path, metadata={"Software": None})
    where = f" on slice {index + 1} of {volume.shape[2]}" if volume.dims == 3 else ""
    return f"{', '.join(names)}{where}"
