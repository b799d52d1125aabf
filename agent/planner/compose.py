"""Composes a plan from what the parts of a request ask for; what a step needs first comes from the data flow.

A tool that needs a mask gets the segmentation that makes it; a draft gets the results that it rests on. Which tool
makes which kind comes from the registry.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent.plan import Condition, Step
from agent.planner.arguments import Arguments, Wish, must_be_complete, unknown_structure
from agent.planner.conditions import limit_in
from agent.planner.references import References, missing
from agent.planner.situation import CannotDoError, NeedsAnswerError, Situation
from agent.planner.slots import enumerated, implied_targets_in, labels_in, targets_in
from agent.planner.text import words
from tools.contract import Tool
from tools.errors import ToolError
from tools.facts import AttachmentFacts
from tools.imaging.anatomy import TargetMention, find_targets, in_region
from tools.preconditions import check_call
from tools.registry import Registry

if TYPE_CHECKING:
    from tools.models.hub import Hub

# What a report of a body part measures when the person names nothing.
_USUAL_TARGETS = {
    "CHEST": "lungs",
    "THORAX": "lungs",
    "LUNG": "lungs",
    "HEAD": "brain",
    "BRAIN": "brain",
    "ABDOMEN": "liver",
}
_HOUNSFIELD = re.compile(r"\b(?:hu|hounsfield)\b", re.I)
MIN_LABELLED = 4  # fewer images are a study and its series, not examples with labels
_CLASSIFIER = re.compile(r"\bclassif\w+|\btell\w* (?:\w+ )*apart\b|\bdistinguish\w*|\blabell?ed images\b", re.I)
_IN_PACS = re.compile(r"\b(?:pacs|archive|vna|dicomweb)\b", re.I)
_PAIRED_QUANTITIES = {"ratio"}
_PLAIN_QUANTITIES = ("volume", "intensity")  # what `measure` gives when nothing is named


class Composer:
    """Builds the steps of one plan.

    Args:
        registry: the tools.
        hub: the models, for preconditions.
        situation: attachments and earlier results.
    """

    def __init__(self, registry: Registry, hub: Hub, situation: Situation) -> None:
        self.steps: list[Step] = []
        self._said = ""
        self.notes: list[str] = []
        """What was put in the place of something that cannot be had."""
        self._registry = registry
        self._hub = hub
        self._situation = situation
        self._refs = References(situation, registry, self.steps)
        self._arguments = Arguments(situation, self.steps)

    def add(self, wish: Wish) -> None:
        """Add the step that a wish asks for, and before it what it needs.

        Raises:
            NeedsAnswerError: something must be said or attached first.
        """
        self._said = wish.request
        if found := self._found_not_outlined(wish):
            sought, wish = found
            self.add(sought)
            if not targets_in(wish.text):
                return
        tool = self._registry.get(wish.tool)
        self._fetch_the_prior(tool, wish)
        when = self._condition(wish)
        spoken = list((wish.given or {}).get("targets") or targets_in(wish.text))
        args = self._arguments.of(tool, wish)
        if tool.name == "fetch_study" and "uid" not in args:
            args["prior_of"] = f"@{self._refs.whose_prior(wish.text)}"
        for name, kinds in tool.refs.items():
            if (value := self._reference(tool, name, kinds, wish, args)) is not None:
                args[name] = value
        self._arguments.spoken_targets = spoken or self._arguments.spoken_targets
        must_be_complete(tool, args)
        self._append(tool, args, when)

    def _fetch_the_prior(self, tool: Tool, wish: Wish) -> None:
        """Put before a comparison the step that fetches the prior, where a person says that it lies in the PACS."""
        images = self._situation.attached("image")
        if tool.name != "compare" or len(images) != 1 or not _IN_PACS.search(wish.request):
            return
        if "fetch_study" in self._registry and not any(s.tool == "fetch_study" for s in self.steps):
            fetch = self._registry.get("fetch_study")
            self._append(fetch, {"prior_of": f"@{images[0].id}"}, None)

    def _found_not_outlined(self, wish: Wish) -> tuple[Wish, Wish] | None:
        """Return the wish to find what is to be measured, where no model outlines it and one finds it, and the rest."""
        if wish.tool != "measure" or wish.given is not None or not self._situation.attached("image"):
            return None
        spoken = find_targets(wish.text)
        targets = [t for mention in spoken for t in mention.targets] or self._arguments.spoken_targets
        image = self._refs.image(wish.text)
        lacking = [t for t in targets if not self._can("segment", {"image": image, "targets": [t]})]
        if not lacking or self._refs.mask(wish.text, targets):
            return None
        outlined = [m for m in spoken if not set(m.targets) & set(lacking)]
        said = _without(wish.text, outlined) if spoken else wish.request
        sought = replace(wish, tool="detect", text=said)
        args = self._arguments.of(self._registry.get("detect"), sought) if "detect" in self._registry else {}
        if "target" not in args or not self._can("detect", {"image": image, **args}):
            return None
        self.notes.append(f"no model here outlines {', '.join(lacking)}: boxes say where and how large, no volume")
        return sought, replace(wish, text=_without(wish.text, [m for m in spoken if m not in outlined]))

    def _condition(self, wish: Wish) -> Condition | None:
        """Return what a step depends on; measures it first where nothing has yet."""
        limit = limit_in(wish.condition)
        if limit is None or "measure" not in self._registry:
            return None
        measured = self._measures(limit.quantity)
        if measured is None:
            self.add(Wish("measure", f"{limit.quantity.replace('_', ' ')}: {wish.condition}", wish.request))
            measured = self.steps[-1].id
        return Condition(step=measured, **limit._asdict())

    def _measures(self, quantity: str) -> str | None:
        """Return the step that measures a quantity, this plan's before the reading's; a plain one measures volume."""
        mine = [(s.id, s.args) for s in self.steps if s.tool == "measure"]
        earlier = [(r.id, dict(r.args)) for r in self._situation.results if r.tool == "measure"]
        for step, args in [*reversed(mine), *reversed(earlier)]:
            if quantity in (args.get("quantities") or _PLAIN_QUANTITIES):
                return str(step)
        return None

    # --- references

    def _reference(
        self, tool: Tool, name: str, kinds: Sequence[str], wish: Wish, args: dict[str, Any]
    ) -> str | list[str] | None:
        pair = self._pair(tool, name, wish)
        if not pair and name == "prior" and "current" in tool.refs:
            return None  # the tool looks for it
        is_required = name in tool.args_schema.get("required", ())
        is_list = _is_list(tool, name)
        if name == "evidence":
            return self._evidence(kinds, wish, is_required=is_required)
        if pair:
            found = [pair]
        elif tuple(kinds) == ("image",):
            is_needed = is_required or (name == "image" and not self._can(tool.name, args))
            found = [self._refs.image(wish.text, self._fitting(tool, name, args))] if is_needed else []
        elif tuple(kinds) == ("mask",):
            found = self._masks(tool, wish, args, is_list=is_list) if is_required else []  # it makes its own else
        elif name == "examples":
            found = self._learned_from(wish)
        elif name == "artifacts":
            found = [self._artifact(kinds, wish, args)]
        else:
            found = [latest] if (latest := self._refs.latest(kinds, wish.text)) else []
            if not found and is_required:
                raise NeedsAnswerError(missing(kinds))
        marked = [f"@{i}" for i in found]
        return (marked if is_list else marked[0]) if marked else None

    def _pair(self, tool: Tool, name: str, wish: Wish) -> str:
        """Return which of two images stands here, for the tools that take two."""
        if name in ("fixed", "moving") and {"fixed", "moving"} <= set(tool.refs):
            fixed, moving = self._refs.pair(wish.text)
            return fixed if name == "fixed" else moving
        if name in ("current", "prior") and {"current", "prior"} <= set(tool.refs):
            current, prior = self._refs.current_and_prior(f"{wish.text} {wish.request}")
            return current if name == "current" else prior
        return ""

    def _learned_from(self, wish: Wish) -> list[str]:
        """Return the masks to learn from, else the images, where there are several that could have labels."""
        masks = [m.id for m in self._situation.attached("mask")] or self._refs.results(("mask",))
        images = [i.id for i in self._situation.attached("image")]
        if masks and not (_CLASSIFIER.search(wish.request) and len(images) > len(masks)):
            return masks
        if len(images) < MIN_LABELLED:
            raise NeedsAnswerError(
                "There is nothing to learn from. Attach masks of the structure, or images with one label each."
            )
        return images

    def _masks(self, tool: Tool, wish: Wish, args: dict[str, Any], *, is_list: bool) -> list[str]:
        if is_list:
            attached = [m.id for m in self._situation.attached("mask")] or self._refs.results(("mask",))
            if not attached:
                raise NeedsAnswerError(missing(("mask",)))
            return attached
        self._no_hounsfield_outside_ct(wish)
        if wish.given is not None and (made := [s.id for s in self.steps if self._registry.get(s.tool).kind == "mask"]):
            return made[-1:]
        targets = targets_in(wish.text)
        if mask := self._refs.mask(wish.text, targets):
            return [mask]
        targets = targets or implied_targets_in(wish.text) or self._arguments.spoken_targets or targets_in(wish.request)
        unknown = "" if targets else unknown_structure(wish.text, tool)
        if not targets and not unknown:
            boxes = self._refs.latest(("boxes",))
            known = f"The boxes of {boxes} have their sizes already. " if boxes else ""
            raise NeedsAnswerError(f"{known}What shall be measured? Name a structure, for instance lungs or liver.")
        if _PAIRED_QUANTITIES & set(args.get("quantities") or ()) and "lungs" in targets:
            targets = ["lung_left", "lung_right"]
        return [self._make("mask", wish, targets=targets or [unknown])]

    def _no_hounsfield_outside_ct(self, wish: Wish) -> None:
        """Refuse Hounsfield units of an image that has none, whatever the quantity is called in the plan."""
        if not _HOUNSFIELD.search(wish.text):
            return
        images = [f for f in self._situation.attached("image") if f.modality]
        if images and not any(f.modality == "CT" for f in images):
            raise CannotDoError(f"{images[0].id} is {images[0].modality}: Hounsfield units exist only in CT.")

    def _artifact(self, kinds: Sequence[str], wish: Wish, args: dict[str, Any]) -> str:
        """Return what shall be exported; makes it where the person named a structure."""
        takes = [k for k in words()["takes"].get(str(args.get("format", "")), kinds) if k in kinds]
        targets = targets_in(wish.text) or self._arguments.spoken_targets
        spoken = targets_in(wish.text)
        wanted = set(enumerated("quantities", _QUANTITIES, wish.text))
        has_steps = any(self._registry.get(s.tool).kind in takes for s in self.steps)
        if (wanted or (spoken and "measurements" in takes and takes[0] == "measurements")) and not has_steps:
            measure = self._maker("measurements")
            self.add(Wish(measure.name, wish.text, wish.request))
            return self.steps[-1].id
        if not has_steps and spoken and "mask" in takes and not self._refs.mask(wish.text, spoken):
            return self._make("mask", wish, targets=targets)
        if found := self._refs.latest(takes, wish.text):
            return found
        if targets and "mask" in takes:
            return self._make("mask", wish, targets=targets)
        if "measurements" in takes and (targets or self._refs.latest(("mask",))):
            self.add(Wish(self._maker("measurements").name, wish.text, wish.request))
            return self.steps[-1].id
        self._suits_another(kinds, str(args.get("format", "")))
        raise NeedsAnswerError(missing(takes or kinds))

    def _suits_another(self, kinds: Sequence[str], wanted: str) -> None:
        """Say in which formats what there is can be had, where it cannot be had in the one that is wanted."""
        if there := self._refs.latest(kinds):
            made = {r.id: r.kind for r in self._situation.results}
            kind = made.get(there) or next((self._registry.get(s.tool).kind for s in self.steps if s.id == there), "")
            if formats := [name for name, takes in words()["takes"].items() if kind in takes]:
                raise NeedsAnswerError(f"{there} ({kind}) cannot be had as {wanted}. As which of {', '.join(formats)}?")

    def _evidence(self, kinds: Sequence[str], wish: Wish, *, is_required: bool) -> list[str] | None:
        usable = [k for k in kinds if k not in ("image", "report")]
        found = self._refs.results(usable, include_earlier=is_required)
        if not found and is_required:
            self._add_usual_evidence(wish)
            found = self._refs.results(usable)
        if set(found) <= {s.id for s in self.steps if self._registry.get(s.tool).kind == "hits"} and is_required:
            self._add_usual_evidence(wish)
            found = self._refs.results(usable)
        return [f"@{i}" for i in found] or None

    def _add_usual_evidence(self, wish: Wish) -> None:
        """Add what a draft rests on when the person names nothing: findings of a film, measurements of a volume."""
        image = self._refs.image(wish.text)
        facts = self._situation.facts.get(image)
        named = [t for t in targets_in(wish.text) if not labels_in(t.replace("_", " "))]
        if not named and "classify" in self._registry and self._can("classify", {"image": image}):
            self._insert(Step(id=self._next(), tool="classify", args={"image": f"@{image}"}))
            return
        usual = _USUAL_TARGETS.get(facts.body_part, "") if facts else ""
        targets = named or ([usual] if usual else [])
        if targets and self._can("segment", {"image": image, "targets": targets}) and "measure" in self._registry:
            self.add(Wish("measure", " and ".join(t.replace("_", " ") for t in targets), wish.request))
            return
        if "describe" in self._registry:
            self._insert(Step(id=self._next(), tool="describe", args={"image": f"@{image}"}))

    # --- steps

    def _make(self, kind: str, wish: Wish, *, targets: Sequence[str]) -> str:
        maker = self._maker(kind)
        args: dict[str, Any] = {"targets": list(targets)}
        image = self._refs.image(wish.text, self._fitting(maker, "image", args))
        return self._append(maker, {"image": f"@{image}", **args})

    def _maker(self, kind: str) -> Tool:
        """Return the tool that makes a kind of result; the plain verb where several do."""
        usual = {"mask": "segment", "measurements": "measure"}.get(kind, "")
        if usual in self._registry:
            return self._registry.get(usual)
        for tool in self._registry:
            if tool.kind == kind:
                return tool
        raise NeedsAnswerError(missing((kind,)))

    def _append(self, tool: Tool, args: dict[str, Any], when: Condition | None = None) -> str:
        """Add a step, or say more in one that is there; return its id."""
        args = self._as_meant_here(args)
        same_tool = [s for s in self.steps if s.tool == tool.name and s.when == when]
        plain = {name: value for name, value in args.items() if name != "image"}
        for step in same_tool:
            own = {name: value for name, value in step.args.items() if name != "image"}
            if args.get("image") == f"@{step.id}" and all(own[n] == plain[n] for n in set(own) & set(plain)):
                return self._replace(step, {**plain, **step.args})  # the same on what it has just made, or more of it
        twin = next((s for s in same_tool if _joinable(s.args, args) or _says_more(s.args, args)), None)
        if twin is None:
            return self._insert(Step(id=self._next(), tool=tool.name, args=args, when=when))
        return self._replace(twin, _joined(twin.args, args))

    def _as_meant_here(self, args: dict[str, Any]) -> dict[str, Any]:
        """Return arguments with the structures that a person means in an image of this region."""
        facts = self._situation.facts.get(str(args.get("image") or args.get("current") or "").removeprefix("@"))
        targets = args.get("targets")
        if facts is None or not isinstance(targets, list):
            return args
        return {**args, "targets": in_region(facts.body_part, targets, self._said)}

    def _replace(self, step: Step, args: dict[str, Any]) -> str:
        self.steps[self.steps.index(step)] = step.model_copy(update={"args": self._in_order(step.tool, args)})
        return step.id

    def _insert(self, step: Step) -> str:
        self.steps.append(step.model_copy(update={"args": self._in_order(step.tool, step.args)}))
        return step.id

    def _in_order(self, tool: str, args: Mapping[str, Any]) -> dict[str, Any]:
        order = list(self._registry.get(tool).args_schema["properties"])
        return {name: args[name] for name in sorted(args, key=order.index)}

    def _next(self) -> str:
        return f"s{self._situation.first_step + len(self.steps)}"

    def _fitting(self, tool: Tool, name: str, args: dict[str, Any]) -> list[str]:
        images = self._situation.attached("image")
        return [f.id for f in images if self._can(tool.name, {**args, name: f.id})]

    def _can(self, tool_name: str, args: dict[str, Any]) -> bool:
        if tool_name not in self._registry:
            return False
        facts: dict[str, AttachmentFacts] = dict(self._situation.facts)
        try:
            check_call(self._registry.get(tool_name), args, facts, self._hub)
        except ToolError:
            return False
        return True


_QUANTITIES = ("volume", "intensity", "hu_classes", "diameter", "surface_area", "radiomics", "ratio")


def _without(text: str, mentions: Sequence[TargetMention]) -> str:
    """Return a text without some of the structures that it names."""
    for mention in sorted(mentions, key=lambda m: -m.start):
        text = text[: mention.start] + text[mention.end :]
    return text


def _is_list(tool: Tool, name: str) -> bool:
    prop = tool.args_schema["properties"][name]
    options = [prop, *prop.get("anyOf", ())]
    return any(option.get("type") == "array" for option in options)


def _joinable(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Return whether two calls of a tool differ only in lists of targets, labels or quantities."""
    lists = {"targets", "labels", "quantities"}
    same = {k: v for k, v in old.items() if k not in lists} == {k: v for k, v in new.items() if k not in lists}
    return same and bool(lists & (set(old) | set(new)) or old == new)


def _says_more(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Return whether one of two calls only adds an argument to the other: "similar ones … the four nearest"."""
    shared = set(old) & set(new)
    return all(old[n] == new[n] for n in shared) and (shared == set(old) or shared == set(new))


def _joined(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    both = {**old, **new}
    if ("quantities" in old) != ("quantities" in new) and "mask" in both:
        both["quantities"] = [*_PLAIN_QUANTITIES, *(q for q in both["quantities"] if q not in _PLAIN_QUANTITIES)]
        return both
    for name in ("targets", "labels", "quantities"):
        if name in old and name in new:
            both[name] = list(dict.fromkeys([*old[name], *new[name]]))
    return both
