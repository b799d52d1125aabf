"""Arguments of one call that are no references: from the words first, then from what was said and done before them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.plan import Step
from agent.planner.situation import NeedsAnswerError, Situation
from agent.planner.slots import fill, labels_in, landmarks_in, targets_in
from agent.planner.text import words
from tools.contract import Tool

_PRONOUN = re.compile(r"\b(?:it|its|them|their|they|these|those|this|that|each)\b", re.I)
_MEANS = re.compile(r"\b(?:with|using|via|by|through)\s+(?:the |a |an |your )?[\w.-]+\s*$", re.I)
_LABELLED = re.compile(
    r"(?:img|images?|films?|scans?|nos?\.?|numbers?)\s*#?(\d+)(?:\s*(?:-|–|to|through)\s*(?:img|image)?\s*#?(\d+))?"
    r"\s*(?:are|is|:|=|as|shows?|being)?\s+([a-z]\w*)",
    re.I,
)
_SKULL_STRIP = re.compile(
    r"skull[- ]?strip|(?:remove|strip|peel|take|cut)\w* (?:off |away )?(?:the )?skull\b|without the skull|de-?skull",
    re.I,
)


@dataclass(frozen=True)
class Wish:
    """One thing that a person asks for: a tool, in their words."""

    tool: str
    text: str
    request: str
    condition: str = ""
    """What it depends on, in the person's words."""
    given: Mapping[str, Any] | None = None
    """Arguments that a language model chose, None for those that it left out; they stand as they are."""


class Arguments:
    """Fills arguments of a plan's calls.

    Args:
        situation: attachments and earlier results.
        steps: the steps of the plan so far; later ones are seen as they come.
    """

    def __init__(self, situation: Situation, steps: list[Step]) -> None:
        self._situation = situation
        self._steps = steps
        self.spoken_targets: list[str] = []
        """The structures that the person named last."""

    def of(self, tool: Tool, wish: Wish) -> dict[str, Any]:
        """Return the arguments of a call, references aside.

        Raises:
            NeedsAnswerError: what shall be segmented, searched or explained was not said.
        """
        schema = tool.args_schema
        names = [n for n in schema["properties"] if n not in tool.refs]
        args = {**fill(schema, names, wish.text, wish.request), **(wish.given or {})}
        args = {name: value for name, value in args.items() if value is not None}
        special: dict[str, Callable[[Tool, Wish, dict[str, Any]], None]] = {
            "targets": self._targets,
            "query": self._query,
            "finding": self._finding,
            "target": self._target,
            "labels": self._labels,
        }
        for name in names:
            if name in special:
                special[name](tool, wish, args)
        return args

    def _targets(self, tool: Tool, wish: Wish, args: dict[str, Any]) -> None:
        if tool.name == "landmarks":
            args.pop("targets", None)
            if found := landmarks_in(wish.text) or targets_in(wish.text):
                args["targets"] = found
        if _SKULL_STRIP.search(wish.text):
            args["targets"] = ["brain"]
        if "targets" not in tool.args_schema.get("required", ()) or args.get("targets"):
            return
        found = self.spoken_targets or targets_in(wish.request)
        is_pronoun = _PRONOUN.search(wish.text) is not None
        unknown = unknown_structure(_MEANS.sub("", wish.text) if is_pronoun else wish.text, tool)
        if unknown and not (found and is_pronoun):
            args["targets"] = [unknown]
            return
        if not found:
            raise NeedsAnswerError("What shall be segmented? Name a structure, for instance lungs, liver or brain.")
        args["targets"] = list(found)

    def _query(self, tool: Tool, wish: Wish, args: dict[str, Any]) -> None:
        if args.get("query"):
            return
        about = [label for label in labels_in(wish.request) if label != "density"]
        about += [t for s in self._steps for t in s.args.get("targets") or ()] or targets_in(wish.request)
        images = self._situation.attached("image")
        about += [i.body_part.lower() for i in images[:1] if i.body_part and not about]
        if not about:
            raise NeedsAnswerError("What shall the reports say? Name a finding, for instance pleural effusion.")
        args["query"] = ", ".join(dict.fromkeys(name.replace("_", " ") for name in about))

    def _finding(self, tool: Tool, wish: Wish, args: dict[str, Any]) -> None:
        if args.get("finding"):
            return
        said = [label for s in self._steps for label in s.args.get("labels") or ()] or labels_in(wish.request)
        said += [label for r in self._situation.results for label in r.args.get("labels") or ()]
        if not said:
            raise NeedsAnswerError("Which finding shall be explained? Name it, for instance pneumonia or effusion.")
        args["finding"] = said[0]

    def _labels(self, tool: Tool, wish: Wish, args: dict[str, Any]) -> None:
        """Of images to learn from: one label each, where the person gives them all by number."""
        if "examples" not in tool.refs:
            return
        args.pop("labels", None)
        said: dict[int, str] = {}
        for first, last, label in _LABELLED.findall(wish.request):
            said |= {number: label.lower() for number in range(int(first), int(last or first) + 1)}
        numbers = [int(f.id.removeprefix("img")) for f in self._situation.attached("image")]
        if said and all(number in said for number in numbers):
            args["labels"] = [said[number] for number in numbers]
            args.pop("target", None)  # its words are the labels

    def _target(self, tool: Tool, wish: Wish, args: dict[str, Any]) -> None:
        if args.get("target"):
            return
        labels = [m.label for m in self._situation.attached("mask") if m.label]
        if "examples" in tool.refs and not labels and len(self._situation.attached("image")) > 1:
            return  # images with labels: what they are called is no structure
        spoken = targets_in(wish.request) or (labels if "examples" in tool.refs else [])
        if spoken:
            args["target"] = spoken[0]


def must_be_complete(tool: Tool, args: dict[str, Any]) -> None:
    """Ask for what a call cannot do without.

    Raises:
        NeedsAnswerError: a required argument is missing; says what it is.
    """
    schema = tool.args_schema
    for name in schema.get("required", ()):
        if name not in args:
            prop = schema["properties"][name]
            listed = f" One of: {', '.join(map(str, prop['enum']))}." if "enum" in prop else ""
            raise NeedsAnswerError(
                f"{tool.name} needs {name}: {prop.get('description', name)}. What shall it be?{listed}"
            )


def unknown_structure(text: str, tool: Tool) -> str:
    """Return the words for a structure that the anatomy does not know; "" when the text names none."""
    plain = set(words()["structures"]["plain"].split()) | set(words()["clauses"]["leads"]) | {tool.name}
    plain |= {word for given in tool.examples for word in given.request.lower().split()[:1]}
    measures = _stems(p for said in words()["values"]["quantities"].values() for p in said)
    said = re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", text.lower())
    return " ".join([w for w in said if w not in plain and not w.startswith(measures)][:4])


def _stems(phrases: Iterable[str]) -> tuple[str, ...]:
    return tuple(word for phrase in phrases for word in phrase.rstrip("*").split() if len(word) > 2)
