"""Parts of a request with how strongly each asks for each tool.

Where a sentence goes on without a word that begins requests ("… and rough out a report"), the examples say whether it
asks for a second thing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.planner.examples import ExampleIndex, Scored
from agent.planner.text import Clause, asking, is_form, joints, without_courtesy, written_out

SECOND_CLEAR = 0.42  # both sides of a joint must ask for something this clearly to be two requests
_NARROWS = re.compile(r"^\W*(?:and |but )?(?:no|not|without|excluding|except)\b", re.I)
SECOND_SEEN = 0.3  # and the second must be seen in the unsplit text too: "effusion and edema" is one request


@dataclass(frozen=True)
class Parts:
    """A request taken apart."""

    whole: Scored
    parts: tuple[tuple[Clause, Scored], ...]

    @property
    def clauses(self) -> list[Clause]:
        """Return the parts alone."""
        return [clause for clause, _ in self.parts]


def parts_of(index: ExampleIndex, request: str) -> Parts:
    """Return the parts of a request, each with its scores."""
    found = asking(request)
    found = [part for part in found if not is_form(part.text)] or found
    splits = [(n, pair) for n, part in enumerate(found) for pair in joints(part.text)]
    texts = [request, *(part.text for part in found), *(side for _, pair in splits for side in pair)]
    scored = index.score([written_out(without_courtesy(text)) for text in texts])
    sides = scored[1 + len(found) :]
    best: dict[int, tuple[float, tuple[tuple[Clause, Scored], ...]]] = {}
    for i, (n, pair) in enumerate(splits):
        if _NARROWS.match(pair[1]):
            continue  # "reports with emphysema, no nodules" narrows the first request, it makes no second one
        left, right = sides[2 * i : 2 * i + 2]
        worth = _worth(scored[1 + n], left, right)
        if worth > best.get(n, (0.0, ()))[0]:
            condition = found[n].condition
            best[n] = (worth, ((Clause(pair[0], condition), left), (Clause(pair[1], condition), right)))
    parts: list[tuple[Clause, Scored]] = []
    for n, part in enumerate(found):
        parts += best[n][1] if n in best else [(part, scored[1 + n])]
    return _looked_at_as_a_whole(request, scored[0], parts)


def _worth(whole: Scored, left: Scored, right: Scored) -> float:
    """Return how clearly two sides ask for two things; 0: they do not."""
    (first, clear), (second, also_clear) = left.ranked()[0], right.ranked()[0]
    if first == second or first.startswith("!") or second.startswith("!"):
        return 0.0
    worth = min(clear, also_clear)
    return worth if worth >= SECOND_CLEAR and whole.scores.get(second, 0.0) >= SECOND_SEEN else 0.0


def _looked_at_as_a_whole(request: str, whole: Scored, parts: Sequence[tuple[Clause, Scored]]) -> Parts:
    """Keep the request in one piece when its parts ask for nothing that can be done and the whole does."""
    best = [scored.ranked()[0] for _, scored in parts]
    name, score = whole.ranked()[0]
    weakest = max((s for n, s in best), default=0.0)
    if all(n.startswith("!") for n, _ in best) and not name.startswith("!") and score > weakest:
        return Parts(whole, ((Clause(request), whole),))
    return Parts(whole, tuple(parts))
