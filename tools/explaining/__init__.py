"""Explaining: which part of an image a model's score rests on, and whether the explanation can be believed."""
