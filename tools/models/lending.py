"""Lends loaded models: where each runs, its weights checked and loaded once, its memory kept within a budget."""

from __future__ import annotations

import hashlib
import logging
import pickle
import threading
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from knowledge.assets import Assets
from tools.audit import AuditLog
from tools.errors import UnavailableError
from tools.models.attempts import MB, Outcome, Place, run_within_memory
from tools.models.card import ModelCard
from tools.models.installed import loader_of
from tools.models.memory import MemoryMeter, computes_in_half, is_out_of_memory
from tools.models.pool import Pool
from tools.models.runtimes.base import Loading
from tools.models.standing import CardStatus, Standing
from tools.models.weights import check_hashes, hashes_of, weight_paths
from tools.results import ModelUse

logger = logging.getLogger(f"readingroom.{__name__}")

_BAD_WEIGHTS = (RuntimeError, ValueError, KeyError, OSError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile)
"""What torch, ONNX Runtime, safetensors and transformers raise on files that are not what they should be."""

T = TypeVar("T")


class Lender:
    """Loaded models by device, shared by every reading; for the arguments see `Hub`."""

    def __init__(
        self,
        device: str,
        device_memory_mb: int | None,
        weights_dir: Path | None,
        assets: Assets | None,
        remote_models: tuple[str, ...],
        meter_for: Callable[[str], MemoryMeter],
    ) -> None:
        self.device = device
        self.weights_dir = weights_dir
        self.audit: AuditLog | None = None
        self._device_memory_mb = device_memory_mb
        self._standing = Standing(device, device_memory_mb, weights_dir, assets, remote_models)
        self._assets = assets
        self._remote_models = remote_models
        self._meter_for = meter_for
        self._pools: dict[str, Pool] = {}
        self._brought: dict[str, str] = {}
        self._opening = threading.Lock()

    def status(self, card: ModelCard) -> CardStatus:
        """Say whether a model can run here; looks at files and installed packages, imports nothing heavy."""
        return self._standing.of(card, self._budget_bytes())

    def _budget_bytes(self) -> float | None:
        """What models may take on the device, where that was measured already: asking a GPU takes importing torch."""
        return self._pools[self.device].budget_bytes if self.device in self._pools else None

    def run(self, card: ModelCard, call: Callable[[Any], T]) -> Outcome[T]:
        """Run a call with a model, loaded if need be; see `Hub.use`.

        Raises:
            UnavailableError: weights, a package or memory is missing, or a weight file is not the one expected.
        """
        with self._opening:
            places, notes = self._places(card)
        outcome = run_within_memory(card, places, call)
        return Outcome(outcome.value, outcome.device, (*notes, *outcome.notes))

    def loaded(self) -> dict[str, int]:
        """Return the loaded models with their measured bytes, by "name on device"."""
        return {f"{n} on {device}": size for device, pool in self._pools.items() for n, size in pool.sizes.items()}

    def memory(self) -> tuple[int, int, str]:
        """Return the bytes that models take, the bytes that they may take, and how both were measured."""
        pool = self.pool(self.device)
        return pool.meter.used_bytes(tuple(pool.sizes.values())), pool.budget_bytes, pool.meter.source

    def model_use(self, card: ModelCard, reason: str, device: str) -> ModelUse:
        """Return what a result says about the model that made it."""
        named = list(card.weights.sha256.values()) if card.weights else []
        return ModelUse(
            card=card.name,
            runtime=card.runtime,
            version=card.version,
            weights_sha256=_joined(named) or self._brought.get(card.name, ""),
            device=device,
            precision="half" if _is_half(card, device) else "full",
            licence=card.licence,
            reason=reason,
        )

    def pool(self, device: str) -> Pool:
        """Return the pool of a device's loaded models, opened if need be."""
        if device not in self._pools:
            budget_mb = self._device_memory_mb if device == self.device else None
            budget_bytes = None if budget_mb is None else budget_mb * MB
            self._pools[device] = Pool(self._meter_for(device), budget_bytes)
        return self._pools[device]

    def _places(self, card: ModelCard) -> tuple[list[Place], tuple[str, ...]]:
        """Return where a model may run, best first, and what a reader must know of that."""
        if self.device == "cpu" or card.weights is None:
            return [self._place(card, "cpu")], ()
        too_large = self._standing.too_large(card, self._budget_bytes())
        if card.cpu_fallback and too_large:
            return [self._place(card, "cpu")], (f"run on the CPU: {too_large}",)
        devices = (self.device, "cpu") if card.cpu_fallback else (self.device,)
        return [self._place(card, device) for device in devices], ()

    def _place(self, card: ModelCard, device: str) -> Place:
        return Place(device, self.pool(device), lambda: self._load(card, device))

    def _load(self, card: ModelCard, device: str) -> Any:
        status = self.status(card)
        if status.state != "ready":
            raise UnavailableError(f"model {card.name!r} {status.state}: {status.remedy}")
        loading = Loading(
            card, self._checked_weights(card), device, _is_half(card, device), self._remote_models, self.audit
        )
        load = loader_of(card.runtime)
        try:
            runtime = load(loading)
        except _BAD_WEIGHTS as error:
            if not loading.weights or is_out_of_memory(error):
                raise
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise UnavailableError(
                f"the weights of model {card.name!r} could not be loaded ({reason}): they are damaged, or of another "
                f"version than the card's {card.version}; bring them again with 'readingroom models get {card.name}'"
            ) from error
        logger.info("model %s loaded on %s", card.name, device)
        return runtime

    def _checked_weights(self, card: ModelCard) -> dict[str, Path]:
        if card.weights is None:
            return {}
        paths = weight_paths(card.weights, self.weights_dir, self._assets)
        check_hashes(card.name, card.weights, paths)
        if not card.weights.sha256:
            self._brought[card.name] = _joined(hashes_of(paths).values())
        return paths


def _joined(hashes: Iterable[str]) -> str:
    """Return one hash for several, a sole one as it is, and none for none."""
    each = list(hashes)
    return each[0] if len(each) == 1 else hashlib.sha256("".join(each).encode()).hexdigest() if each else ""


def _is_half(card: ModelCard, device: str) -> bool:
    return card.half_precision and computes_in_half(device)
