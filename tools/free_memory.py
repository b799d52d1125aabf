"""Main memory: what is free, asked before work begins that may need more."""

from __future__ import annotations

from tools.errors import UnavailableError

MEMORY_SHARE = 0.9  # of what is free now: the rest belongs to whoever works beside us


def require_memory(needed_bytes: float, what: str) -> None:
    """Refuse work that main memory cannot hold, before it begins.

    Args:
        needed_bytes: an estimate.
        what: the work, as a person would read it.

    Raises:
        UnavailableError: less is free; says both numbers.
    """
    import psutil

    free = float(psutil.virtual_memory().available)
    if needed_bytes > MEMORY_SHARE * free:
        raise UnavailableError(
            f"{what} needs about {needed_bytes / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free: crop the image "
            "to the region in question, or use a machine with more memory"
        )
