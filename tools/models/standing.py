"""Whether a model can run on this machine, and the command or path that mends it; loads nothing."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from knowledge.assets import Assets
from tools.errors import UnavailableError
from tools.models.attempts import MB
from tools.models.card import ModelCard
from tools.models.installed import knows_runtime
from tools.models.memory import machine_memory_bytes
from tools.models.remote.address import address_refusal, silence
from tools.models.runtimes import RUNTIMES
from tools.models.weights import weight_paths

State = Literal["ready", "needs weights", "needs extra", "too large"]
STATES: tuple[State, ...] = ("ready", "needs weights", "needs extra", "too large")

CHECKS: Mapping[str, str] = MappingProxyType({"nnunet": "tools.models.runtimes.nnunet_folders:refusal"})
"""By runtime: a function (card, path) that says why the weights that lie there cannot be run, without loading them."""


@dataclass(frozen=True)
class CardStatus:
    """Whether a model can run here, and the command or path that mends it."""

    state: State
    remedy: str = ""


@dataclass(frozen=True)
class Standing:
    """What this machine has."""

    device: str
    device_memory_mb: int | None
    weights_dir: Path | None
    assets: Assets | None
    remote_models: tuple[str, ...]

    def of(self, card: ModelCard, budget_bytes: float | None) -> CardStatus:
        """Say whether a model can run here.

        Args:
            card: the model's.
            budget_bytes: what models may take on the device, where it was measured.
        """
        if extra := self._missing_extra(card):
            return CardStatus("needs extra", extra)
        if missing := self._missing_weights(card):
            return CardStatus("needs weights", missing)
        if too_large := self.too_large(card, budget_bytes):
            if self.device == "cpu" or not card.cpu_fallback:
                return CardStatus("too large", too_large)
            return CardStatus("ready", f"on the CPU: {too_large}")
        return CardStatus("ready")

    def too_large(self, card: ModelCard, budget_bytes: float | None) -> str:
        """Say by how much a model is too large for the device; empty: it is not, or nobody has asked the GPU yet."""
        has_bytes = self._memory_bytes(budget_bytes)
        if card.device_memory_mb * MB <= has_bytes:
            return ""
        budget = " (READINGROOM_DEVICE_MEMORY_MB)" if self.device_memory_mb is not None else ""
        where = "this machine" if self.device == "cpu" else self.device
        return f"needs {card.device_memory_mb} MB, {where} has {has_bytes // MB:.0f} MB{budget}"

    def _memory_bytes(self, budget_bytes: float | None) -> float:
        if self.device_memory_mb is not None:
            return self.device_memory_mb * MB
        if self.device == "cpu":
            return machine_memory_bytes()
        return math.inf if budget_bytes is None else budget_bytes

    def _missing_extra(self, card: ModelCard) -> str:
        if not knows_runtime(card.runtime):
            near = difflib.get_close_matches(card.runtime, RUNTIMES, n=1)
            meant = f"; did its card mean {near[0]!r}?" if near else ""
            return f"the runtime {card.runtime!r} is not part of this installation{meant}"
        if card.extra and importlib.util.find_spec(card.extra) is None:
            return f"install it: {card.extra_install or card.extra}"
        return address_refusal(card, self.remote_models) or silence(card)

    def _missing_weights(self, card: ModelCard) -> str:
        if card.weights is None:
            return ""
        command = f"readingroom models get {card.name}" + (" --from PLACE" if card.weights.file else "")
        bring = f"; run '{command}'" if not card.weights.distribution else ""
        if card.weights.hub:
            bring += ", or without --from where the Hugging Face hub can be reached"
        how = f"{bring}; {card.weights.get}" if card.weights.get else bring
        try:
            paths = weight_paths(card.weights, self.weights_dir, self.assets)
        except UnavailableError as error:
            return f"{error}{how}"
        absent = [str(path) for path in paths.values() if not path.exists()]
        if absent:
            return f"missing: {', '.join(absent)}{how}"
        return _unusable(card, next(iter(paths.values())))


def _unusable(card: ModelCard, path: Path) -> str:
    if card.runtime not in CHECKS:
        return ""
    module_name, _, function = CHECKS[card.runtime].partition(":")
    check: Callable[[ModelCard, Path], str] = getattr(importlib.import_module(module_name), function)
    return check(card, path)
