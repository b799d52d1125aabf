"""How many corruptions are caught, how many true sentences are held back: figures per kind."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from random import Random

import tools.trials.corruptions_of_words  # noqa: F401  registers its kinds
from tools.grounding import problem_with
from tools.results import Claim
from tools.trials.corruptions import CORRUPTIONS
from tools.trials.readings import MadeReading, make_reading
from tools.trials.wording import true_claims


@dataclass
class Tally:
    """Figures of one trial."""

    true: int = 0
    held_back: list[tuple[Claim, str]] = field(default_factory=list)
    """True sentences that were held back, with the reason: false alarms."""
    tried: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    missed: dict[str, list[Claim]] = field(default_factory=lambda: defaultdict(list))

    @property
    def false_alarms(self) -> float:
        """Share of true sentences that were held back."""
        return len(self.held_back) / max(1, self.true)

    @property
    def caught(self) -> float:
        """Share of corruptions that were caught."""
        return 1 - sum(map(len, self.missed.values())) / max(1, sum(self.tried.values()))

    def table(self) -> str:
        """Return the figures per kind as a Markdown table."""
        rows = [f"| {kind} | {n} | {(n - len(self.missed[kind])) / n:.2f} |" for kind, n in sorted(self.tried.items())]
        total = sum(self.tried.values())
        rows += [f"| **all kinds** | {total} | {self.caught:.3f} |"]
        rows += [f"| true sentences held back | {self.true} | {self.false_alarms:.3f} |"]
        return "\n".join(["| what was made false | sentences | caught |", "|---|---|---|", *rows])


def run_trial(readings: int, seed: int, *, per_claim: int = 4) -> Tally:
    """Check true sentences and corruptions of them.

    Args:
        readings: how many made readings.
        seed: of everything that is drawn.
        per_claim: how many kinds of corruption to try on each sentence; each kind comes in turn.
    """
    tally = Tally()
    rng = Random(seed)
    for number in range(readings):
        reading = make_reading(seed * 10_000 + number)
        for claim in true_claims(reading, rng.randrange(10**9)):
            tally.true += 1
            if (reason := problem_with(claim, reading.look_up)) is not None:
                tally.held_back.append((claim, reason))
            _corrupt(claim, reading, rng, tally, per_claim)
    return tally


def _corrupt(claim: Claim, reading: MadeReading, rng: Random, tally: Tally, count: int) -> None:
    done = 0
    for kind in sorted(CORRUPTIONS, key=lambda k: (tally.tried[k], k)):
        false = CORRUPTIONS[kind](claim, reading, rng)
        if false is None or _is_true(false, reading):
            continue
        tally.tried[kind] += 1
        if problem_with(false, reading.look_up) is None:
            tally.missed[kind].append(false)
        done += 1
        if done == count:
            return


def _is_true(claim: Claim, reading: MadeReading) -> bool:
    """Return whether a corruption happens to be true: the same sentence stands in this patient's report."""
    return claim.evidence == ("rep1",) and claim.text in reading.own
