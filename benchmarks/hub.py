"""What the hub adds to a warm call, and whether loading, evicting and loading again leaks.

    python benchmarks/hub.py

The peer is the same runtime called directly, in the same run. Limits: 5 ms a warm call (choice included), and after
100 loads of models that together, or each alone, are larger than the budget, less growth than one model. On a machine
with a CUDA device the loads are repeated there, measured by torch's own statistics.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import torch

from tools.facts import AttachmentFacts
from tools.models.card import ModelCard, Weights
from tools.models.hub import Choice, Hub
from tools.models.runtimes.base import Loading

CALLS = 300
CYCLES = 100
MODEL_MB = 64
BUDGETS_MB = (150, 40)  # room for two of three models; room for none
LIMIT_MS = 5.0
MB = 1_000_000
CHEST = AttachmentFacts(id="img1", modality="CT", body_part="CHEST", dims=3)


class Layer:
    """A runtime of known size around one torch module."""

    def __init__(self, loading: Loading) -> None:
        weight = torch.ones(MODEL_MB * 250, 1000, device=loading.device)  # zeros would take no memory
        self.module = torch.nn.Linear(1000, 1, bias=False, device="meta")
        self.module.weight = torch.nn.Parameter(weight, requires_grad=False)
        self.loading = loading

    def total(self) -> float:
        """Compute a little with every weight."""
        with self.loading.inference():
            return float(self.module(torch.ones(1, 1000, device=self.loading.device)).sum())


def card(name: str) -> ModelCard:
    return ModelCard(
        name=name,
        title=name,
        verb="segment",
        runtime="bench",
        version="1",
        seconds=1,
        licence="none",
        source="made here",
        weights=Weights(file="net.pt"),
    )


def milliseconds(call: Callable[[], object]) -> float:
    """Return the median time of a call."""
    times = []
    for _ in range(CALLS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return 1000 * sorted(times)[CALLS // 2]


def warm_call() -> bool:
    """Compare a warm call through the hub with the same call of the runtime."""
    hub = Hub.installed()
    choice = hub.choose("segment", CHEST, ("lungs",))
    runtime = hub.runtime(choice.card)

    def work(model: Any) -> int:
        return sum(range(1000)) if model is runtime else -1

    direct = milliseconds(lambda: work(runtime))
    used = milliseconds(lambda: hub.use(choice, work))
    chosen = milliseconds(lambda: hub.use(hub.choose("segment", CHEST, ("lungs",)), work))
    added = chosen - direct
    print(f"direct call                      {direct:8.3f} ms")
    print(f"through the hub, warm            {used:8.3f} ms")
    print(f"through the hub, choice included {chosen:8.3f} ms ({len(hub.cards)} cards)")
    print(f"added {added:.3f} ms, ratio to the limit of {LIMIT_MS:g} ms: {added / LIMIT_MS:.3f}")
    return added <= LIMIT_MS


def in_use_bytes(device: str) -> int:
    return torch.cuda.memory_allocated() if device == "cuda" else int(psutil.Process().memory_info().rss)


def reloads(device: str, budget_mb: int, folder: Path) -> bool:
    """Use three models in turn and compare the memory after the first rounds with that after the last."""
    with (
        patch("tools.models.lending.loader_of", lambda name: Layer),
        patch("tools.models.standing.knows_runtime", bool),
    ):
        hub = Hub([card(name) for name in "abc"], device=device, device_memory_mb=budget_mb, weights_dir=folder)
        choices = [Choice(hub.get(name), "benchmark") for name in "abc"]
        seen, began = [], time.perf_counter()
        for cycle in range(CYCLES):
            hub.use(choices[cycle % 3], Layer.total)
            seen.append(in_use_bytes(device))
        seconds = time.perf_counter() - began
    growth_mb = (max(seen[-6:]) - max(seen[4:10])) / MB
    print(
        f"{CYCLES} uses of three models of {MODEL_MB} MB in {budget_mb} MB on {device}: "
        f"{1000 * seconds / CYCLES:.0f} ms each, growth {growth_mb:+.1f} MB, "
        f"ratio to one model {growth_mb / MODEL_MB:+.3f}"
    )
    return growth_mb < MODEL_MB


def main() -> None:
    kept = warm_call()
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "net.pt").write_bytes(b"stands for weights")
        for device in devices:
            if device == "cuda":
                print(f"device: {torch.cuda.get_device_name()}")
            for budget_mb in BUDGETS_MB:
                kept &= reloads(device, budget_mb, Path(folder))
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
