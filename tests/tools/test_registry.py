"""Tools come in through entry points; a broken plugin is reported and takes nobody down."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from tools import registry as module
from tools.errors import NotFoundError
from tools.registry import Registry
from tools.verbs.describe import describe


def test_our_own_tools_are_installed_through_the_same_door() -> None:
    installed = Registry.installed()
    assert {"describe", "draft_report", "export", "measure", "search_reports", "segment"} <= set(installed.names)
    assert installed.broken == ()


def test_a_plugin_that_fails_to_import_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    group = "readingroom.tools"
    entries = [
        EntryPoint("describe", "tools.verbs.describe:describe", group),
        EntryPoint("gone", "no_such_package.tool:tool", group),
        EntryPoint("wrong", "tools.facts:Requires", group),
    ]
    monkeypatch.setattr(module, "entry_points", lambda group: entries)
    found = Registry.installed()
    assert found.names == ("describe",)
    assert {b.name: b.reason.split(":")[0] for b in found.broken} == {
        "gone": "ModuleNotFoundError",
        "wrong": "TypeError",
    }


def test_a_name_taken_twice_is_refused_not_renamed() -> None:
    with pytest.raises(ValueError, match="two tools are named 'describe'"):
        Registry([describe, describe])


def test_an_unknown_tool_is_named_with_those_there_are() -> None:
    with pytest.raises(NotFoundError, match="no tool named 'x_ray_everything'; there are: describe"):
        Registry([describe]).get("x_ray_everything")
