"""The graph as `langgraph dev` serves it."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Annotated

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import Field

from agent.llm.meter import MeteredLLM
from agent.plan import Plan, Step
from agent.serve import served
from agent.testing import ScriptedLLM
from tools.contract import ToolContext, tool
from tools.registry import Registry
from tools.results import Measurements

ROOT = Path(__file__).parents[2]


def test_langgraph_json_names_a_graph_that_can_be_made() -> None:
    config = json.loads((ROOT / "langgraph.json").read_text())
    module, name = config["graphs"]["readingroom"].split(":")
    made = getattr(importlib.import_module(module), name)()
    assert {"guard", "plan", "review", "act", "reflect", "answer", "verify"} <= set(made.get_graph().nodes)


def test_a_thread_is_a_reading_and_attachments_are_paths(make_assistant, nifti) -> None:
    assistant = make_assistant(Plan(steps=(Step(id="s1", tool="wait", args={}),)))
    graph = served(assistant, InMemorySaver())
    config = {"configurable": {"thread_id": "thread-1"}}
    state = graph.invoke({"request": "wait", "attachments": [str(nifti)]}, config)
    assert [c["text"] for c in state["claims"]] == ["Volume of the phantom: 0.0 ml."]
    assert [a.id for a in assistant.workspace("thread-1").attachments()] == ["img1"]


def test_a_pause_is_an_interrupt_that_the_server_resumes(make_assistant) -> None:
    graph = served(make_assistant(Plan(steps=(Step(id="s1", tool="delicate", args={}),))), InMemorySaver())
    config = {"configurable": {"thread_id": "thread-2"}}
    paused = graph.invoke({"request": "do it"}, config)
    assert paused["__interrupt__"][0].value["plan"]["steps"][0]["tool"] == "delicate"
    done = graph.invoke(Command(resume={"decision": "approve"}), config)
    assert done["results"]["s1"]["status"] == "done"


def test_a_served_node_keeps_to_the_tokens_of_the_settings(make_assistant, box) -> None:
    @tool()
    def wordy(ctx: ToolContext, words: Annotated[int, Field(description="how many")] = 400) -> Measurements:
        """Ask the language model."""
        return Measurements(summary=ctx.open_llm().complete("x" * words), rows=())

    assistant = make_assistant(Plan(steps=(Step(id="s1", tool="wordy", args={}),)), max_llm_tokens=50)
    assistant._given_registry = Registry([wordy])
    assistant._llm = MeteredLLM(ScriptedLLM(["never"]))
    graph = served(assistant, InMemorySaver())
    state = graph.invoke({"request": "talk"}, {"configurable": {"thread_id": "thread-3"}})
    assert state["results"]["s1"]["status"] == "failed"
    assert "READINGROOM_MAX_LLM_TOKENS" in state["results"]["s1"]["message"]
