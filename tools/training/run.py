"""What every training has in common: how long, from which seed, where its state lies, and how it begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.models.runtimes.base import Progress
from tools.training import state

if TYPE_CHECKING:
    from torch import Generator
    from torch.nn import Module
    from torch.optim import Optimizer


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How to train."""

    epochs: int
    batch: int
    learning_rate: float
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True)
class Watch:
    """Who is told how far a run is, and where its state is kept between epochs."""

    progress: Progress
    state_file: Path


@dataclass(frozen=True)
class Begun:
    """A run at the epoch where it stands: the first, or where it was stopped."""

    network: Module
    optimiser: Optimizer
    generator: Generator
    history: list[float]
    name: str
    state_file: Path

    def keep(self) -> None:
        """Write the state after an epoch."""
        state.save(self.state_file, self.name, self.history, self.network, self.optimiser, self.generator)


def begin(
    make: Callable[[], Module], settings: RunSettings, watch: Watch, told: Mapping[str, Any], arrays: list[Any]
) -> Begun:
    """Make network, optimiser and generator, or take them up where the same run was stopped.

    Args:
        make: the untrained network.
        settings: how to train.
        watch: where the state lies.
        told: whatever else makes it the same run.
        arrays: what is learned from.
    """
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        network = make().to(settings.device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate)
    generator = torch.Generator().manual_seed(settings.seed)
    name = state.fingerprint(told, arrays)
    history = state.restore(watch.state_file, name, network, optimiser, generator)
    return Begun(network, optimiser, generator, history, name, watch.state_file)
