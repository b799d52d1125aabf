"""`python -m tools.trials`: how many corruptions are caught, per kind, as a Markdown table."""

from __future__ import annotations

import argparse
import sys

from tools.trials.score import run_trial


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tools.trials", description=__doc__)
    parser.add_argument("--readings", type=int, default=24)
    parser.add_argument("--seed", type=int, default=4)
    given = parser.parse_args()
    tally = run_trial(given.readings, given.seed)
    sys.stdout.write(tally.table() + "\n")
    for claim, reason in tally.held_back:
        sys.stdout.write(f"held back: {claim.text} ({reason})\n")
    for kind, missed in tally.missed.items():
        sys.stdout.writelines(f"missed, {kind}: {claim.text}\n" for claim in missed)


if __name__ == "__main__":
    main()
