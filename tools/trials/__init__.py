"""Synthetic readings with known truth: true sentences in many wordings, and corruptions of them.

readings      a reading made from a seed: measurements, masks, scores, reports, a prior
wording       true sentences about it, in the words that people and language models use
corruptions   one thing made false, of many kinds
score         how many corruptions are caught, how many true sentences are held back
"""
