"""Checks one call against what is attached, before any device time is spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tools.contract import Precheck, Tool
from tools.errors import UnsupportedError
from tools.facts import AttachmentFacts

if TYPE_CHECKING:
    from tools.models.hub import Hub


def check_call(tool: Tool, args: Mapping[str, Any], facts: Mapping[str, AttachmentFacts], hub: Hub) -> None:
    """Raise with the reason a person would read when an image is not what the tool needs.

    Args:
        tool: the tool to call.
        args: validated arguments, references without '@'.
        facts: what is attached, by id. Results of steps are not among them and are checked when they exist.
        hub: the models, for preconditions that depend on the chosen one.

    Raises:
        UnsupportedError: wrong modality, body part or dimensions; says what was expected, what came, what to do.
        BadInputError: an argument that facts alone show to be wrong.
    """
    for parameter, requires in tool.requires.items():
        image = args.get(parameter)
        if isinstance(image, str) and image in facts and (reason := requires.refusal(facts[image])):
            raise UnsupportedError(f"{tool.name} cannot be run: {reason}")
    if tool.precheck:
        tool.precheck(args, facts, hub)


def needs_model(verb: str, targets: str = "") -> Precheck:
    """Return a precondition: some registered model serves the verb on this image, for the named targets.

    Args:
        verb: the tool's name, as model cards have it.
        targets: the parameter that names what to look for; empty where the verb knows none.
    """

    def check(args: Mapping[str, Any], facts: Mapping[str, AttachmentFacts], hub: Hub) -> None:
        image = str(args.get("image", ""))
        if image in facts:
            asked = args.get(targets) or ()
            hub.choose(verb, facts[image], (asked,) if isinstance(asked, str) else tuple(asked))

    return check
