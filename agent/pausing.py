"""When a plan waits for a person, and what the person is told.

The policy has three parts, strictest first: what the reading or the settings say of every plan, what the settings say
of one tool, and what the tool itself declares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from agent.plan import Plan
from agent.settings import ApprovalPolicy, Settings
from tools.contract import Tool
from tools.registry import Registry

if TYPE_CHECKING:
    from agent.record import RunRecord

_ENTRY = "approval policy"


class Pause(BaseModel):
    """A plan that waits for a person, with its cost and what it lacks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: Plan
    reasons: tuple[str, ...]
    """Why it waits."""
    estimated_seconds: float
    device_memory_mb: int
    """Of the largest step on a GPU; 0 where none needs one."""
    lacks: tuple[str, ...] = ()
    """Weights, spacing, a prior: what will be missing when it runs."""


def reasons_to_ask(plan: Plan, registry: Registry, settings: Settings, policy: ApprovalPolicy) -> tuple[str, ...]:
    """Return why a person must agree to a plan; nothing: it may run."""
    if policy == "ask-before-running":
        return ("every plan is shown before it runs",)
    asked = (reason_to_ask(registry.get(step.tool), settings, policy) for step in plan.steps)
    found = (f"{step.id} {step.tool}: {why}" for step, why in zip(plan.steps, asked, strict=True) if why)
    return tuple(dict.fromkeys(found))


def reason_to_ask(tool: Tool, settings: Settings, policy: ApprovalPolicy) -> str:
    """Return why a person must agree before a tool runs; nothing: it may run."""
    own = settings.tool_approval.get(tool.name)
    if own is not None:
        return "the settings ask for it" if own == "ask" else ""
    if tool.needs_approval:
        return "the tool asks for it"
    return "it hands results out" if policy == "ask-before-export" and tool.sends else ""


def keep_policy(record: RunRecord, policy: ApprovalPolicy) -> None:
    """Set the policy of one reading; it holds for its follow-ups and over a restart."""
    record.append(_ENTRY, policy=policy)


def policy_of(record: RunRecord, default: ApprovalPolicy) -> ApprovalPolicy:
    """Return the policy of a reading: the last that was set for it, else the settings'."""
    kept: list[Mapping[str, Any]] = [line for line in record.lines() if line["event"] == _ENTRY]
    return kept[-1]["policy"] if kept else default
