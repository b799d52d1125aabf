"""Prompts: front matter, variables, and what each rendered prompt looks like."""

from __future__ import annotations

from pathlib import Path

import pytest

from prompts import PromptError, load, names, parse

SNAPSHOTS = Path(__file__).with_name("snapshots")


def rendered(name: str) -> str:
    prompt = load(name)
    return prompt.render(**{variable: f"<{variable}>" for variable in prompt.variables})


@pytest.mark.parametrize("name", names())
def test_prompt_renders_as_its_snapshot(name: str) -> None:
    """Remade by: python -m tests.prompts.test_prompts (from the repository's root), then read the difference."""
    assert rendered(name) == (SNAPSHOTS / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", names())
def test_every_prompt_says_its_purpose_and_version(name: str) -> None:
    prompt = load(name)
    assert prompt.purpose
    assert prompt.version >= 1
    assert len(prompt.hash) == 12


def test_no_snapshot_without_its_prompt() -> None:
    assert {path.stem for path in SNAPSHOTS.glob("*.txt")} == set(names())


def test_render_refuses_a_missing_and_an_unknown_variable() -> None:
    with pytest.raises(PromptError, match=r"missing: problem, unknown: probelm"):
        load("plan_repair").render(probelm="x")


def test_braces_of_values_and_of_json_stay() -> None:
    prompt = parse("p", '---\npurpose: x\nversion: 1\nvariables: [q]\n---\nAnswer {"a": 1} to {q}.')
    assert prompt.render(q="{q} {tools}") == 'Answer {"a": 1} to {q} {tools}.'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no front matter", "must begin with front matter"),
        ("---\npurpose: x\nversion: one\nvariables: []\n---\ntext", "version"),
        ("---\npurpose: x\nversion: 1\n---\ntext", "variables"),
        ("---\npurpose: x\nversion: 1\nvariables: [a]\n---\ntext {b}", "differ in a, b"),
    ],
)
def test_malformed_prompts_are_refused(content: str, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        parse("p", content)


def test_unknown_prompt_is_named() -> None:
    with pytest.raises(PromptError, match=r"must be one of .*plan.*got 'plam'"):
        load("plam")


if __name__ == "__main__":
    for each in names():
        (SNAPSHOTS / f"{each}.txt").write_text(rendered(each), encoding="utf-8")
