"""What one run lends the graph's nodes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.checkpoints import Checkpoints
from agent.events import Emit
from agent.isolation import Workers
from agent.record import RunRecord
from agent.settings import ApprovalPolicy, Settings
from tools.registry import Registry
from tools.workspace import Workspace

if TYPE_CHECKING:
    from agent.llm import ChatModel
    from agent.planner import Planner
    from knowledge.search import Knowledge
    from tools.models.hub import Hub


@dataclass(frozen=True)
class RunContext:
    """Collaborators of one run; heavy ones open at first use."""

    reading: str
    settings: Settings
    workspace: Workspace
    registry: Registry
    hub: Hub
    record: RunRecord
    emit: Emit
    open_planner: Callable[[], Planner]
    open_knowledge: Callable[[], Knowledge]
    open_llm: Callable[[], ChatModel]
    checkpoints: Checkpoints
    workers: Workers
    approval: ApprovalPolicy = "auto"
    """The reading's own, or the settings'."""
    device: str = "cpu"
    cancelled: threading.Event = field(default_factory=threading.Event)
    started: float = field(default_factory=time.monotonic)
    """When this run began, on the monotonic clock; waiting for a person does not count."""
