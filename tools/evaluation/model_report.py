"""The model report: figures as Markdown and JSON, with plots beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tools.evaluation.classifier import Evaluated, Group, LabelReport
from tools.evaluation.segmenter import SegmenterReport
from tools.imaging.plots import curves_png, reliability_png
from tools.models.card import ModelCard
from tools.quality.corruptions import SEVERITIES
from tools.training.metrics import Interval
from tools.workspace import write_atomically, write_json, writing

NOTICE = "Research use only. Not a medical device. These figures hold for the images given, and for nothing else."


def write_classifier_report(card: ModelCard, found: Evaluated, images: int, folder: Path) -> list[Path]:
    """Write the report of a classifier and return its files, the report first."""
    parts = [_head(card, images)]
    pictures = []
    for report in found.reports:
        parts.append(_label(report))
        for name, draw in (("severity", _draw_severity), ("calibration", _draw_calibration)):
            picture = folder / f"{report.label}-{name}.png"
            draw(report, picture)
            pictures.append(picture)
            parts.append(f"![{name}]({picture.name})\n")
    return _written(folder, parts, {"card": card.name, "labels": [asdict(r) for r in found.reports]}, pictures)


def write_segmenter_report(card: ModelCard, report: SegmenterReport, folder: Path) -> list[Path]:
    """Write the report of a segmenter and return its files, the report first."""
    picture = folder / f"{report.target}-severity.png"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    curves_png(report.by_severity, picture, x="severity", y="mean Dice", title=f"{report.target}: worse copies")
    rows = [("image", "Dice"), *((name, f"{value:.3f}") for name, value in report.by_image.items())]
    parts = [
        _head(card, len(report.by_image)),
        f"## {report.target}\n\nDice {_interval(report.dice)}.\n",
        _table(rows),
        _severities("Mean Dice", report.by_severity),
        _groups(report.groups, report.dice),
        "Shortcuts are looked for in classifiers only: an outline shows itself what it rests on.\n",
        f"![severity]({picture.name})\n",
    ]
    return _written(folder, parts, {"card": card.name, "target": asdict(report)}, [picture])


def _head(card: ModelCard, images: int) -> str:
    limits = "".join(f"- {limit}\n" for limit in card.limits) or "- nothing\n"
    return (
        f"# {card.title}\n\n{NOTICE}\n\nModel `{card.name}`, version {card.version}, licence {card.licence}, evaluated "
        f"on {images} images.\n\nWhat its card says of its limits:\n\n{limits}"
    )


def _label(report: LabelReport) -> str:
    lines = [f"## {report.label}\n", f"AUC {_interval(report.auc)}."]
    if report.sensitivity is not None and report.specificity is not None:
        lines.append(
            f"At the card's operating point: sensitivity {report.sensitivity:.2f}, "
            f"specificity {report.specificity:.2f}."
        )
    lines.append(f"Calibration error {report.calibration_error:.3f}, Brier score {report.brier:.3f}.\n")
    lines.append(_shortcut(report))
    return "\n".join(lines) + "\n" + _severities("AUC", report.by_severity) + _groups(report.groups, report.auc)


def _shortcut(report: LabelReport) -> str:
    said = (
        "**The label is told well with the anatomy hidden: the model takes a shortcut.**"
        if report.takes_a_shortcut
        else "No shortcut was seen."
    )
    return (
        f"With the middle of the image hidden the AUC is {report.auc_middle_hidden:.2f}, with its rim hidden "
        f"{report.auc_rim_hidden:.2f}. {said}\n"
    )


def _severities(figure: str, by_severity: Mapping[str, Sequence[float]]) -> str:
    head = ("corruption", *(f"severity {s}" for s in SEVERITIES))
    rows = [head, *((kind, *(f"{v:.2f}" for v in values)) for kind, values in by_severity.items())]
    return f"{figure} on worse copies:\n\n{_table(rows)}"


def _groups(groups: Sequence[Group], whole: Interval) -> str:
    if not groups:
        return "No attributes were given, so subgroups were not compared.\n\n"
    rows = [("group", "images", "figure", "differs"), *((*_group(g), _differs(g.figure, whole)) for g in groups)]
    return f"By subgroup:\n\n{_table(rows)}"


def _group(group: Group) -> tuple[str, str, str]:
    return group.name, str(group.figure.n), _interval(group.figure)


def _differs(figure: Interval, whole: Interval) -> str:
    return "yes" if figure.high < whole.low or figure.low > whole.high else ""


def _interval(figure: Interval) -> str:
    if figure.value != figure.value:  # NaN
        return "could not be scored"
    return f"{figure.value:.2f} (95 % interval {figure.low:.2f} to {figure.high:.2f}, n = {figure.n})"


def _table(rows: Iterable[Sequence[str]]) -> str:
    first, *rest = (f"| {' | '.join(row)} |" for row in rows)
    rule = "|" + "---|" * (first.count("|") - 1)
    return "\n".join([first, rule, *rest]) + "\n\n"


def _draw_severity(report: LabelReport, path: Path) -> None:
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    curves_png(report.by_severity, path, x="severity", y="AUC", title=f"{report.label}: worse copies")


def _draw_calibration(report: LabelReport, path: Path) -> None:
    points = [(b.mean_score, b.share_positive) for b in report.bins]
    reliability_png(points, path, title=f"{report.label}: are scores frequencies?")


def _written(folder: Path, parts: Sequence[str], data: Mapping[str, Any], pictures: Sequence[Path]) -> list[Path]:
    report, figures = folder / "model-report.md", folder / "model-report.json"
    write_atomically(report, "\n".join(parts))
    write_json(figures, data)
    return [report, figures, *pictures]
