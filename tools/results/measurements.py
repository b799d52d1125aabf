"""Measured values, each with its unit and where the spacing came from."""

from typing import ClassVar

from tools.facts import ArtifactKind
from tools.places import Region
from tools.results.base import Record, ToolResult


class Measurement(Record):
    """One measured value."""

    target: str
    quantity: str
    """volume, mean_intensity, longest_diameter, …"""
    value: float
    unit: str
    """ "ml", "mm", "cm2", "HU"; empty for arbitrary intensity."""
    image: str
    mask: str
    spacing_source: str
    """Header field that gave the millimetres; empty where the unit needs none."""
    method: str
    """How it was computed, in a few words."""
    uncertainty: float | None = None
    """± in the value's unit, as far as the mask's own boundary says; None where it says nothing."""
    uncertainty_method: str = ""
    where: Region | None = None
    """Where it was measured: for a diameter its slice, else the slice that shows most of the structure."""


class Measurements(ToolResult):
    """A table of measurements."""

    kind: ClassVar[ArtifactKind] = "measurements"

    rows: tuple[Measurement, ...]
