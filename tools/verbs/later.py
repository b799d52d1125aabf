"""Verbs that are defined, so that they can be planned, and that nothing stands behind yet.

Each says what is missing; a plan with such a step is marked before it runs, and the step fails with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from tools.contract import Precheck
from tools.facts import ArtifactKind, AttachmentFacts
from tools.results import ToolResult

if TYPE_CHECKING:
    from tools.models.hub import Hub

NO_RUNTIME = "no runtime for its models is part of it yet"
NO_METHOD = "its method is not part of it yet"


class Copies(ToolResult):
    """Files that were made."""

    kind: ClassVar[ArtifactKind] = "files"


def not_yet(name: str) -> NoReturn:
    """Stop where the contract already has; a verb's body ends here until its method comes."""
    raise AssertionError(f"{name} is marked as unavailable and must not be reached")


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
