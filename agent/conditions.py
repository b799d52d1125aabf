"""Whether a step whose turn depends on a measured value is to run."""

from __future__ import annotations

from agent.plan import Condition, Step
from tools.results import Measurement, Measurements
from tools.workspace import Workspace

# How measurements call what a condition names.
_ROWS = {
    "volume": ("volume",),
    "intensity": ("mean_intensity", "intensity"),
    "diameter": ("longest_diameter", "diameter"),
    "surface_area": ("surface_area",),
    "ratio": ("volume_ratio", "area_ratio"),
}
_IN_BASE_UNITS = {"ml": 1.0, "cm3": 1.0, "cc": 1.0, "l": 1000.0, "mm": 1.0, "cm": 10.0, "cm2": 1.0, "mm2": 0.01}


def unmet(step: Step, workspace: Workspace) -> str:
    """Return why a step is not to run; "" when it is."""
    if step.when is None:
        return ""
    artifact = workspace.artifact(step.when.step)
    if artifact.kind != "measurements":
        return f"its condition looks at {artifact.id}, which is of kind {artifact.kind} and measures nothing"
    return why_not(step.when, Measurements.model_validate(artifact.data))


def why_not(condition: Condition, measured: Measurements) -> str:
    """Return why a condition is not met; "" when one measured value meets it.

    A condition that the measurements cannot decide is not met, and the reason says so.
    """
    rows = [row for row in measured.rows if row.quantity in _ROWS[condition.quantity]]
    if not rows:
        return f"{condition.step} measured no {condition.quantity}, so its condition cannot be decided"
    said = []
    for row in rows:
        value = _in_unit_of(condition, row)
        if value is None:
            return (
                f"{row.target}: {row.value:g} {row.unit} cannot be compared with {condition.value:g} {condition.unit}"
            )
        if value > condition.value if condition.relation == "above" else value < condition.value:
            return ""
        said.append(f"{row.target} {value:.4g}")
    return f"not needed: {condition.quantity} ({', '.join(said)}) is not {condition.relation} {_limit(condition)}"


def _in_unit_of(condition: Condition, row: Measurement) -> float | None:
    """Return a measured value in the condition's unit; None where the units are of different kinds."""
    if condition.unit == row.unit or not condition.unit:
        return row.value
    base, wanted = _IN_BASE_UNITS.get(row.unit), _IN_BASE_UNITS.get(condition.unit)
    same_kind = _kind(row.unit) == _kind(condition.unit)
    return row.value * base / wanted if base and wanted and same_kind else None


def _kind(unit: str) -> str:
    if unit in ("mm", "cm"):
        return "length"
    return "area" if unit in ("cm2", "mm2") else "volume"


def _limit(condition: Condition) -> str:
    return f"{condition.value:g} {condition.unit}".strip()
