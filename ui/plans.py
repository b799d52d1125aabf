"""What the plan's editor asks the server: the plan that waits as a form, and whether it could run as it is written."""

import json
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.errors import RunError
from tools.errors import ToolError
from ui.components.html import element, text
from ui.components.pause import checked_plan_html
from ui.looking import STEPS, Looking
from ui.owners import Owners
from ui.plan_fields import fields_of, wrong_in

PREFIX = "/plan"
MAX_STEPS = 200  # far above any plan; what may run is limited by the settings


class Written(BaseModel):
    """A plan as a person has it now."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: list[Any] = Field(max_length=MAX_STEPS)


def plan_routes(look: Looking, owners: Owners) -> APIRouter:
    """Return the routes under `/plan/READING`; plain functions, so that the server runs each in a thread."""
    router = APIRouter(prefix=PREFIX)

    @router.get("/{reading}")
    def form(request: Request, reading: str) -> dict[str, Any]:
        try:
            return form_of(look, owners.own(request, reading))
        except (RunError, ToolError) as error:
            raise HTTPException(422, " ".join(str(error).split())) from error

    @router.post("/{reading}/checked")
    def checked(request: Request, reading: str, written: Written) -> dict[str, Any]:
        return checked_of(look, owners.own(request, reading), written.steps)

    return router


def form_of(look: Looking, reading: str) -> dict[str, Any]:
    """Return the plan that waits, every tool with its fields, and what a step may refer to."""
    plan, registry = look.waiting_plan(reading), look.registry
    return {
        "steps": [step.model_dump(mode="json") for step in plan.steps],
        "tools": {
            name: {
                "says": registry.get(name).description,
                "makes": registry.get(name).kind,
                "fields": [field.model_dump(mode="json") for field in fields_of(registry.get(name))],
            }
            for name in registry.names
        },
        "has": look.referable(reading),
        "next": look.next_step(reading, plan),
    }


def checked_of(look: Looking, reading: str, steps: list[Any]) -> dict[str, Any]:
    """Return whether a plan could run, what it would cost or why not, and which fields are wrong."""
    try:
        wrong = wrong_in(STEPS.validate_python(steps), look.registry)
    except ValidationError:
        wrong = []  # told below, as a whole
    try:
        plan = look.edited_plan(reading, json.dumps(steps))
    except (RunError, ToolError) as error:
        said = element("p", text(error), css="rr-problem", role="status")
        return {"runs": False, "html": said, "wrong": [w.model_dump() for w in wrong]}
    return {"runs": True, "html": checked_plan_html(plan, look.costs(reading, plan)), "wrong": []}
