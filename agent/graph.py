"""The one graph: guard → plan → review → act → reflect → answer → verify. Each arrow is a saved state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command

from agent.context import RunContext
from agent.llm.meter import metered
from agent.nodes.act import act
from agent.nodes.answer import answer
from agent.nodes.guard import guard
from agent.nodes.plan import plan
from agent.nodes.reflect import reflect
from agent.nodes.review import review
from agent.nodes.verify import verify
from agent.run import meter_of
from agent.state import InputState, State

Graph = CompiledStateGraph[State, RunContext, InputState, State]
Checkpointer = BaseCheckpointSaver[Any]
Lend = Callable[[RunnableConfig], RunContext]


class Node(Protocol):
    """A step of the graph: state and what the run lends in, a partial update out."""

    __name__: str

    def __call__(self, state: State, runtime: Runtime[RunContext]) -> State:
        """Return what changes."""
        ...


class ConfiguredNode(Protocol):
    """A node that gets its run's config only."""

    def __call__(self, state: State, config: RunnableConfig) -> State:
        """Return what changes."""
        ...


NODES: tuple[Node, ...] = (guard, plan, review, act, reflect, answer, verify)


def build_graph(checkpointer: Checkpointer | None = None, lend: Lend | None = None) -> Graph:
    """Return the compiled graph.

    Args:
        checkpointer: where states are kept; None keeps none, so that a run cannot pause or resume.
        lend: makes the run's context from its config, for a server that cannot pass one at `invoke`.
    """
    graph = StateGraph(State, context_schema=None if lend else RunContext, input_schema=InputState)
    for node in NODES:
        if lend:
            graph.add_node(node.__name__, _lent(node, lend))
        else:
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


def with_decision(decision: Mapping[str, Any]) -> Command[Any]:
    """Return the input that answers a pause: a person's decision on the plan."""
    return Command(resume=dict(decision))


def _lent(node: Node, lend: Lend) -> ConfiguredNode:
    def with_context(state: State, config: RunnableConfig) -> State:
        run = lend(config)
        with metered(meter_of(run)):  # a server's node has no run around it: seconds and tokens count for each node
            return node(state, Runtime(context=run))

    return with_context


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
