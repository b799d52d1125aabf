"""The extension kit: a small installable package with a tool, a model card, example requests and a test."""
