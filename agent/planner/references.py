"""Which image, mask, report or result an argument means."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.plan import Step
from agent.planner.situation import NeedsAnswerError, PriorResult, Situation
from agent.planner.slots import modality_in
from tools.facts import AttachmentFacts
from tools.number_words import ORDINALS
from tools.registry import Registry

_PLACES = {word: place for place, word in enumerate(ORDINALS, 1)} | {"other": 2}
_NOUN = r"(?:image|img|scan|study|series|volume|film|picture|exam|examination|x-?ray|radiograph|ct|mri?|one)"
_NUMBERED = re.compile(
    rf"\b{_NOUN}\s*#?\s*(\d+)\b|\b(first|second|third|fourth)\s+(?:\w+\s+)?{_NOUN}?\b|@?\b(img\d+)\b", re.I
)
_PRIOR = re.compile(
    r"\b(?:prior|previous|earlier|old|older|last|baseline|before)\s+(?:\w+\s+)?(?:image|scan|study|film|exam\w*|ct|mri?|x-?ray|one)\b"
    r"|\bin the (?:prior|previous|baseline)\b|\bfor the (?:prior|previous|baseline)\b",
    re.I,
)
_ONTO = re.compile(r"\b(?:on ?to|to|with|into|against|in|over|on|match\w*|fits?|like)\b", re.I)
_STAYS = re.compile(
    r"\b(?:as|is|being) (?:the )?(?:reference|fixed|target|template|base)\b|\b(?:stays|fixed|unchanged)\b", re.I
)
_WRITTEN = re.compile(r"\breports?\b", re.I)
_LOOK_FOR_IT = re.compile(
    r"\b(?:earlier|previous|past|other|old) (?:readings?|cases?)\b|\bon this (?:machine|computer)\b"
    r"|\b(?:find|look for|look up|search for|locate|dig out)\b.{0,30}\b(?:priors?|previous|earlier|old)\b",
    re.I,
)
_RESULT = re.compile(r"@?\b(s\d+)\b")

# How a person calls a kind of attachment or result when asked for it.
_CALLED = {"image": "image", "mask": "mask or segmentation", "report": "report"}


class References:
    """Resolves references of one plan.

    Args:
        situation: attachments and earlier results.
        registry: the tools, for the kinds of what they make.
        steps: the steps of the plan so far; later ones are seen as they come.
    """

    def __init__(self, situation: Situation, registry: Registry, steps: list[Step]) -> None:
        self._situation = situation
        self._registry = registry
        self._steps = steps

    def image(self, text: str, fitting: Sequence[str] | None = None) -> str:
        """Return the image that a text means.

        Args:
            text: the part of the request.
            fitting: the images that the tool could work on; they decide between several.

        Raises:
            NeedsAnswerError: none is attached, or several could be meant.
        """
        images = self._images()
        named = self._named(text)
        if named:
            return named[0]
        if _PRIOR.search(text) and (priors := [f for f in images if f.prior]):
            return priors[0].id
        if made := [s.id for s in self._steps if self._kind(s) == "image"]:
            return made[-1]
        current = [f for f in images if not f.prior] or images
        if len(current) > 1 and (modality := modality_in(text)):
            current = [f for f in current if f.modality == modality] or current
        if len(current) > 1 and fitting is not None:
            current = [f for f in current if f.id in fitting] or current
        if len(current) > 1:
            listed = "; ".join(_described(f) for f in current)
            raise NeedsAnswerError(f"Several images are attached: which one is meant? {listed}")
        if current:
            return current[0].id
        if earlier := [r.id for r in self._situation.results if r.kind == "image"]:
            return earlier[-1]
        raise NeedsAnswerError("No image is attached. Attach the study that is meant and ask again.")

    def pair(self, text: str) -> tuple[str, str]:
        """Return (the image that stays, the one that is moved onto it)."""
        images = self._two("Two images are needed to align them")
        named = self._named(text)
        if len(named) >= 2:
            first, second = named[:2]
            begins = _NUMBERED.search(text)
            stays_second = begins is None or _ONTO.search(text, begins.end()) is not None
            return (second, first) if stays_second else (first, second)
        current = [f.id for f in images if not f.prior]
        prior = [f.id for f in images if f.prior]
        if len(current) == 1 and prior:
            return current[0], prior[-1]
        if len(named) == 1 and len(images) == 2 and _STAYS.search(text):
            return named[0], next(f.id for f in images if f.id != named[0])
        if len(named) == 1 and len(images) == 2:
            return next(f.id for f in images if f.id != named[0]), named[0]
        if len(images) == 2:
            return images[0].id, images[1].id
        listed = "; ".join(_described(f) for f in images)
        raise NeedsAnswerError(f"Several images are attached: which two shall be aligned? {listed}")

    def current_and_prior(self, text: str) -> tuple[str, str]:
        """Return (the study of today, the earlier one); the second is empty where it is to be looked for.

        Raises:
            NeedsAnswerError: no prior is attached and nobody says where it lies, or several could be meant.
        """
        images = self._images()
        if len(images) == 1 and (other := self._elsewhere(text)) is not None:
            return images[0].id, other
        if len(images) < 2:
            what = "this study" if images else "the current study and"
            raise NeedsAnswerError(
                f"A comparison needs an earlier study. Attach {'the prior of ' if images else ''}{what}"
                f"{' and mark it as the prior' if images else ' its prior'}, or say where it lies: in the PACS, or in "
                "an earlier reading."
            )
        prior = [f.id for f in images if f.prior]
        current = [f.id for f in images if not f.prior]
        if len(prior) == 1 and len(current) == 1:
            return current[0], prior[0]
        named = self._named(text)
        if len(named) == 2 and _PRIOR.search(text):
            return named[0], named[1]
        listed = "; ".join(_described(f) for f in images)
        raise NeedsAnswerError(f"Which image is the current study, and which one is the prior? {listed}")

    def whose_prior(self, text: str) -> str:
        """Return the image whose prior shall be fetched.

        Raises:
            NeedsAnswerError: no prior is asked for, so that a UID is needed, or nothing is attached that it is of.
        """
        current = [f.id for f in self._images() if not f.prior]
        named = self._named(text)
        if not re.search(r"\b(?:priors?|previous|earlier|older|last|baseline)\b", text, re.I):
            raise NeedsAnswerError("Which study shall be fetched? Name it by its StudyInstanceUID.")
        if not (named or len(current) == 1):
            raise NeedsAnswerError("The prior of which image shall be fetched? Attach the study of today, or name it.")
        return named[0] if named else current[0]

    def _elsewhere(self, text: str) -> str | None:
        """Return what stands for a prior that is not attached as an image, "" for one to be looked for, or None."""
        if fetched := [s.id for s in self._steps if s.tool == "fetch_study"]:
            return fetched[-1]
        reports = [f.id for f in self._situation.attached("report")]
        if len(reports) == 1 and _WRITTEN.search(text):
            return reports[0]
        return "" if _LOOK_FOR_IT.search(text) else None

    def mask(self, text: str, targets: Sequence[str]) -> str | None:
        """Return the mask that a text means; None: it has to be made first."""
        image = self._other_image(text)
        for result in reversed(self._made("mask")):
            is_of = not image or str(result.args.get("image", "")).removeprefix("@") == image
            if is_of and (not targets or not result.targets or set(targets) <= set(result.targets)):
                return result.id
        attached = [m for m in self._situation.attached("mask") if not image or m.of == image]
        fitting = [m for m in attached if not targets or _same_structure(m.label, targets)]
        if len(fitting) > 1 and not targets and not re.search(r"\b(?:masks|all|both|each)\b", text, re.I):
            listed = "; ".join(f"{m.id} ({m.label or 'no label'})" for m in fitting)
            raise NeedsAnswerError(f"Several masks are attached: which one is meant? {listed}")
        return fitting[0].id if fitting else None

    def results(self, kinds: Sequence[str], *, include_earlier: bool = True) -> list[str]:
        """Return the results of some kinds: this plan's, or when it has none, those of the reading so far."""
        mine = [s.id for s in self._steps if self._kind(s) in kinds]
        if mine or not include_earlier:
            return mine
        return [r.id for r in self._situation.results if r.kind in kinds]

    def latest(self, kinds: Sequence[str], text: str = "") -> str | None:
        """Return the latest result or attachment of the first kind that there is."""
        if (named := _RESULT.search(text)) and any(r.id == named[1] for r in self._situation.results):
            return named[1]
        for source in (self._steps_by_kind, self._earlier_by_kind, self._attached_by_kind):
            for kind in kinds:
                if found := source(kind):
                    return found[-1]
        return None

    # --- inside

    def _images(self) -> list[AttachmentFacts]:
        return self._situation.attached("image")

    def _two(self, why: str) -> list[AttachmentFacts]:
        images = self._images()
        if len(images) < 2:
            raise NeedsAnswerError(
                f"{why}, {'one is' if images else 'none is'} attached. Attach the other and ask again."
            )
        return images

    def _other_image(self, text: str) -> str:
        """Return the image that a text names outright; "" where it names none."""
        if named := self._named(text):
            return named[0]
        priors = [f.id for f in self._images() if f.prior]
        return priors[0] if priors and _PRIOR.search(text) else ""

    def _named(self, text: str) -> list[str]:
        """Return the images that a text names by number, in its order."""
        images = self._images()
        ids = []
        for found in _NUMBERED.finditer(text):
            if found[3]:
                ids.append(found[3].lower())
                continue
            number = int(found[1]) if found[1] else _PLACES[found[2].lower()]
            ids.append(f"img{number}" if any(f.id == f"img{number}" for f in images) else "")
        return [i for i in dict.fromkeys(ids) if any(f.id == i for f in images)]

    def _kind(self, step: Step) -> str:
        return self._registry.get(step.tool).kind if step.tool in self._registry else ""

    def _made(self, kind: str) -> list[PriorResult]:
        """Return results of a kind, this plan's after the reading's."""
        mine = [
            PriorResult(s.id, s.tool, kind, targets=tuple(s.args.get("targets") or ()), args=s.args)
            for s in self._steps
            if self._kind(s) == kind
        ]
        return [r for r in self._situation.results if r.kind == kind] + mine

    def _steps_by_kind(self, kind: str) -> list[str]:
        return [s.id for s in self._steps if self._kind(s) == kind]

    def _earlier_by_kind(self, kind: str) -> list[str]:
        return [r.id for r in self._situation.results if r.kind == kind]

    def _attached_by_kind(self, kind: str) -> list[str]:
        return [f.id for f in self._situation.attached(kind)]


def missing(kinds: Sequence[str]) -> str:
    """Return the question that asks for an attachment of some kinds."""
    called = next((_CALLED[k] for k in kinds if k in _CALLED), "result")
    return f"There is no {called} to work on. Attach one, or ask for it to be made first."


def _same_structure(label: str, targets: Sequence[str]) -> bool:
    """Return whether a mask's label means the targets that a person names."""
    from agent.planner.slots import targets_in

    meant = targets_in(label.replace("_", " ")) or [label]
    return not label or set(targets) <= set(meant)


def _described(facts: AttachmentFacts) -> str:
    parts = [facts.modality or "unknown modality", facts.body_part.lower(), f"{facts.dims}-D" if facts.dims else ""]
    return f"{facts.id} ({', '.join(p for p in parts if p)}{', prior' if facts.prior else ''})"
