"""Plots: scores, histograms, agreement of repeated measures, curves. The one door to matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.imaging.render import PALETTE
from tools.imaging.volume import AnyArray
from tools.results import LabelScore

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOTICE = "Research use only, not for diagnosis"
MAX_CURVES = 7
BINS = 120
MAX_BARS = 40
ROW_INCHES = 0.26
_REACHED, _BELOW, _UNJUDGED = "#e69f00", "#56b4e9", "#6e7682"  # Okabe and Ito's palette, and gray


def scores_png(rows: Sequence[LabelScore], path: Path, *, title: str) -> str:
    """Draw scores as bars, each with a line at its operating point, highest margin first.

    Args:
        rows: what to draw; at most MAX_BARS are.
        path: the file to write; its folder exists.
        title: a line above the bars.

    Returns:
        What is shown, in one sentence, for a reader who does not see it.
    """
    shown = sorted(rows, key=_margin, reverse=True)[:MAX_BARS]

    def draw(axes: Axes) -> None:
        names = [row.label.replace("_", " ")[:40] for row in shown]
        colours = [_UNJUDGED if r.above is None else _REACHED if r.above else _BELOW for r in shown]
        places = range(len(shown))
        axes.barh(places, [row.score for row in shown], color=colours, height=0.7)
        for place, row in zip(places, shown, strict=True):
            axes.text(1.01, place, f"{row.score:.2f}", va="center", fontsize=9)
            if row.operating_point is not None:
                axes.plot([row.operating_point] * 2, [place - 0.45, place + 0.45], color="black", linewidth=1.8)
        axes.set_yticks(places, names)
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        key = "black line: operating point; orange: reached; gray: has none, not judged"
        axes.set_xlabel(f"score, 0 to 1 ({key})", loc="left", fontsize=8)

    _plot(path, draw, title, height_inches=1.4 + ROW_INCHES * len(shown))
    left_out = f" ({len(rows) - len(shown)} more are in the table)" if len(rows) > len(shown) else ""
    return f"{len(shown)} scores as bars, each with its operating point{left_out}"


def _margin(row: LabelScore) -> tuple[bool, float]:
    return row.operating_point is not None, row.score - (row.operating_point or 0.0)


def histogram_png(values: Mapping[str, AnyArray], path: Path, *, unit: str, title: str = "") -> str:
    """Draw one histogram a structure, each scaled to its own number of voxels.

    Args:
        values: intensities by name; at most MAX_CURVES are drawn.
        path: the file to write; its folder exists.
        unit: "HU", or empty for arbitrary intensity.
        title: a line above.

    Returns:
        What is shown, in one sentence.
    """
    shown = dict(list(values.items())[:MAX_CURVES])
    ends = [np.percentile(v, (0.1, 99.9)) for v in shown.values()]
    low, high = float(min(e[0] for e in ends)), float(max(e[1] for e in ends))
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)

    def draw(axes: Axes) -> None:
        for number, (name, inside) in enumerate(shown.items()):
            counts, _ = np.histogram(inside, edges)
            colour = np.array(PALETTE[number % len(PALETTE)]) / 255
            axes.stairs(100 * counts / inside.size, edges, label=name, color=colour, linewidth=1.6)
        axes.set_xlabel(f"intensity ({unit or 'arbitrary units'})")
        axes.set_ylabel("% of voxels")
        axes.legend(frameon=False)

    _plot(path, draw, title)
    left_out = f"; {len(values) - MAX_CURVES} more are not drawn" if len(values) > MAX_CURVES else ""
    return f"histogram of {', '.join(shown)}{left_out}"


def bland_altman_png(first: Sequence[float], second: Sequence[float], path: Path, *, unit: str, title: str) -> str:
    """Draw the difference of paired measurements against their mean, with bias and limits of agreement.

    Args:
        first: the earlier values.
        second: the later values, same order.
        path: the file to write; its folder exists.
        unit: of both.
        title: a line above.

    Returns:
        What is shown, in one sentence.

    Source: Bland and Altman, Lancet 327 (1986) 307.
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    bias, spread = float((b - a).mean()), 1.96 * float((b - a).std(ddof=1))

    def draw(axes: Axes) -> None:
        axes.scatter((a + b) / 2, b - a, color=np.array(PALETTE[0]) / 255)
        for level, style in ((bias, "-"), (bias - spread, "--"), (bias + spread, "--")):
            axes.axhline(level, color="0.35", linestyle=style, linewidth=1)
        axes.set_xlabel(f"mean of both studies ({unit})")
        axes.set_ylabel(f"later minus earlier ({unit})")

    _plot(path, draw, title)
    return f"Bland-Altman plot of {len(a)} pairs: bias {bias:.3g} {unit}, limits of agreement ± {spread:.3g} {unit}"


def curves_png(curves: Mapping[str, Sequence[float]], path: Path, *, x: str, y: str, title: str = "") -> str:
    """Draw curves over 1, 2, 3, …: a loss over epochs, a score over severities.

    Args:
        curves: values by name; at most MAX_CURVES are drawn.
        path: the file to write; its folder exists.
        x: what is counted along the horizontal axis.
        y: what the values are, with their unit.
        title: a line above.

    Returns:
        What is shown, in one sentence.
    """
    shown = dict(list(curves.items())[:MAX_CURVES])

    def draw(axes: Axes) -> None:
        for number, (name, values) in enumerate(shown.items()):
            colour = np.array(PALETTE[number % len(PALETTE)]) / 255
            axes.plot(range(1, len(values) + 1), values, label=name, color=colour, marker="o", markersize=3)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.legend(frameon=False)

    _plot(path, draw, title)
    return f"{y} over {x}: {', '.join(shown)}"


def reliability_png(points: Sequence[tuple[float, float]], path: Path, *, title: str = "") -> str:
    """Draw how often a label applies against the scores it got: on the diagonal, scores are frequencies.

    Args:
        points: (mean score, share of positives) per bin.
        path: the file to write; its folder exists.
        title: a line above.

    Returns:
        What is shown, in one sentence.
    """

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
        axes.plot([p[0] for p in points], [p[1] for p in points], color=np.array(PALETTE[0]) / 255, marker="o")
        axes.set_xlabel("mean score")
        axes.set_ylabel("share that has it")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)

    _plot(path, draw, title)
    return f"reliability diagram with {len(points)} bins"


def panels_of_films_png(
    films: tuple[AnyArray, AnyArray, AnyArray], path: Path, *, strongest: float, title: str
) -> None:
    """Draw a later film, an earlier one laid on it, and their difference in red and blue on the later one.

    Args:
        films: later, earlier, later minus earlier; (rows, columns), gray from 0 to 1.
        path: the file to write; its folder exists.
        strongest: the difference that is drawn in full colour.
        title: a line above.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from tools.workspace import writing

    figure = Figure(figsize=(12.6, 4.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    names = ("current", "prior, laid on it", "brighter now red, darker now blue")
    for number, (name, film) in enumerate(zip(names, films, strict=True), 1):
        axes: Axes = figure.add_subplot(1, 3, number)
        axes.set_title(name, loc="left", fontsize=10)
        axes.set_axis_off()
        if number < 3:
            axes.imshow(film, cmap="gray", vmin=0, vmax=1)
            continue
        axes.imshow(films[0], cmap="gray", vmin=0, vmax=1)
        opacity = np.clip(np.abs(film) / strongest, 0, 1)
        axes.imshow(film, cmap="RdBu_r", vmin=-strongest, vmax=strongest, alpha=0.8 * opacity)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    figure.text(0.995, 0.005, NOTICE, ha="right", va="bottom", fontsize=7, color="0.4")
    with writing(path):
        figure.savefig(path, metadata={"Software": None})


def _plot(path: Path, draw: Any, title: str, *, height_inches: float = 4.2) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from tools.workspace import writing

    figure = Figure(
        figsize=(7.2, height_inches), dpi=110, layout="constrained"
    )  # no pyplot: its state is shared by threads
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, loc="left", fontsize=11)
    draw(axes)
    figure.text(0.995, 0.005, NOTICE, ha="right", va="bottom", fontsize=7, color="0.4")
    with writing(path):
        figure.savefig(path, metadata={"Software": None})
