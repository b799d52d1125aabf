"""Decides between the plan composed from examples and the one that the embedded model wrote.

Measured on 149 requests of tests/evals (docs/planning.md): where every part of a request scores CLEAR_SCORE the
examples were right in 95 of 96 and the model in 85, so it is not asked there. Of the others it was right in 36 of 53
and the examples in 30. In the form that ships, on 204 requests after the examples had been mended, a limit of -0.15 let
nine of its plans through: seven as right as the examples, and two wrong (-0.089, -0.097); hence the limit below.
"""

from __future__ import annotations

from agent.plan import Decline, Plan
from agent.planner.draft import Draft
from agent.planner.understand import Understanding

CLEAR_SCORE = 0.5  # parts that score this much were understood: a question or refusal is about what is attached
WEAK_SCORE = 0.35  # a plan with a part that scores less than this rests on examples that are not near
LIKELY = -0.08  # mean log-probability from which on every plan of the model was right


def is_in_doubt(understood: Understanding) -> bool:
    """Return whether the examples leave so much doubt that the model is asked for a plan too.

    What asks for nothing that any tool does, or was refused by a check, is never put to it: it would make a plan of
    that as well.
    """
    best = [found[0].score for _, found in understood.options if found]
    if not best or isinstance(understood.outcome, Decline):
        return False
    return min(best) < (WEAK_SCORE if isinstance(understood.outcome, Plan) else CLEAR_SCORE)


def takes_draft(understood: Understanding, draft: Draft) -> bool:
    """Return whether the model's plan goes before what was composed from examples."""
    is_likely = draft.mean_logprob is not None and draft.mean_logprob >= LIKELY
    return is_likely and isinstance(draft.outcome, Plan) and is_in_doubt(understood)
