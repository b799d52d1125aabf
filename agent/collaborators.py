"""What the readings of an assistant share: tools, models, the report store, the language model and the planner.

Each can be given; what is not is made from the settings, at first use.
"""

from __future__ import annotations

import sys
import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from agent.checkpoints import Checkpoints
from agent.isolation import Workers
from agent.llm.meter import MeteredLLM
from agent.settings import Settings
from tools.registry import Registry
from tools.workspace import Workspace

if TYPE_CHECKING:
    from agent.llm.chat import ChatModel
    from agent.planner import Planner
    from knowledge.assets import Assets
    from knowledge.embed import Embedder
    from knowledge.search import Knowledge
    from tools.models.hub import Hub


class Collaborators:
    """What an assistant works with, opened at first use.

    Its arguments are described at `agent.assistant.Assistant`.
    """

    def __init__(  # noqa: PLR0913  every collaborator can be replaced
        self,
        *,
        settings: Settings | None = None,
        registry: Registry | None = None,
        hub: Hub | None = None,
        llm: ChatModel | None = None,
        embedder: Embedder | None = None,
        knowledge: Knowledge | None = None,
        planner: Planner | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self._given_registry = registry
        self._given_hub = hub
        self._llm = None if llm is None else MeteredLLM(llm)
        self._embedder = embedder
        self._knowledge = knowledge
        self._planner = planner
        self._checkpoints = Checkpoints(self.settings.checkpoints.get_secret_value())
        self._workers = Workers(self.settings)
        self._opening = threading.RLock()
        self._cancels: dict[str, threading.Event] = {}
        self._workspaces: dict[str, Workspace] = {}

    def use(self, settings: Settings) -> None:
        """Take other settings for language model and approval from the next request on; the rest must be the same."""
        with self._opening:
            self.settings, self._llm, self._planner = settings, None, None

    @cached_property
    def registry(self) -> Registry:
        """The tools."""
        return Registry.installed() if self._given_registry is None else self._given_registry

    @cached_property
    def hub(self) -> Hub:
        """The models."""
        if self._given_hub is not None:
            return self._given_hub
        from tools.audit import AuditLog
        from tools.models.hub import Hub

        hub = Hub.installed(
            device=self.device,
            device_memory_mb=self.settings.device_memory_mb,
            weights_dir=self.settings.weights_dir,
            assets=self.assets,
            remote_models=self.settings.remote_models,
        )
        hub.audit = AuditLog(self.settings.audit_path)
        return hub

    @cached_property
    def assets(self) -> Assets:
        """The cached samples and weights."""
        from knowledge.assets import Assets

        return Assets(self.settings.cache_dir)

    @cached_property
    def device(self) -> str:
        """The device that models run on."""
        if self.settings.device != "auto":
            return self.settings.device
        if not Path("/dev/nvidiactl").exists() and sys.platform != "win32":
            return "cpu"  # no driver: spare the two seconds that importing torch takes
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"

    def open_knowledge(self) -> Knowledge:
        """Return the report store, opened at first use."""
        with self._opening:
            if self._knowledge is None:
                from knowledge.search import Knowledge

                folder = self.settings.data_dir / "reports"
                self._knowledge = Knowledge.open(folder, self.open_embedder(), server=self.settings.chroma_url)
            return self._knowledge

    def open_embedder(self) -> Embedder:
        """Return the sentence embedder, loaded at first use."""
        with self._opening:
            if self._embedder is None:
                from knowledge.embed import load_embedder

                self._embedder = load_embedder(self.assets)
            return self._embedder

    def open_llm(self) -> ChatModel:
        """Return the language model, started at first use."""
        with self._opening:
            if self._llm is None:
                from agent.llm import open_llm

                self._llm = MeteredLLM(open_llm(self.settings, self.assets, self._workspaces))
            return self._llm

    def open_planner(self) -> Planner:
        """Return the planner, made at first use."""
        with self._opening:
            if self._planner is None:
                from agent.planner import Planner

                self._planner = Planner(
                    llm=self.open_llm(),
                    registry=self.registry,
                    hub=self.hub,
                    embedder=self.open_embedder(),
                    max_steps=self.settings.max_steps,
                    max_seconds=self.settings.max_seconds,
                    cache_dir=self.settings.cache_dir / "planner",
                    route=self.settings.plan_by,
                )
            return self._planner
