"""Runs a model once on a made image of the kind that its card declares: does it load, and does it answer in form?"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tools.errors import BadInputError, ToolError, UnsupportedError
from tools.imaging.volume import Volume
from tools.models.card import ModelCard
from tools.models.hub import Choice, Hub
from tools.models.runtimes.base import Prompt, Segmentation, image_of, silent

_SIDE = 96
_STEP_MM = 2.0  # so that the made head or chest has the size of a real one
_FILM = (320, 320)


@dataclass(frozen=True)
class Trial:
    """How a model did."""

    card: str
    works: bool
    said: str
    """In one line: what it gave, what it refused, or what is wrong."""
    seconds: float = 0.0
    device: str = ""
    notes: tuple[str, ...] = ()


def try_model(hub: Hub, card: ModelCard) -> Trial:
    """Load a model and run it once; never raises a ToolError."""
    volume = made_image(card)
    began = time.perf_counter()
    try:
        used = hub.use(Choice(card, "asked for by name"), lambda runtime: _run(runtime, card, volume))
    except ToolError as error:
        return Trial(card.name, works=False, said=str(error))
    seconds = time.perf_counter() - began
    return Trial(card.name, True, used.value, seconds, used.model.device, used.notes)


def made_image(card: ModelCard) -> Volume:
    """Return an image that nobody was scanned for, of a card's modality, body part and dimensions."""
    modality = card.modality[0] if card.modality else "CT"
    flat = card.dims == (2,) or (not card.dims and modality in {"CR", "DX", "MG", "US", "XC"})
    array = _film() if flat else _chest() if modality == "CT" else _head()
    return Volume(
        array,
        np.diag([_STEP_MM, _STEP_MM, _STEP_MM, 1.0]),
        spacing_source="NIfTI header",
        modality=modality,
        body_part=card.body_part[0] if card.body_part else "",
        units="HU" if modality == "CT" else "",
    )


def _film() -> Any:
    i, j = np.ogrid[-1 : 1 : _FILM[0] * 1j, -1 : 1 : _FILM[1] * 1j]
    return (1000 * np.exp(-(i**2) - j**2)).astype(np.int16)[:, :, None]


def _chest() -> Any:
    """Return HU: an elliptic cylinder with two ellipsoids of air inside; the right one is larger."""
    i, j, k = np.ogrid[-1 : 1 : _SIDE * 1j, -1 : 1 : _SIDE * 1j, -1 : 1 : _SIDE * 1j]
    array = np.full((_SIDE, _SIDE, _SIDE), -1000, dtype=np.int16)
    array[(i / 0.9) ** 2 + (j / 0.7) ** 2 + 0 * k < 1] = 40
    for centre, width in ((-0.4, 0.25), (0.42, 0.3)):
        array[((i - centre) / width) ** 2 + (j / 0.4) ** 2 + (k / 0.7) ** 2 < 1] = -850
    return array


def _head() -> Any:
    """Return an ellipsoid of 1.1 l with a darker middle."""
    i, j, k = np.ogrid[-1 : 1 : _SIDE * 1j, -1 : 1 : _SIDE * 1j, -1 : 1 : _SIDE * 1j]
    distance = (i / 0.65) ** 2 + (j / 0.75) ** 2 + (k / 0.65) ** 2
    return np.select([distance < 0.1, distance < 0.7, distance < 1], [200, 600, 400]).astype(np.int16)


def _run(runtime: Any, card: ModelCard, volume: Volume) -> str:
    attempt = _ATTEMPTS.get(card.verb)
    if attempt is None:
        return f"loads; {card.verb} is not tried here"
    try:
        return attempt(runtime, card, volume)
    except UnsupportedError as error:
        return f"loads, and refuses the made image: {error}"


def _segment(runtime: Any, card: ModelCard, volume: Volume) -> str:
    if not card.targets:
        prompt = _prompt(card, volume)
        masks = {"what was pointed at": runtime.segment_prompted(volume, prompt, silent)}
    else:
        masks = dict(_outlined(runtime, card, volume).masks)
    for target, mask in masks.items():
        if mask.shape != volume.shape or mask.dtype != np.bool_:
            raise BadInputError(
                f"it gives {mask.dtype} {mask.shape} for {target}, expected bool {volume.shape}: the runtime is wrong"
            )
    return f"runs: outlined {', '.join(masks)}"


def _outlined(runtime: Any, card: ModelCard, volume: Volume) -> Segmentation:
    """Outline the first target, in as many copies of the image as the card says are one input."""
    if card.series:
        several: Segmentation = runtime.segment_series([volume] * len(card.series), card.targets[:1], silent)
        return several
    found: Segmentation = runtime.segment(volume, card.targets[:1], silent)
    return found


def _prompt(card: ModelCard, volume: Volume) -> Prompt:
    """Return a prompt of the first kind that a card takes, at the image's middle."""
    i, j, k = volume.shape
    kind = card.prompts[0] if card.prompts else "points"
    if kind == "box":
        return Prompt(box=((i * 0.25, j * 0.25, k * 0.25), (i * 0.75, j * 0.75, k * 0.75)))
    return Prompt(text="body") if kind == "text" else Prompt(points=((i / 2, j / 2, (k - 1) / 2),))


def _classify(runtime: Any, card: ModelCard, volume: Volume) -> str:
    rows = runtime.classify(volume, (), silent)
    if any(not math.isfinite(row.score) for row in rows):
        raise BadInputError("it gives scores that are no numbers: the weights or the runtime are wrong")
    return f"runs: {len(rows)} scores"


def _detect(runtime: Any, card: ModelCard, volume: Volume) -> str:
    return f"runs: {len(runtime.detect(volume, card.targets[0] if card.targets else '', silent))} boxes"


def _ground(runtime: Any, card: ModelCard, volume: Volume) -> str:
    return f"runs: {len(runtime.ground(volume, 'the heart', silent).boxes)} boxes"


def _landmarks(runtime: Any, card: ModelCard, volume: Volume) -> str:
    return f"runs: {len(runtime.landmarks(volume, card.targets[:1], silent))} points"


def _answer(runtime: Any, card: ModelCard, volume: Volume) -> str:
    return f"runs: {len(str(runtime.answer(volume, 'What does this image show?', silent)).split())} words"


def _synthesize(runtime: Any, card: ModelCard, volume: Volume) -> str:
    return f"runs: an image of {image_of(runtime.synthesize(volume, {}, silent)).shape}"


def _embed(runtime: Any, card: ModelCard, volume: Volume) -> str:
    picture = np.asarray(volume.array[:, :, volume.shape[2] // 2], dtype=np.float32)
    picture = (picture - picture.min()) / max(float(np.ptp(picture)), 1.0)
    vectors = runtime.embed_pictures([picture])
    if not np.isfinite(vectors).all():
        raise BadInputError("it gives vectors that are no numbers: the weights or the runtime are wrong")
    return f"runs: a vector of {vectors.shape[1]} numbers"


_ATTEMPTS: Mapping[str, Callable[[Any, ModelCard, Volume], str]] = {
    "segment": _segment,
    "classify": _classify,
    "detect": _detect,
    "ground": _ground,
    "landmarks": _landmarks,
    "answer": _answer,
    "draft_report": _answer,
    "synthesize": _synthesize,
    "find_similar": _embed,
}
