"""What a tool is: a typed function with a docstring, from which name, schema and description are derived.

    @tool(requires={"image": Requires(modality=("CT",))}, examples=[example("How dense is it?", image="@img1")])
    def mean_density(
        ctx: ToolContext, image: Annotated[ImageRef, Field(description="the CT")]
    ) -> Measurements:
        '''Measure the mean density of a whole image.'''

Everything the planner chooses is a parameter; everything the run lends is in `ctx`. Definition fails on a missing
docstring, an undescribed parameter, or a result that is no `ToolResult`.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol, get_args, get_origin, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from tools.errors import BadInputError, CancelledError
from tools.facts import ArtifactKind, AttachmentFacts, Requires
from tools.pacs.client import Pacs, no_pacs
from tools.results import ToolResult

if TYPE_CHECKING:
    from knowledge.search import Knowledge
    from tools.models.hub import Hub
    from tools.workspace import Workspace

REF_PATTERN = r"^@?(img|mask|rep|s)[0-9]+$"


@dataclass(frozen=True)
class Ref:
    """Marks a parameter as the id of an attachment or of a step's result."""

    kinds: tuple[ArtifactKind, ...]

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> dict[str, Any]:
        """Tell the planner which kinds of artifact may stand here."""
        schema: dict[str, Any] = handler(core_schema)
        return schema | {"x-kinds": list(self.kinds)}


ImageRef = Annotated[str, Field(pattern=REF_PATTERN), Ref(("image",))]
MaskRef = Annotated[str, Field(pattern=REF_PATTERN), Ref(("mask",))]
AnyRef = Annotated[
    str,
    Field(pattern=REF_PATTERN),
    Ref(
        (
            "image",
            "mask",
            "measurements",
            "change",
            "hits",
            "report",
            "scores",
            "description",
            "boxes",
            "points",
            "figure",
            "mesh",
        )
    ),
]


class TextModel(Protocol):
    """A language model that completes text, lent to tools that word things."""

    @property
    def name(self) -> str:
        """Which model answers."""
        ...

    @property
    def can_write(self) -> bool:
        """Whether its prose is good enough to show; the embedded default's is not."""
        ...

    def complete(self, prompt: str, *, schema: Mapping[str, Any] | None = None, max_tokens: int = 512) -> str:
        """Return the answer to a prompt, decoded under a JSON schema where one is given."""
        ...


class Seen(NamedTuple):
    """What a model says of pictures."""

    text: str
    notes: tuple[str, ...] = ()
    """What was done to the pictures before it saw them."""


@runtime_checkable
class SeeingModel(Protocol):
    """A language model that may also read pictures."""

    @property
    def name(self) -> str:
        """Which model answers."""
        ...

    @property
    def sees_images(self) -> bool:
        """Whether it reads pictures."""
        ...

    def look(
        self,
        prompt: str,
        pictures: Sequence[bytes],
        *,
        schema: Mapping[str, Any] | None = None,
        max_tokens: int = 512,
    ) -> Seen:
        """Return the answer to a prompt about pictures, each the bytes of a PNG file.

        Raises:
            UnavailableError: it cannot be reached, or its egress policy lets no pixels out; says what to do.
            UnsupportedError: its answer is empty, refused or cut off.
        """
        ...


@dataclass(frozen=True)
class ToolContext:
    """What a run lends a tool."""

    workspace: Workspace
    step_id: str
    hub: Hub
    open_knowledge: Callable[[], Knowledge]
    """Opens the report store at first use; raises UnavailableError saying what to do when there is none."""
    open_llm: Callable[[], TextModel]
    """Opens the language model at first use; look at its `can_write` before showing its prose."""
    open_pacs: Callable[[str | None], Pacs] = no_pacs
    """Returns the PACS of a name in the settings, or the only one; raises UnavailableError where none is set up."""
    site_key: bytes = b""
    """Secret that pseudonyms are derived from, the same in every reading of a site; empty: each reading has its own."""
    earlier_readings: Callable[[], Sequence[Path]] = tuple
    """Returns the folders of this machine's readings, newest first; none where the settings keep them apart."""
    device: str = "cpu"
    seed: int = 0
    on_progress: Callable[[float, str], None] = lambda fraction, message: None
    is_cancelled: Callable[[], bool] = lambda: False

    @property
    def folder(self) -> Path:
        """The step's own folder; whatever a tool writes goes here."""
        return self.workspace.step_folder(self.step_id)

    def progress(self, fraction: float, message: str = "") -> None:
        """Say how far the work is (0 to 1); stops the tool here when a person cancelled it."""
        if self.is_cancelled():
            raise CancelledError(f"step {self.step_id} was cancelled")
        self.on_progress(fraction, message)


class Call(BaseModel):
    """One call of a tool, as in a plan: references start with '@'."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool: str
    args: dict[str, Any]


class Example(BaseModel):
    """A request a person could make, and the calls that answer it. The planner learns from these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    request: str
    calls: tuple[Call, ...] = ()
    """Empty until the decorator fills in a single call of its own tool from `args`."""
    args: dict[str, Any] = Field(default_factory=dict)


def example(request: str, **args: Any) -> Example:
    """Return an example that this tool alone answers."""
    return Example(request=request, args=args)


def plan_example(request: str, *calls: tuple[str, Mapping[str, Any]]) -> Example:
    """Return an example that several tools answer in order; `@s1` is the first call's result."""
    return Example(request=request, calls=tuple(Call(tool=name, args=dict(args)) for name, args in calls))


class Cost(BaseModel):
    """What a typical call costs on two CPU cores."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float = Field(default=1.0, ge=0)
    device_memory_mb: int = Field(default=0, ge=0)


class Precheck(Protocol):
    """A precondition that depends on the arguments, checked on facts before anything runs."""

    def __call__(self, args: Mapping[str, Any], facts: Mapping[str, AttachmentFacts], hub: Hub) -> None:
        """Raise UnsupportedError or BadInputError with the reason a person would read."""
        ...


@dataclass(frozen=True)
class Tool:
    """A registered tool; calling it calls the function."""

    name: str
    description: str
    function: Callable[..., ToolResult]
    args_model: type[BaseModel]
    result_type: type[ToolResult]
    refs: Mapping[str, tuple[ArtifactKind, ...]]
    """Per parameter that takes an id or a list of ids: the kinds that may stand there."""
    requires: Mapping[str, Requires] = field(default_factory=dict)
    """Per image parameter: what that image must be."""
    precheck: Precheck | None = None
    examples: tuple[Example, ...] = ()
    cost: Cost = field(default_factory=Cost)
    needs_approval: bool = False
    sends: bool = False
    """Whether it hands results out of the reading: files for use elsewhere, or a transfer to a server."""
    timeout_s: float = 600.0
    isolated: bool = False
    """Whether it runs in a process of its own, because it may sit in one native call that nothing else stops."""

    def __call__(self, ctx: ToolContext, **args: Any) -> ToolResult:
        """Run the function with validated arguments."""
        return self.function(ctx, **args)

    @property
    def kind(self) -> ArtifactKind:
        """The kind of artifact that the tool makes."""
        return self.result_type.kind

    @property
    def args_schema(self) -> dict[str, Any]:
        """JSON schema of the arguments."""
        return self.args_model.model_json_schema()

    @property
    def version(self) -> str:
        """Hash of name, description and schema: what the planner was told."""
        told = json.dumps([self.name, self.description, self.args_schema], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:12]

    def validate_args(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments with their defaults, references without '@'.

        Raises:
            BadInputError: an unknown, missing or mistyped argument; names it.
        """
        try:
            valid = self.args_model.model_validate(dict(args)).model_dump()
        except ValidationError as error:
            raise BadInputError(f"{self.name}: {_one_line(error)}") from None
        for name in self.refs:
            valid[name] = _without_at(valid[name])
        return valid

    def references(self, args: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return (parameter, id) for every id among the arguments."""
        found = []
        for name in self.refs:
            value = args.get(name)
            ids = value if isinstance(value, list | tuple) else [value] if value else []
            found += [(name, _without_at(i)) for i in ids]
        return found


def tool(  # noqa: PLR0913  keywords that a tool is declared with, all optional
    *,
    requires: Mapping[str, Requires] | None = None,
    precheck: Precheck | None = None,
    examples: Sequence[Example] = (),
    cost: Cost | None = None,
    needs_approval: bool = False,
    sends: bool = False,
    timeout_s: float = 600.0,
    isolated: bool = False,
) -> Callable[[Callable[..., ToolResult]], Tool]:
    """Turn a typed, documented function into a tool.

    Args:
        requires: per image parameter, what that image must be (modality, body part, dims) and why.
        precheck: a precondition that depends on the arguments.
        examples: requests with their arguments; the planner learns from them.
        cost: typical seconds on two CPU cores and device memory.
        needs_approval: whether a person must agree before it runs.
        sends: whether it hands results out of the reading, so that a person may want to be asked first.
        timeout_s: after how many seconds a run is stopped.
        isolated: run it in a process of its own, so that it can be stopped even inside one long native call. It is
            lent images and models, but no report store and no language model.

    Raises:
        TypeError: at definition, when the docstring, a description or the result type is missing.
    """

    def define(function: Callable[..., ToolResult]) -> Tool:
        name = function.__name__
        hints = typing.get_type_hints(function, include_extras=True)
        args_model, refs = _args_model(function, hints)
        result_type = hints.get("return")
        if not (isinstance(result_type, type) and issubclass(result_type, ToolResult)):
            raise TypeError(f"tool {name!r} must return a ToolResult, got {result_type!r}")
        if isolated and "." in function.__qualname__:
            raise TypeError(
                f"isolated tool {name!r} must stand at the top of its module, where a process can import it"
            )
        for parameter in requires or {}:
            if parameter not in refs:
                raise TypeError(f"tool {name!r} requires something of {parameter!r}, which is no image parameter")
        return Tool(
            name=name,
            description=_description(function),
            function=function,
            args_model=args_model,
            result_type=result_type,
            refs=refs,
            requires=dict(requires or {}),
            precheck=precheck,
            examples=tuple(_own(e, name) for e in examples),
            cost=cost or Cost(),
            needs_approval=needs_approval,
            sends=sends,
            timeout_s=timeout_s,
            isolated=isolated,
        )

    return define


def _description(function: Callable[..., ToolResult]) -> str:
    text = inspect.getdoc(function)
    if not text:
        raise TypeError(f"tool {function.__name__!r} needs a docstring: its first paragraph is what the planner reads")
    return " ".join(text.split("\n\n")[0].split())


def _args_model(
    function: Callable[..., ToolResult], hints: Mapping[str, Any]
) -> tuple[type[BaseModel], dict[str, tuple[ArtifactKind, ...]]]:
    fields: dict[str, Any] = {}
    refs: dict[str, tuple[ArtifactKind, ...]] = {}
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].name != "ctx":
        raise TypeError(f"tool {function.__name__!r} must take 'ctx: ToolContext' first")
    for parameter in parameters[1:]:
        hint = hints.get(parameter.name)
        if get_origin(hint) is not Annotated or not _described(hint):
            raise TypeError(
                f"tool {function.__name__!r}: parameter {parameter.name!r} needs a type and a description: "
                'Annotated[type, Field(description="…")]'
            )
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hint, default)
        if kinds := _kinds(hint):
            refs[parameter.name] = kinds
    model: type[BaseModel] = create_model(f"{function.__name__}_args", __config__=ConfigDict(extra="forbid"), **fields)
    return model, refs


def _described(hint: Any) -> bool:
    return any(isinstance(m, FieldInfo) and m.description for m in get_args(hint)[1:])


def _kinds(hint: Any) -> tuple[ArtifactKind, ...] | None:
    """Find a Ref anywhere inside a type: `ImageRef`, `list[AnyRef]`, `MaskRef | None`."""
    if isinstance(hint, Ref):
        return hint.kinds
    for part in get_args(hint):
        if found := _kinds(part):
            return found
    return None


def _own(given: Example, name: str) -> Example:
    return given if given.calls else Example(request=given.request, calls=(Call(tool=name, args=given.args),))


def _without_at(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_without_at(v) for v in value]
    return value.removeprefix("@") if isinstance(value, str) else value


def _one_line(error: ValidationError) -> str:
    parts = []
    for problem in error.errors(include_url=False):
        where = ".".join(str(p) for p in problem["loc"]) or "arguments"
        parts.append(f"{where}: {problem['msg']}, got {problem['input']!r:.80}")
    return "; ".join(parts)
