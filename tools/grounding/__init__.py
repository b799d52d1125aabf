"""Does a sentence follow from its evidence?

numbers     numbers and units as people write them
statement   one sentence, taken apart; `structures` what it names, `lexicon` the words that it is read by
evidence    what an id holds; `declared` has what each kind of result declares, in one place
agree       one number against one value; `figures` all numbers of a sentence
judge       supported, contradicted or not covered, and why
"""

from tools.grounding.evidence import Assertion, Declared, Evidence, LookUp, Quantity, declares
from tools.grounding.judge import Judgement, judge, problem_with
from tools.grounding.lookup import evidence_in, quantities_in
from tools.grounding.numbers import numbers_in

__all__ = [
    "Assertion", "Declared", "Evidence", "Judgement", "LookUp", "Quantity", "declares", "evidence_in", "judge",
    "numbers_in", "problem_with", "quantities_in",
]  # fmt: skip
