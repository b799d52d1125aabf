"""Steps that depend on a measured value."""

from __future__ import annotations

import pytest

from agent.conditions import why_not
from agent.plan import Condition, Plan, Step, depends_on
from tools.results import Measurement, Measurements


def measured(*rows: tuple[str, str, float, str]) -> Measurements:
    return Measurements(
        summary="measured",
        rows=tuple(
            Measurement(
                target=t, quantity=q, value=v, unit=u, image="img1", mask="s1", spacing_source="pixdim", method="count"
            )
            for t, q, v, u in rows
        ),
    )


LUNGS = measured(("lungs", "volume", 3694.0, "ml"), ("lungs", "mean_intensity", -720.0, "HU"))


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        (Condition(step="s2", quantity="volume", relation="above", value=3, unit="l"), ""),
        (
            Condition(step="s2", quantity="volume", relation="above", value=5, unit="l"),
            "not needed: volume (lungs 3.694) is not above 5 l",
        ),
        (Condition(step="s2", quantity="volume", relation="below", value=5000, unit="ml"), ""),
        (Condition(step="s2", quantity="intensity", relation="below", value=-700, unit="HU"), ""),
        (
            Condition(step="s2", quantity="intensity", relation="above", value=-700, unit="HU"),
            "not needed: intensity (lungs -720) is not above -700 HU",
        ),
        (
            Condition(step="s2", quantity="diameter", relation="above", value=5, unit="mm"),
            "s2 measured no diameter, so its condition cannot be decided",
        ),
        (
            Condition(step="s2", quantity="volume", relation="above", value=5, unit="mm"),
            "lungs: 3694 ml cannot be compared with 5 mm",
        ),
    ],
)
def test_conditions_are_decided_by_the_measurement(condition: Condition, reason: str) -> None:
    assert why_not(condition, LUNGS) == reason


def test_one_value_that_meets_it_is_enough() -> None:
    kidneys = measured(("kidney_left", "volume", 140.0, "ml"), ("kidney_right", "volume", 210.0, "ml"))
    assert why_not(Condition(step="s2", quantity="volume", relation="above", value=200, unit="ml"), kidneys) == ""


def test_a_conditional_step_waits_for_what_is_measured() -> None:
    when = Condition(step="s2", quantity="volume", relation="above", value=5, unit="l")
    assert depends_on(Step(id="s3", tool="describe", args={"image": "@img1"}, when=when)) == {"s2"}


def test_plans_without_conditions_read_as_before() -> None:
    plan = Plan(steps=(Step(id="s1", tool="describe", args={"image": "@img1"}),))
    assert "when" not in plan.model_dump_json()
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
