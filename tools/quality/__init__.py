"""Quality: how an image is technically, and how a model's result holds when the image gets worse."""
