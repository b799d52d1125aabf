"""The graph as LangGraph's own server wants it: `langgraph dev` finds `graph` here through langgraph.json.

The server keeps the checkpoints and gives each thread an id; that id is the reading. Attachments come as paths on the
server's machine, in the input: {"request": "…", "attachments": ["ct.nii.gz"]}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.assistant import Assistant
from agent.graph import Checkpointer, Graph, build_graph

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from agent.context import RunContext


def graph() -> Graph:
    """Return the graph over one assistant made from the settings."""
    return served(Assistant())


def served(assistant: Assistant, checkpointer: Checkpointer | None = None) -> Graph:
    """Return a graph whose threads are readings of an assistant."""

    def lend(config: RunnableConfig) -> RunContext:
        reading = str(config["configurable"]["thread_id"])
        return assistant.context(assistant.begin(reading))

    return build_graph(checkpointer, lend=lend)
