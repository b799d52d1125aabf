"""The conformance kit over every registered tool, and over tools that break its rules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from knowledge.embed import HashEmbedder
from knowledge.report import report_from_sections
from knowledge.search import Knowledge
from tools.contract import ImageRef, Tool, ToolContext, example, tool
from tools.models.hub import Hub
from tools.registry import Registry
from tools.results import Measurements
from tools.testing import CheckReport, Lent, check_tool

REGISTRY = Registry.installed()


@pytest.fixture(scope="module")
def lent(tmp_path_factory: pytest.TempPathFactory, assets) -> Iterator[Lent]:
    knowledge = Knowledge.open(tmp_path_factory.mktemp("reports"), HashEmbedder())
    texts = ["The lungs are clear.", "There is a pleural effusion.", "The heart is enlarged."]
    knowledge.ingest(
        report_from_sections([("findings", text)], id=f"R{n}", source="phantom") for n, text in enumerate(texts)
    )
    yield Lent(hub=Hub.installed(assets=assets, device="cpu"), open_knowledge=lambda: knowledge)
    knowledge.close()


def check(made: Tool, lent: Lent, folder: Path) -> CheckReport:
    return check_tool(made, REGISTRY if made.name in REGISTRY else REGISTRY.with_tools(made), lent, folder)


@pytest.mark.parametrize("made", list(REGISTRY), ids=lambda t: t.name)
def test_every_registered_tool_keeps_the_contract(made: Tool, lent: Lent, tmp_path: Path) -> None:
    report = check(made, lent, tmp_path)
    assert report.passed, str(report)


AVAILABLE = ["deidentify", "describe", "draft_report", "export", "measure", "search_reports", "segment"]


@pytest.mark.parametrize("name", AVAILABLE)
def test_our_working_tools_really_run_on_the_phantom(name: str, lent: Lent, tmp_path: Path) -> None:
    report = check(REGISTRY.get(name), lent, tmp_path)
    verdicts = {c.rule: c.verdict for c in report.checks}
    assert verdicts["runs on a phantom"] == "ok", str(report)
    assert verdicts["same input, same result"] == "ok", str(report)


def broken(report: CheckReport) -> set[str]:
    return {c.rule for c in report.checks if c.verdict == "failed"}


EXAMPLES = [example(f"Count it, {n}.", image="@img1") for n in ("please", "now", "again")]


def test_a_tool_without_examples_fails(lent: Lent, tmp_path: Path) -> None:
    @tool()
    def count(ctx: ToolContext, image: Annotated[ImageRef, Field(description="an image")]) -> Measurements:
        """Count something in an image."""
        return Measurements(summary="Counted.", rows=())

    assert "declares 3 or more different example requests" in broken(check(count, lent, tmp_path))


def test_a_tool_that_gives_another_result_each_time_fails(lent: Lent, tmp_path: Path) -> None:
    calls: list[int] = []

    @tool(examples=EXAMPLES)
    def count(ctx: ToolContext, image: Annotated[ImageRef, Field(description="an image")]) -> Measurements:
        """Count something in an image."""
        calls.append(1)
        ctx.workspace.volume(image)
        return Measurements(summary=f"Counted {len(calls)}.", rows=())

    assert broken(check(count, lent, tmp_path)) == {"same input, same result"}


def test_a_tool_that_changes_what_others_made_fails(lent: Lent, tmp_path: Path) -> None:
    @tool(examples=EXAMPLES)
    def count(ctx: ToolContext, image: Annotated[ImageRef, Field(description="an image")]) -> Measurements:
        """Count something in an image."""
        ctx.workspace.volume(image)
        (ctx.workspace.step_folder("s1") / "artifact.json").write_text("{}")
        return Measurements(summary="Counted.", rows=())

    assert "leaves what others made unchanged" in broken(check(count, lent, tmp_path))


def test_a_tool_that_crashes_on_a_missing_input_fails(lent: Lent, tmp_path: Path) -> None:
    @tool(examples=EXAMPLES)
    def count(ctx: ToolContext, image: Annotated[ImageRef, Field(description="an image")]) -> Measurements:
        """Count something in an image."""
        return Measurements(summary=f"Counted { {'img1': 1}[image] }.", rows=())

    assert broken(check(count, lent, tmp_path)) == {"a missing input is a ToolError"}


def test_a_tool_that_names_files_it_did_not_write_fails(lent: Lent, tmp_path: Path) -> None:
    @tool(examples=EXAMPLES)
    def count(ctx: ToolContext, image: Annotated[ImageRef, Field(description="an image")]) -> Measurements:
        """Count something in an image."""
        ctx.workspace.volume(image)
        return Measurements(summary="Counted.", rows=(), files=("nowhere.csv",))

    assert broken(check(count, lent, tmp_path)) == {"writes the files it names"}


def test_an_example_with_a_wrong_argument_fails(lent: Lent, tmp_path: Path) -> None:
    @tool(examples=[*EXAMPLES, example("Count the colour.", colour="red")])
    def count(ctx: ToolContext, image: Annotated[ImageRef, Field(description="an image")]) -> Measurements:
        """Count something in an image."""
        ctx.workspace.volume(image)
        return Measurements(summary="Counted.", rows=())

    report = check(count, lent, tmp_path)
    assert "examples fit the schema of the tools they call" in broken(report)
    assert "colour" in str(report)
