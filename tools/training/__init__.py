"""Training: a person's own labels become a model card."""
