"""The hub: chooses the model behind a verb, says why, and lends it, loaded once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from knowledge.assets import Assets
from tools.audit import AuditLog
from tools.errors import NotFoundError, UnsupportedError
from tools.facts import AttachmentFacts
from tools.models.card import ModelCard, PromptKind, Trust
from tools.models.choosing import require_served, require_shown, resolved, why_none
from tools.models.installed import BrokenCard, installed_cards
from tools.models.lending import Lender
from tools.models.memory import MemoryMeter, meter_for
from tools.models.standing import STATES, CardStatus
from tools.results import ModelUse

_TRUST: tuple[Trust, ...] = ("tested", "untested", "experimental")


@dataclass(frozen=True)
class Choice:
    """The card chosen for a verb, and why."""

    card: ModelCard
    reason: str


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
        remote_models: addresses of other machines that pixels may be sent to.
        meter_for: makes the meter of a device's memory.
    """

    def __init__(  # noqa: PLR0913  collaborators, all but the cards optional
        self,
        cards: Iterable[ModelCard],
        broken: Iterable[BrokenCard] = (),
        *,
        device: str = "cpu",
        device_memory_mb: int | None = None,
        weights_dir: Path | None = None,
        assets: Assets | None = None,
        remote_models: Sequence[str] = (),
        meter_for: Callable[[str], MemoryMeter] = meter_for,
    ) -> None:
        by_name: dict[str, ModelCard] = {}
        for card in cards:
            if card.name in by_name:
                raise ValueError(f"two model cards are named {card.name!r}; rename one")
            by_name[card.name] = card
        self._cards = by_name
        self.broken = tuple(broken)
        self.device = device
        self._asked_for = ""
        self._lender = Lender(device, device_memory_mb, weights_dir, assets, tuple(remote_models), meter_for)

    @property
    def audit(self) -> AuditLog | None:
        """Where calls of remote models are written down; None: nowhere."""
        return self._lender.audit

    @audit.setter
    def audit(self, log: AuditLog | None) -> None:
        self._lender.audit = log

    @classmethod
    def installed(
        cls,
        *,
        device: str = "cpu",
        device_memory_mb: int | None = None,
        weights_dir: Path | None = None,
        assets: Assets | None = None,
        remote_models: Sequence[str] = (),
    ) -> Hub:
        """Read every card of the entry-point group, ours first; for the arguments see the class."""
        cards, broken = installed_cards(weights_dir)
        return cls(
            cards,
            broken,
            device=device,
            device_memory_mb=device_memory_mb,
            weights_dir=weights_dir,
            assets=assets,
            remote_models=remote_models,
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

    @property
    def weights_dir(self) -> Path | None:
        """The folder of the weights that a person brought or trained."""
        return self._lender.weights_dir

    def adopt(self, card: ModelCard) -> None:
        """Take up a card that was made while this process runs, as `train` does.

        Raises:
            ValueError: another card of that name is there already.
        """
        if self._cards.get(card.name, card) != card:
            raise ValueError(f"two model cards are named {card.name!r}; rename one")
        self._cards = {**self._cards, card.name: card}
        self.__dict__.pop("cards", None)  # cached of the cards before

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

    def choose(
        self,
        verb: str,
        facts: AttachmentFacts,
        targets: Sequence[str] = (),
        *,
        prompts: Sequence[PromptKind] = (),
        images: int = 1,
    ) -> Choice:
        """Choose the model for a verb on facts alone: no pixels, and the weights need not be here.

        One model must serve all targets, which may be everyday words, and take all kinds of prompt. Ready comes before
        missing weights, tested before untested, quick before slow.

        Args:
            verb: the tool.
            facts: of the image, the first one where several are one input.
            targets: what is to be found.
            prompts: the kinds of prompt that there are.
            images: how many aligned images are one input.

        Raises:
            UnsupportedError: no card fits; says which would serve the target and what stands against it.
        """
        cards = [card for card in self.cards if card.verb == verb]
        if not cards:
            raise UnsupportedError(f"no model card serves {verb!r} in this installation")
        cards = [card for card in cards if set(prompts) <= set(card.prompts)]
        if not cards:
            raise UnsupportedError(f"no model of this installation can {verb} by {' and '.join(prompts)} together")
        targets = resolved(targets, cards)
        require_served(verb, cards, targets, next((c.name for c in cards if c.name == self._asked_for), ""))
        require_shown(facts, targets)
        refusals = {card.name: card.refusal(facts, images) for card in cards}
        fitting = [card for card in cards if refusals[card.name] is None]
        serving = [card for card in fitting if all(map(card.serves, targets))]
        if serving:
            ranked = sorted(serving, key=self._rank)
            return Choice(ranked[0], self._reason(ranked, facts, targets))
        raise UnsupportedError(why_none(facts, targets, sorted(cards, key=self._rank), refusals))

    def _rank(self, card: ModelCard) -> tuple[int, int, int, float, str]:
        state = STATES.index(self.status(card).state)
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
        return self._lender.status(card)

    def use(self, choice: Choice, call: Callable[[Any], T]) -> Used[T]:
        """Run a call with the chosen model, loaded if need be. The one way in which tools use models.

        The model stays loaded while the call runs. When memory runs out, other models are unloaded, then the runtime's
        smaller forms are tried, then the CPU where the card allows it; the notes say so.

        Args:
            choice: the card, as `choose` gave it.
            call: gets the runtime and returns what the tool needs; it may be called again after memory ran out.

        Raises:
            UnavailableError: weights, a package or memory is missing, or a weight file is not the one expected.
        """
        outcome = self._lender.run(choice.card, call)
        use = self.model_use(choice.card, choice.reason, outcome.device)
        return Used(outcome.value, use, outcome.notes)

    def runtime(self, card: ModelCard) -> Any:
        """Return a card's runtime, loaded if need be, for a look at it: it may be unloaded at any time.

        Raises:
            UnavailableError: weights, a package or memory is missing, or a weight file is not the one expected.
        """
        return self.use(Choice(card, "asked for by name"), lambda runtime: runtime).value

    def loaded(self) -> dict[str, int]:
        """Return the loaded models with their measured bytes, by "name on device"."""
        return self._lender.loaded()

    def memory(self) -> tuple[int, int, str]:
        """Return the bytes that models take, the bytes that they may take, and how both were measured."""
        return self._lender.memory()

    def model_use(self, card: ModelCard, reason: str, device: str) -> ModelUse:
        """Return what a result says about the model that made it."""
        return self._lender.model_use(card, reason, device)
