"""A training run as it lies on disk after each epoch, so that a stopped run goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.workspace import writing

if TYPE_CHECKING:
    from torch import Generator
    from torch.nn import Module
    from torch.optim import Optimizer


def fingerprint(settings: Mapping[str, Any], arrays: list[Any]) -> str:
    """Return a hash of what a run learns from and how; another run's state is never taken over."""
    digest = hashlib.sha256(json.dumps(dict(settings), sort_keys=True).encode())
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()


def save(
    path: Path, run: str, history: list[float], network: Module, optimiser: Optimizer, generator: Generator
) -> None:
    """Write the state after an epoch; a killed process leaves the old state or the new one."""
    import torch

    temporary = path.with_suffix(".tmp")
    with writing(path):
        torch.save(
            {
                "run": run,
                "history": history,
                "network": network.state_dict(),
                "optimiser": optimiser.state_dict(),
                "generator": generator.get_state(),
            },
            temporary,
        )
        temporary.replace(path)


def restore(path: Path, run: str, network: Module, optimiser: Optimizer, generator: Generator) -> list[float]:
    """Load the state of the same run into its parts and return its history; empty where there is none."""
    import torch

    if not path.is_file():
        return []
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["run"] != run:
        return []
    network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    generator.set_state(state["generator"])
    return list(state["history"])
