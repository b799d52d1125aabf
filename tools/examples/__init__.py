"""Example requests as data: one TOML file a verb, grouped by the calls that answer them.

A tool declares them with `examples=examples_of("segment")`; a tool of another package lists its own with `example()`.
"""

import tomllib
from pathlib import Path

from tools.contract import Example, plan_example

_FOLDER = Path(__file__).parent


def examples_of(name: str) -> tuple[Example, ...]:
    """Return the example requests of a verb.

    Args:
        name: the verb; its file is NAME.toml in this folder.
    """
    table = tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    return tuple(
        plan_example(request, *((tool, args) for tool, args in group["calls"]))
        for group in table["group"]
        for request in group["requests"]
    )
