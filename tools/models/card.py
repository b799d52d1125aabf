"""A model card: what a model can do and what it needs, as data in a TOML file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tools.errors import BadInputError
from tools.facts import AttachmentFacts, Requires
from tools.imaging.anatomy import members_of

Trust = Literal["tested", "untested", "experimental"]
PromptKind = Literal["points", "box", "text"]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Weights(_Data):
    """Where a model's weights lie, and how we know that they are the right ones."""

    file: str = ""
    """File or folder below the folder of weights, for weights that a person brings."""
    distribution: str = ""
    """Installed Python package that carries the files instead."""
    asset: str = ""
    """Asset of the catalogue that carries the files instead; its members are the names in `sha256`."""
    sha256: dict[str, str] = Field(default_factory=dict)
    """Hash by file name, relative to the package's site folder, or to the folder that `file` lies in."""
    hub: str = ""
    """For weights that a person brings: OWNER/NAME[@REVISION] on the Hugging Face hub, where they lie there."""
    get: str = ""
    """How to come by them, in words."""

    @model_validator(mode="after")
    def _one_place(self) -> Weights:
        if sum(map(bool, (self.file, self.distribution, self.asset))) != 1:
            raise ValueError("give one of 'file', 'distribution' and 'asset'")
        for path in (self.file, *self.sha256):
            if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or "\\" in path:
                raise ValueError(f"{path!r} must be a path below the folder of weights, without '..'")
        if not self.file and not self.sha256:
            raise ValueError("weights from a package or asset need 'sha256'")
        for name, digest in self.sha256.items():
            if not re.fullmatch(r"[0-9a-f]{64}", digest):
                raise ValueError(f"sha256 of {name!r} must be 64 hex digits, got {digest!r}")
        return self


class Domain(_Data):
    """Grid and values that a model is known to work on; what is left out is not known."""

    finest_mm: float | None = Field(default=None, gt=0)
    """Smallest voxel step."""
    coarsest_mm: float | None = Field(default=None, gt=0)
    """Largest voxel step."""
    min_slices: int | None = Field(default=None, ge=1)
    values: tuple[float, float] | None = None
    """Lowest and highest value that the 1st and 99th percentile may have."""


class ModelCard(_Data):
    """One model that can stand behind a verb."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    title: str
    verb: str
    """The tool that may use it: segment, classify, …"""
    runtime: str
    """The code that runs it: hu_threshold, deepbet, …"""
    version: str
    targets: tuple[str, ...] = ()
    """Class names it can find; empty where the verb knows no targets."""
    aliases: dict[str, str] = Field(default_factory=dict)
    """Other names of targets, in lower case with underscores: pleural_effusion → effusion."""
    modality: tuple[str, ...] = ()
    """DICOM codes it works on; empty: any."""
    body_part: tuple[str, ...] = ()
    """BodyPartExamined it works on; empty: any. An image that does not name its body part passes."""
    dims: tuple[Literal[2, 3], ...] = ()
    view: tuple[str, ...] = ()
    """ViewPosition of radiographs it works on; empty: any. A film that does not name its view passes."""
    series: tuple[str, ...] = ()
    """For segment: what each image is, where several aligned ones are one input; empty: it takes one."""
    domain: Domain | None = None
    """What `assess` holds an image against; None: the publisher says nothing of it."""
    requires: str = ""
    """Why it works on nothing else, in the words a person would read."""
    weights: Weights | None = None
    """None for a method without weights."""
    extra: str = ""
    """Python module that must be importable beyond our own dependencies; empty: none."""
    extra_install: str = ""
    """What to install for it; for a remote model on this machine, what starts its server."""
    options: dict[str, Any] = Field(default_factory=dict)
    """What the runtime must know of this model; each runtime has its own keys and checks them."""
    prompts: tuple[PromptKind, ...] = ()
    """For segment: the kinds of prompt it takes."""
    half_precision: bool = False
    """Whether it may compute in half precision: on a GPU, and on a CPU with instructions for bfloat16."""
    cpu_fallback: bool = True
    """Whether it may run on the CPU when the GPU's memory does not suffice."""
    isolated: bool = False
    """Whether it runs in a process of its own, because its runtime may sit in one native call that nothing stops."""
    seconds: float = Field(ge=0)
    """Typical, on two CPU cores."""
    device_memory_mb: int = Field(default=0, ge=0)
    """Peak on a GPU; 0 where it needs none."""
    limits: tuple[str, ...] = ()
    """What a reader of its results must know, whatever the target."""
    target_limits: dict[str, str] = Field(default_factory=dict)
    """What a reader must know of one target."""
    abstain_margin: float = Field(default=0.0, ge=0.0, le=0.5)
    """A score nearer than this to its operating point decides nothing: the answer abstains and says why."""
    trust: Trust = "untested"
    """tested: we ran it on real data with a known answer; untested: the card is right, we could not run it;
    experimental: its publisher shows no evaluation."""
    licence: str
    source: str
    citation: str = ""

    @model_validator(mode="after")
    def _names_of_own_targets(self) -> ModelCard:
        for key, names in (("target_limits", set(self.target_limits)), ("aliases", set(self.aliases.values()))):
            if strangers := names - set(self.targets):
                raise ValueError(f"{key} names what targets does not: {', '.join(sorted(strangers))}")
        return self

    @property
    def facts_needed(self) -> Requires:
        """What an image must be, in the form that the guard checks."""
        return Requires(
            modality=self.modality, body_part=self.body_part, dims=self.dims, view=self.view, reason=self.requires
        )

    @property
    def needs_bringing(self) -> bool:
        """Whether a person must bring weights, or start a server, before it can run."""
        return bool(self.weights and self.weights.file) or self.runtime.startswith("remote_")

    def refusal(self, facts: AttachmentFacts, images: int = 1) -> str | None:
        """Return why an image, or several that are one input, is not for this model; None where it is."""
        return self.facts_needed.refusal(facts) or self._miscounted(images)

    def _miscounted(self, images: int) -> str | None:
        wanted = max(1, len(self.series))
        if images == wanted:
            return None
        if wanted == 1:
            return f"{self.title} takes one image, got {images}: leave 'series' out"
        return (
            f"{self.title} takes {wanted} aligned images of one examination ({', '.join(self.series)}), got {images}: "
            "attach them all, resampled to one grid, and name the others in that order in 'series'"
        )

    def limits_for(self, targets: Sequence[str]) -> tuple[str, ...]:
        """Return the limits that concern results with these targets."""
        own = (limit for target, limit in self.target_limits.items() if target in targets)
        return tuple(dict.fromkeys((*self.limits, *own)))

    def named(self, word: str) -> str | None:
        """Return the card's own target for a word, or None: "Pleural effusion" is effusion."""
        if word in self.targets:
            return word
        plain = word.strip().lower().replace(" ", "_").replace("-", "_")
        return plain if plain in self.targets else self.aliases.get(plain)

    def serves(self, target: str) -> bool:
        """Return whether the model finds a target, or all the parts that make it up."""
        if self.named(target):
            return True
        parts = members_of(target)
        return bool(parts) and all(self.serves(part) for part in parts)


def read_card(path: Path) -> ModelCard:
    """Read one card.

    Raises:
        BadInputError: the file is no TOML, or a key is unknown, missing or wrong; names file and key.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInputError(f"model card {path.name!r} is no valid TOML: {error}") from error
    except OSError as error:
        raise BadInputError(f"model card {path.name!r} could not be read: {error.strerror or error}") from error
    try:
        return ModelCard.model_validate(data)
    except ValidationError as error:
        raise BadInputError(f"model card {path.name!r}: {_problems(error)}") from None


def _problems(error: ValidationError) -> str:
    said = []
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"]) or "card"
        match problem["type"]:
            case "extra_forbidden":
                said.append(f"unknown key {key!r}")
            case "missing":
                said.append(f"key {key!r} is missing")
            case _:
                said.append(f"key {key!r}: {problem['msg']}, got {problem['input']!r:.80}")
    return "; ".join(said)
