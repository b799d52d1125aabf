"""The conformance kit: what every tool must keep, ours and everybody else's, checked by `readingroom tools check NAME`.

    report = check_tool(my_tool, registry, folder=tmp_path)
    assert report.passed, report

It builds a reading with phantoms (a chest CT of known anatomy, a mask, measurements) and runs the tool's own examples.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tools.contract import Example, Tool, ToolContext
from tools.errors import BadInputError, ToolError, UnavailableError, UnsupportedError
from tools.facts import ArtifactKind, AttachmentFacts
from tools.preconditions import check_call
from tools.registry import Registry
from tools.results import Hits, MaskEntry, Masks, Measurement, Measurements, ReportHit, ToolResult
from tools.workspace import Artifact, Provenance, Workspace

if TYPE_CHECKING:
    from knowledge.search import Knowledge
    from tools.contract import TextModel
    from tools.imaging.volume import Volume
    from tools.models.hub import Hub

MIN_EXAMPLES = 3  # fewer teach the planner too little (tests/agent/planner)
Verdict = Literal["ok", "failed", "not run"]


@dataclass(frozen=True)
class Check:
    """One rule and whether the tool keeps it."""

    rule: str
    verdict: Verdict
    detail: str = ""


@dataclass(frozen=True)
class CheckReport:
    """All rules for one tool."""

    tool: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether no rule is broken; a rule that could not be tried here is not broken."""
        return all(c.verdict != "failed" for c in self.checks)

    def __str__(self) -> str:
        """One line a rule."""
        marks = {"ok": "✓", "failed": "✗", "not run": "–"}
        return "\n".join(f"{marks[c.verdict]} {c.rule}{': ' if c.detail else ''}{c.detail}" for c in self.checks)


class NoModel:
    """Stands for a language model that must not be relied on, as the embedded default."""

    name = "none"
    can_write = False

    def complete(self, prompt: str, *, schema: Mapping[str, Any] | None = None, max_tokens: int = 512) -> str:
        """Refuse: a tool must look at `can_write` first."""
        raise AssertionError("the tool asked a model whose can_write is False")


@dataclass(frozen=True)
class Lent:
    """What the kit lends a tool: the models and the report store to try it with."""

    hub: Hub
    open_knowledge: Callable[[], Knowledge]
    open_llm: Callable[[], TextModel] = NoModel


def check_tool(tool: Tool, registry: Registry, lent: Lent, folder: Path) -> CheckReport:
    """Check one tool against every rule.

    Args:
        tool: the tool to check.
        registry: the tools that its examples may call.
        lent: models and report store.
        folder: an empty folder for the kit's reading.
    """
    checks = [*_definition(tool), *_examples(tool, registry), *_arguments(tool)]
    checks += _behaviour(tool, lent, folder)
    return CheckReport(tool.name, tuple(checks))


# --- the definition


def _definition(tool: Tool) -> Iterator[Check]:
    yield _rule("name is a lower-case identifier", tool.name.isidentifier() and tool.name == tool.name.lower())
    yield _rule("description is a sentence", len(tool.description) >= 20 and tool.description.rstrip()[-1] in ".!?")
    schema = json.dumps(tool.args_schema, sort_keys=True)
    yield _rule("arguments have a closed JSON schema", '"additionalProperties": false' in schema)
    result = tool.result_type
    yield _rule("result is frozen and closed", bool(result.model_config.get("frozen")), result.__name__)
    requires = all(r.reason for r in tool.requires.values() if r.modality or r.dims or r.body_part)
    yield _rule("each precondition says why", requires)
    yield _rule("has a time limit", 0 < tool.timeout_s <= 86_400)


def _examples(tool: Tool, registry: Registry) -> Iterator[Check]:
    count = len({e.request for e in tool.examples})
    yield _rule(f"declares {MIN_EXAMPLES} or more different example requests", count >= MIN_EXAMPLES, f"{count}")
    problems = [p for e in tool.examples if (p := _example_problem(tool, e, registry))]
    yield _rule("examples fit the schema of the tools they call", not problems, "; ".join(problems))


def _example_problem(tool: Tool, example: Example, registry: Registry) -> str:
    if tool.name not in {c.tool for c in example.calls}:
        return f"{example.request!r} does not call {tool.name}"
    for call in example.calls:
        called = tool if call.tool == tool.name else registry.get(call.tool) if call.tool in registry else None
        if called is None:
            return f"{example.request!r} calls {call.tool}, which is not installed"
        try:
            called.validate_args(call.args)
        except BadInputError as error:
            return f"{example.request!r}: {error}"
    return ""


def _arguments(tool: Tool) -> Iterator[Check]:
    try:
        tool.validate_args({"no_such_argument": 1})
    except BadInputError as error:
        yield _rule("an unknown argument is refused by name", "no_such_argument" in str(error))
    else:
        yield _rule("an unknown argument is refused by name", False)


# --- the behaviour


def _behaviour(tool: Tool, lent: Lent, folder: Path) -> Iterator[Check]:
    if tool.needs_approval:
        yield Check("runs on a phantom", "not run", "a person must agree before it runs")
        return
    workspace = phantom_reading(folder, earlier=True)
    _attach_report(workspace, folder / "report.txt")
    before = _contents(workspace)
    ran = False
    for example in tool.examples:
        args = tool.validate_args(next(c.args for c in example.calls if c.tool == tool.name))
        args = _fitted(tool, args)
        try:
            check_call(tool, args, workspace.facts(), lent.hub)
            first, second = (_run(tool, args, lent, workspace, f"s9{n}") for n in (1, 2))
        except (UnsupportedError, UnavailableError) as error:
            reason = str(error)
            continue
        ran = True
        yield from _results(tool, first, second)
        break
    if not ran:
        yield Check("runs on a phantom", "not run", reason if tool.examples else "no examples")
    yield _rule("leaves what others made unchanged", before == _contents(workspace))
    yield _refuses_nonsense(tool, lent, workspace)


def _run(tool: Tool, args: Mapping[str, Any], lent: Lent, workspace: Workspace, step: str) -> tuple[ToolResult, str]:
    ctx = ToolContext(
        workspace=workspace,
        step_id=step,
        hub=lent.hub,
        open_knowledge=lent.open_knowledge,
        open_llm=lent.open_llm,
    )
    result = tool(ctx, **args)
    missing = [f for f in (*result.files, *result.figures) if not (ctx.folder / f).is_file()]
    return result, ", ".join(missing)


def _results(tool: Tool, first: tuple[ToolResult, str], second: tuple[ToolResult, str]) -> Iterator[Check]:
    result, missing = first
    yield _rule("runs on a phantom", isinstance(result, tool.result_type), type(result).__name__)
    yield _rule("writes the files it names", not missing, missing)
    again = type(result).model_validate_json(result.model_dump_json())
    yield _rule("result survives JSON", again == result)
    same = result.model_dump_json() == second[0].model_dump_json().replace(
        '"s92"', '"s91"'
    )  # an image has its step's id
    yield _rule("same input, same result", same)
    yield _rule("summary is one line", "\n" not in result.summary and len(result.summary) <= 400)


def _refuses_nonsense(tool: Tool, lent: Lent, workspace: Workspace) -> Check:
    """Point every reference at something that does not exist: the tool must say so by a ToolError."""
    rule = "a missing input is a ToolError"
    if not tool.refs or not tool.examples:
        return Check(rule, "not run", "the tool takes no references")
    args = tool.validate_args(next(c.args for c in tool.examples[0].calls if c.tool == tool.name))
    for name in tool.refs:
        if args[name]:
            args[name] = ["s404"] if isinstance(args[name], list) else "img404"
    try:
        _run(tool, args, lent, workspace, "s99")
    except ToolError:
        return Check(rule, "ok")
    except Exception as error:  # noqa: BLE001  any other error is what the rule forbids
        return Check(rule, "failed", f"{type(error).__name__}: {error}")
    return Check(rule, "failed", "it returned a result")


def _fitted(tool: Tool, args: dict[str, Any]) -> dict[str, Any]:
    """Point references at the phantom of a fitting kind."""
    for name, kinds in tool.refs.items():
        if args.get(name):
            fitting = next(
                (PHANTOMS[k] for k in ("mask", "measurements", "image", "hits", "report") if k in kinds), "img1"
            )
            wanted = next((i for i in _ids(args[name]) if _kind(i) in kinds), fitting)
            args[name] = [wanted] if isinstance(args[name], list) else wanted
    return args


def _ids(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


PHANTOMS: Mapping[ArtifactKind, str] = {
    "image": "img1",
    "mask": "s1",
    "measurements": "s2",
    "hits": "s3",
    "report": "rep1",
}


EARLIER = "img2"
"""The phantom's earlier study."""


def _kind(any_id: str) -> ArtifactKind | None:
    if any_id == EARLIER:
        return "image"
    return next((k for k, v in PHANTOMS.items() if v == any_id), None)


def phantom_reading(folder: Path, *, earlier: bool = False) -> Workspace:
    """Make a reading with a chest CT phantom img1, its mask s1, its measurements s2 and report hits s3.

    With `earlier`, img2 is a study of the same chest before. All is made, not measured in anybody: an ellipse of soft
    tissue (40 HU) with two air ellipses (−850 HU),
    3 × 3 × 5 mm, the right one larger. It is written as NIfTI, int16 HU, RAS+.
    """
    from tools.imaging.nifti import write_nifti
    from tools.imaging.volume import Volume

    array, lungs = chest_phantom()
    import numpy as np

    volume = Volume(array, np.diag([3.0, 3.0, 5.0, 1.0]), spacing_source="NIfTI header", modality="CT", units="HU")
    workspace = Workspace(folder / "reading")
    write_nifti(folder / "phantom.nii.gz", array, volume)
    facts = AttachmentFacts(
        id="img1", modality="CT", modality_source="voxel values", body_part="CHEST", dims=3, has_spacing=True
    )
    workspace.add_attachment(folder / "phantom.nii.gz", facts)
    if earlier:
        _add_earlier(workspace, folder, volume, facts)
    write_nifti(workspace.step_folder("s1") / "lungs.nii.gz", lungs, volume)
    entry = MaskEntry(target="lungs", file="lungs.nii.gz", voxels=int(lungs.sum()))
    _keep(workspace, "s1", Masks(summary="The phantom's lungs.", image="img1", masks=(entry,), files=("lungs.nii.gz",)))
    volume_ml = float(lungs.sum()) * 45.0 / 1000.0
    row = Measurement(
        target="lungs",
        quantity="volume",
        value=volume_ml,
        unit="ml",
        image="img1",
        mask="s1",
        spacing_source="NIfTI header",
        method="voxel count × voxel volume",
    )
    _keep(workspace, "s2", Measurements(summary="The phantom's lungs were measured.", rows=(row,)))
    hit = ReportHit(
        report_id="PHANTOM1", section="findings", sentence="No report.", start=0, end=10, score=0.5, why="phantom"
    )
    _keep(workspace, "s3", Hits(summary="One report of the phantom's store matches.", query="lungs", hits=(hit,)))
    return workspace


def _attach_report(workspace: Workspace, path: Path) -> None:
    """Attach a report rep1 for tools that take one."""
    path.write_text("FINDINGS: The lungs have a volume of 999 ml.\n", encoding="utf-8")
    workspace.add_attachment(path, AttachmentFacts(id="rep1", kind="report"))


def _add_earlier(workspace: Workspace, folder: Path, volume: Volume, facts: AttachmentFacts) -> None:
    """Add an earlier study img2: the same chest, lying a little differently, the right lung smaller."""
    from tools.imaging.nifti import write_nifti
    from tools.imaging.volume import Volume

    affine = volume.affine_ras.copy()
    affine[:3, 3] += (6.0, -4.0, 5.0)
    earlier = Volume(chest_phantom(right_scale=0.93)[0], affine, "NIfTI header", "CT", units="HU")
    write_nifti(folder / "earlier.nii.gz", earlier.array, earlier)
    workspace.add_attachment(folder / "earlier.nii.gz", facts.model_copy(update={"id": EARLIER, "prior": True}))


def chest_phantom(*, right_scale: float = 1.0) -> tuple[Any, Any]:
    """Return (int16 HU, bool lungs), shape (110, 90, 60): body ellipse, two lungs, a spine of 700 HU."""
    import numpy as np

    i, j, k = np.ogrid[0:110, 0:90, 0:60]
    body = ((i - 55) / 50) ** 2 + ((j - 45) / 36) ** 2 + 0 * k < 1
    left = ((i - 32) / 13) ** 2 + ((j - 47) / 22) ** 2 + ((k - 30) / 24) ** 2 < 1
    right = ((i - 78) / 15) ** 2 + ((j - 47) / 22) ** 2 + ((k - 30) / 25) ** 2 < right_scale**2
    spine = ((i - 55) / 6) ** 2 + ((j - 18) / 6) ** 2 + 0 * k < 1
    array = np.full((110, 90, 60), -1000, dtype=np.int16)
    array[body] = 40
    array[spine] = 700
    array[left | right] = -850
    return array, left | right


def _keep(workspace: Workspace, step: str, result: ToolResult) -> None:
    provenance = Provenance(tool="phantom", tool_version="0", params={}, inputs=("img1",))
    workspace.add_artifact(
        Artifact(
            id=step,
            kind=result.kind,
            summary=result.summary,
            data=result.model_dump(mode="json"),
            files=result.files,
            marks=("mock",),
            provenance=provenance,
        )
    )


def _contents(workspace: Workspace) -> dict[str, bytes]:
    files = [p for p in sorted(workspace.root.rglob("*")) if p.is_file() and "s9" not in p.parent.name]
    return {str(p): p.read_bytes() for p in files}


def _rule(rule: str, kept: bool, detail: str = "") -> Check:
    return Check(rule, "ok" if kept else "failed", "" if kept else detail)
