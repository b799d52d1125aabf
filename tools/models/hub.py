"""The hub: chooses the model behind a verb, says why, and lends it, loaded once."""

from __future__ import annotations

import copy
import hashlib
import importlib
import importlib.util
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from knowledge.assets import Assets
from tools.errors import BadInputError, NotFoundError, UnavailableError, UnsupportedError
from tools.facts import AttachmentFacts
from tools.imaging.anatomy import may_show, resolve
from tools.models.card import ModelCard, Trust
from tools.models.installed import BrokenCard, installed_cards
from tools.models.runtimes import RUNTIMES
from tools.models.runtimes.base import Loading
from tools.models.weights import check_hashes, weight_paths
from tools.results import ModelUse

logger = logging.getLogger(f"readingroom.{__name__}")

State = Literal["ready", "needs weights", "needs extra", "too large"]
_STATES: tuple[State, ...] = ("ready", "needs weights", "needs extra", "too large")
_TRUST: tuple[Trust, ...] = ("tested", "untested", "experimental")


@dataclass(frozen=True)
class Choice:
    """The card chosen for a verb, and why."""

    card: ModelCard
    reason: str


@dataclass(frozen=True)
class CardStatus:
    """Whether a model can run here, and the command or path that mends it."""

    state: State
    remedy: str = ""


T = TypeVar("T")


@dataclass(frozen=True)
class Used(Generic[T]):
    """What a call of a model gave, and what a result says about it."""

    value: T
    model: ModelUse
    notes: tuple[str, ...] = ()
    """What a reader must know: the card's limits are not among them."""


class Hub:
    """Cards by name. A card that is broken is reported and never takes the rest down.

    Args:
        cards: every card of this installation.
        broken: what could not be read.
        device: "cpu" or a torch device such as "cuda".
        device_memory_mb: memory of that device; None: unlimited or unknown.
        weights_dir: folder of the weights that a person brought; None: there is none.
        assets: the cache of fetched assets, for cards whose weights are one.
    """

    def __init__(
        self,
        cards: Iterable[ModelCard],
        broken: Iterable[BrokenCard] = (),
        *,
        device: str = "cpu",
        device_memory_mb: int | None = None,
        weights_dir: Path | None = None,
        assets: Assets | None = None,
    ) -> None:
        by_name: dict[str, ModelCard] = {}
        for card in cards:
            if card.name in by_name:
                raise ValueError(f"two model cards are named {card.name!r}; rename one")
            by_name[card.name] = card
        self._cards = by_name
        self.broken = tuple(broken)
        self.device = device
        self._device_memory_mb = device_memory_mb
        self._weights_dir = weights_dir
        self._assets = assets
        self._asked_for = ""
        self._loaded: dict[str, Any] = {}
        self._locks: dict[str, threading.Lock] = {name: threading.Lock() for name in by_name}

    @classmethod
    def installed(
        cls,
        *,
        device: str = "cpu",
        device_memory_mb: int | None = None,
        weights_dir: Path | None = None,
        assets: Assets | None = None,
    ) -> Hub:
        """Read every card of the entry-point group, ours first; for the arguments see the class."""
        cards, broken = installed_cards()
        return cls(
            cards,
            broken,
            device=device,
            device_memory_mb=device_memory_mb,
            weights_dir=weights_dir,
            assets=assets,
        )

    @cached_property
    def cards(self) -> tuple[ModelCard, ...]:
        """Every card, in the order of the names."""
        return tuple(self._cards[name] for name in sorted(self._cards))

    def get(self, name: str) -> ModelCard:
        """Return a card.

        Raises:
            NotFoundError: no such card; says which there are.
        """
        if name not in self._cards:
            raise NotFoundError(f"no model named {name!r}; there are: {', '.join(sorted(self._cards)) or 'none'}")
        return self._cards[name]

    def targets(self, verb: str) -> tuple[str, ...]:
        """Return every target that some card of a verb names, sorted."""
        return tuple(sorted({target for card in self.cards if card.verb == verb for target in card.targets}))

    def narrowed(self, verb: str, model: str | None) -> Hub:
        """Return this hub with one model for a verb, the one that a plan's step names; loaded models are shared.

        Whatever asks the narrowed hub for that verb gets that model or the reason why it does not fit: a tool need not
        know of it. Other verbs' models stay.

        Raises:
            NotFoundError: no such card; names the verb's.
            UnsupportedError: the card serves another verb.
        """
        if model is None:
            return self
        of_verb = [card.name for card in self.cards if card.verb == verb]
        if model not in self._cards:
            raise NotFoundError(f"no model named {model!r}; for {verb} there are: {', '.join(of_verb) or 'none'}")
        if model not in of_verb:
            raise UnsupportedError(
                f"model {model!r} serves {self._cards[model].verb}, not {verb}; for {verb} there are: "
                f"{', '.join(of_verb) or 'none'}"
            )
        narrow = copy.copy(self)
        narrow.__dict__.pop("cards", None)  # cached of the whole hub
        kept = {name: card for name, card in self._cards.items() if card.verb != verb or name == model}
        vars(narrow).update(_cards=kept, _asked_for=model)
        return narrow

    def choose(self, verb: str, facts: AttachmentFacts, targets: Sequence[str] = ()) -> Choice:
        """Choose the model for a verb on facts alone: no pixels, and the weights need not be here.

        One model must serve all targets, which may be everyday words. Ready comes before missing weights, tested before
        untested, quick before slow.

        Raises:
            UnsupportedError: no card fits; says which would serve the target and what stands against it.
        """
        cards = [card for card in self.cards if card.verb == verb]
        if not cards:
            raise UnsupportedError(f"no model card serves {verb!r} in this installation")
        targets = _resolved(targets, cards)
        _require_served(verb, cards, targets)
        _require_shown(facts, targets)
        refusals = {card.name: card.refusal(facts) for card in cards}
        fitting = [card for card in cards if refusals[card.name] is None]
        serving = [card for card in fitting if all(map(card.serves, targets))]
        if serving:
            ranked = sorted(serving, key=self._rank)
            return Choice(ranked[0], self._reason(ranked, facts, targets))
        raise UnsupportedError(_why_none(facts, targets, sorted(cards, key=self._rank), refusals))

    def _rank(self, card: ModelCard) -> tuple[int, int, int, float, str]:
        state = _STATES.index(self.status(card).state)
        return state, _TRUST.index(card.trust), len(card.body_part) == 0, card.seconds, card.name

    def _reason(self, ranked: list[ModelCard], facts: AttachmentFacts, targets: Sequence[str]) -> str:
        what = f" for {', '.join(targets)}" if targets else ""
        if ranked[0].name == self._asked_for:
            return "the model that was asked for"
        seen = " ".join(part for part in (facts.modality, facts.body_part) if part) or "this image"
        if len(ranked) == 1:
            return f"the only model{what} on {seen}"
        others = ", ".join(card.name for card in ranked[1:])
        return f"{self.status(ranked[0]).state}, {ranked[0].trust}; preferred{what} on {seen} to {others}"

    def status(self, card: ModelCard) -> CardStatus:
        """Say whether a model can run here; looks at files and installed packages, imports nothing heavy."""
        if card.runtime not in RUNTIMES:
            return CardStatus("needs extra", f"the runtime {card.runtime!r} is not part of this installation")
        if card.extra and importlib.util.find_spec(card.extra) is None:
            return CardStatus("needs extra", f"install it: {card.extra_install or card.extra}")
        missing = self._missing_weights(card)
        if missing:
            return CardStatus("needs weights", missing)
        limit = self._device_memory_mb
        if limit is not None and self.device != "cpu" and card.device_memory_mb > limit:
            return CardStatus("too large", f"needs {card.device_memory_mb} MB on {self.device}, which has {limit} MB")
        return CardStatus("ready")

    def _missing_weights(self, card: ModelCard) -> str:
        if card.weights is None:
            return ""
        how = f"; {card.weights.get}" if card.weights.get else ""
        try:
            paths = weight_paths(card.weights, self._weights_dir, self._assets)
        except UnavailableError as error:
            return f"{error}{how}"
        absent = [str(path) for path in paths.values() if not path.exists()]
        return f"missing: {', '.join(absent)}{how}" if absent else ""

    def runtime(self, card: ModelCard) -> Any:
        """Return the runtime of a card, loaded at first use and shared between threads.

        Raises:
            UnavailableError: weights, a package or memory is missing, or a weight file is not the one expected.
        """
        with self._locks.setdefault(card.name, threading.Lock()):
            if card.name not in self._loaded:
                status = self.status(card)
                if status.state != "ready":
                    raise UnavailableError(f"model {card.name!r} {status.state}: {status.remedy}")
                paths = self._checked_weights(card)
                module_name, _, attribute = RUNTIMES[card.runtime].partition(":")
                load = getattr(importlib.import_module(module_name), attribute)
                self._loaded[card.name] = load(Loading(card, paths, self.device))
                logger.info("model %s loaded on %s", card.name, self.device)
            return self._loaded[card.name]

    def use(self, choice: Choice, call: Callable[[Any], T]) -> Used[T]:
        """Run a call with the chosen model, loaded if need be. The one way in which tools use models.

        Args:
            choice: the card, as `choose` gave it.
            call: gets the runtime and returns what the tool needs; it may be called again after memory ran out.

        Raises:
            UnavailableError: weights, a package or memory is missing, or a weight file is not the one expected.
        """
        value = call(self.runtime(choice.card))
        return Used(value, self.model_use(choice.card, choice.reason))

    def _checked_weights(self, card: ModelCard) -> dict[str, Path]:
        if card.weights is None:
            return {}
        paths = weight_paths(card.weights, self._weights_dir, self._assets)
        check_hashes(card.name, card.weights, paths)
        return paths

    def model_use(self, card: ModelCard, reason: str) -> ModelUse:
        """Return what a result says about the model that made it."""
        hashes = list(card.weights.sha256.values()) if card.weights else []
        joined = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
        return ModelUse(
            card=card.name,
            runtime=card.runtime,
            version=card.version,
            weights_sha256=joined if hashes else "",
            device=self.device if card.weights else "cpu",
            licence=card.licence,
            reason=reason,
        )


def _resolved(targets: Sequence[str], cards: list[ModelCard]) -> tuple[str, ...]:
    """Turn words into targets, where they are not the cards' own; a word that anatomy does not know stays."""
    names: dict[str, None] = {}
    for word in targets:
        if any(card.serves(word) for card in cards):
            names[word] = None
            continue
        try:
            names |= dict.fromkeys(resolve(word))
        except BadInputError:
            names[word] = None
    return tuple(names)


def _require_served(verb: str, cards: list[ModelCard], targets: Sequence[str]) -> None:
    import difflib

    for target in targets:
        if any(card.serves(target) for card in cards):
            continue
        known = sorted({t for card in cards for t in card.targets})
        near = difflib.get_close_matches(target, known, n=3, cutoff=0.5)
        hint = f"nearest: {', '.join(near)}" if near else f"there are: {', '.join(known[:12])}"
        raise UnsupportedError(f"no model of this installation can {verb} {target!r}; {hint}")


def _require_shown(facts: AttachmentFacts, targets: Sequence[str]) -> None:
    absent = [target for target in targets if not may_show(facts.body_part, target)]
    if absent:
        missing = ", no ".join(absent[:3]).replace("_", " ")
        raise UnsupportedError(
            f"{facts.id} shows {facts.body_part}, which holds no {missing}: attach an image of the right region, or "
            "correct the body part"
        )


def _why_none(
    facts: AttachmentFacts, targets: Sequence[str], cards: list[ModelCard], refusals: dict[str, str | None]
) -> str:
    """Say why no single card serves all targets on this image."""
    serving = [card for card in cards if all(map(card.serves, targets))]
    if serving:
        by_need = {str(refusals[card.name]).partition(":")[0]: card for card in reversed(serving)}
        said = [f"{refusals[card.name]} (model {card.name})" for card in serving if card in by_need.values()]
        return "; ".join(said[:2])
    parts = []
    for target in targets:
        able = [card for card in cards if card.serves(target)]
        fitting = [card.name for card in able if refusals[card.name] is None]
        parts.append(f"{target}: {fitting[0] if fitting else refusals[able[0].name]}")
    return (
        f"no single model finds all of {', '.join(targets)} on {facts.id}; ask for them one by one ({'; '.join(parts)})"
    )
