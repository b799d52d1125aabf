"""The one graph: guard → plan → review → act → reflect → answer → verify. Each arrow is a saved state."""

from __future__ import annotations

from typing import Any, Literal

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from agent.context import RunContext
from agent.nodes.act import act
from agent.nodes.answer import answer
from agent.nodes.guard import guard
from agent.nodes.plan import plan
from agent.nodes.reflect import reflect
from agent.nodes.review import review
from agent.nodes.verify import verify
from agent.state import InputState, State

Graph = CompiledStateGraph[State, RunContext, InputState, State]


def build_graph(checkpointer: BaseCheckpointSaver[Any] | None = None) -> Graph:
    """Return the compiled graph.

    Args:
        checkpointer: where states are kept; None keeps none, so that a run cannot pause or resume.
    """
    graph = StateGraph(State, context_schema=RunContext, input_schema=InputState)
    for node in (guard, plan, review, act, reflect, answer, verify):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "guard")
    graph.add_conditional_edges("guard", after_guard)
    graph.add_conditional_edges("plan", after_plan)
    graph.add_conditional_edges("review", after_review)
    graph.add_edge("act", "reflect")
    graph.add_conditional_edges("reflect", after_reflect)
    graph.add_edge("answer", "verify")
    graph.add_edge("verify", END)
    return graph.compile(checkpointer=checkpointer)


def after_guard(state: State) -> Literal["plan", "answer"]:
    """Skip the planner when there is nothing to plan."""
    return "answer" if state.get("outcome") else "plan"


def after_plan(state: State) -> Literal["review", "answer"]:
    """Show a plan; give a question or a refusal back at once."""
    return "review" if state["outcome"]["outcome"] == "plan" else "answer"


def after_review(state: State) -> Literal["act", "plan", "answer"]:
    """Run an approved plan; plan a rejected one again when the person said why."""
    if state["outcome"]["outcome"] != "plan":
        return "answer"
    return "act" if state["decision"] == "approve" else "plan"


def after_reflect(state: State) -> Literal["plan", "answer"]:
    """Plan again when reflect left a comment."""
    return "plan" if state.get("comment") else "answer"
