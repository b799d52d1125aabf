"""The planner: typed plans from requests, by declared examples and, where there is one to rely on, an LLM."""

from agent.planner.planner import Planner
from agent.planner.situation import PlanningResult, PriorResult

__all__ = ["Planner", "PlanningResult", "PriorResult"]
