"""Writes the package that `readingroom tools new NAME` gives, and checks what such a package installs."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import NoReturn

from tools.errors import BadInputError, UnavailableError
from tools.registry import Registry
from tools.testing import CheckReport, Lent, check_tool

LAYOUT = {
    "pyproject.toml.tmpl": "pyproject.toml",
    "README.md.tmpl": "README.md",
    "package.py.tmpl": "src/$package/__init__.py",
    "tool.py.tmpl": "src/$package/tool.py",
    "runtime.py.tmpl": "src/$package/runtime.py",
    "requests.toml.tmpl": "src/$package/requests.toml",
    "card.toml.tmpl": "src/$package/cards/$card.toml",
    "test_contract.py.tmpl": "tests/test_contract.py",
}
"""Template by the file that it becomes."""


def write_package(name: str, folder: Path, taken: Collection[str]) -> Path:
    """Write a package with a tool of that name and return its folder.

    Args:
        name: of the tool: lower-case letters, digits and underscores.
        folder: where the package's own folder is made.
        taken: names of tools that are there already.

    Raises:
        BadInputError: the name is none, or taken, or its folder is there already.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise BadInputError(f"NAME must be lower-case words joined by '_', such as bright_fraction; got {name!r}")
    if name in taken:
        raise BadInputError(f"a tool named {name!r} is there already; choose another name")
    words = {
        "name": name,
        "title": name.replace("_", " "),
        "card": name.replace("_", "-"),
        "distribution": f"readingroom-{name.replace('_', '-')}",
        "package": f"readingroom_{name}",
    }
    root = folder / words["distribution"]
    if root.exists():
        raise BadInputError(f"{root} is there already; remove it or give another --dir")
    for template, path in LAYOUT.items():
        target = root / Template(path).substitute(words)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = files(__package__).joinpath("template", template).read_text(encoding="utf-8")
        target.write_text(Template(text).substitute(words), encoding="utf-8")
    return root


def check_installed(name: str, folder: Path) -> CheckReport:
    """Run the conformance kit over an installed tool, for the tests of the package that brings it.

    Args:
        name: of the tool.
        folder: an empty folder for the kit's reading.

    Raises:
        NotFoundError: no such tool is installed; or it could not be loaded: says why.
    """
    from tools.models.hub import Hub

    registry = Registry.installed()
    return check_tool(registry.get(name), registry, Lent(Hub.installed(), _no_reports), folder)


def _no_reports() -> NoReturn:
    raise UnavailableError("the conformance kit of a package has no report store")
