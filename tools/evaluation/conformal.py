"""Conformal sets: the answers that a score cannot rule out at a stated error rate.

Split conformal prediction for one finding: on labelled images that the model did not learn from, how wrong a score can
be for the true answer; on a new image, every answer whose score is no more wrong than that stays in the set.

Source: Angelopoulos and Bates, A gentle introduction to conformal prediction, arXiv 2107.07511 (2021), section 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tools.errors import BadInputError
from tools.evaluation.figures import Scores, Truth
from tools.workspace import write_atomically

FILE = "calibration.json"
MIN_CASES = 20  # with fewer, an error rate of 10 % cannot be told from 0 or 20 %

Answer = Literal["present", "absent"]


class Calibration(BaseModel):
    """What was learned about a model's scores on labelled images; lies beside its card or its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    card: str
    error_rate: float = Field(gt=0, lt=1)
    limits: Mapping[str, float]
    """Per finding: how wrong a score may be for an answer to stay in the set."""
    cases: int


def calibrate(card: str, scores: Mapping[str, Scores], truth: Mapping[str, Truth], error_rate: float) -> Calibration:
    """Return the limits at which the sets miss the true answer at most as often as the error rate says.

    Args:
        card: the model.
        scores: per finding, one score an image.
        truth: per finding, whether it is there.
        error_rate: such as 0.1.

    Raises:
        BadInputError: too few images to say anything at that rate.
    """
    cases = min((len(s) for s in scores.values()), default=0)
    if cases < MIN_CASES:
        raise BadInputError(f"calibration needs at least {MIN_CASES} labelled images, got {cases}")
    limits = {name: _limit(np.where(truth[name], 1 - s, s), error_rate) for name, s in scores.items()}
    return Calibration(card=card, error_rate=error_rate, limits=limits, cases=cases)


def answers(calibration: Calibration, finding: str, score: float) -> tuple[Answer, ...]:
    """Return the answers that a score cannot rule out: one, both (undecided), or neither (unlike what was seen)."""
    limit = calibration.limits[finding]
    kept: list[Answer] = []
    if 1 - score <= limit:
        kept.append("present")
    if score <= limit:
        kept.append("absent")
    return tuple(kept)


def save(calibration: Calibration, path: Path) -> None:
    """Write a calibration file."""
    write_atomically(path, calibration.model_dump_json(indent=1))


def load(path: Path, card: str) -> Calibration | None:
    """Return the calibration of a card; None where there is no file.

    Raises:
        BadInputError: the file is damaged, or belongs to another model.
    """
    if not path.is_file():
        return None
    try:
        found = Calibration.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise BadInputError(f"calibration file {path.name} is damaged: {str(error).splitlines()[0]}") from None
    if found.card != card:
        raise BadInputError(f"calibration file {path.name} belongs to model {found.card!r}, not {card!r}")
    return found


def _limit(wrongness: Scores, error_rate: float) -> float:
    """Return the quantile with the correction for a finite number of cases."""
    n = len(wrongness)
    rank = math.ceil((n + 1) * (1 - error_rate))
    return float(np.sort(wrongness)[min(rank, n) - 1]) if rank <= n else 1.0
