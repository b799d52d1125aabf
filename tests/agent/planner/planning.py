"""What planner tests share: tools, a hub, situations, a planner with or without the real embedding."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from agent.errors import LLMUnavailableError
from agent.llm.chat import ChatModel
from agent.plan import Plan, Step
from agent.planner import Planner
from agent.testing import ScriptedLLM
from knowledge.embed import Embedder, HashEmbedder
from tools.contract import ImageRef, Tool, ToolContext, example, tool
from tools.facts import AttachmentFacts, Requires
from tools.models.hub import Hub
from tools.registry import Registry
from tools.results import Measurements

CHEST_CT = AttachmentFacts(id="img1", modality="CT", body_part="CHEST", dims=3)
ABDOMEN_CT = AttachmentFacts(id="img1", modality="CT", body_part="ABDOMEN", dims=3)
BRAIN_MR = AttachmentFacts(id="img1", modality="MR", body_part="HEAD", dims=3)
FILM = AttachmentFacts(id="img1", modality="CR", body_part="CHEST", dims=2)
MASK = AttachmentFacts(id="mask1", kind="mask", of="img1", label="lungs")
REPORT = AttachmentFacts(id="rep1", kind="report")
PRIOR_CT = AttachmentFacts(id="img2", modality="CT", body_part="CHEST", dims=3, prior=True)


def facts(*attached: AttachmentFacts) -> dict[str, AttachmentFacts]:
    return {f.id: f for f in attached}


@cache
def registry() -> Registry:
    return Registry.installed()


@cache
def hub() -> Hub:
    return Hub.installed()


def embedded() -> ScriptedLLM:
    """A model that must not be asked, as the embedded default is not where the examples decide."""
    absent = LLMUnavailableError("not in this test: the first of the nearest examples decides")
    return ScriptedLLM(lambda ask: absent, can_write=False, name="embedded")


def planner(
    llm: ChatModel | None = None, embedder: Embedder | None = None, tools: Registry | None = None, **more: Any
) -> Planner:
    return Planner(
        llm=llm or embedded(),
        registry=tools or registry(),
        hub=hub(),
        embedder=embedder or HashEmbedder(256),
        **more,
    )


def steps_of(outcome: object) -> list[tuple[str, dict[str, Any]]]:
    assert isinstance(outcome, Plan), outcome
    return [(step.tool, step.args) for step in outcome.steps]


def written(*steps: tuple[str, Mapping[str, Any]], first: int = 1) -> dict[str, Any]:
    """What an LLM writes for a plan."""
    listed = [Step(id=f"s{n}", tool=name, args=dict(args)).model_dump() for n, (name, args) in enumerate(steps, first)]
    return {"outcome": "plan", "steps": listed, "message": None}


@cache
def flow_tool() -> Tool:
    """A tool of another package, with three examples, of a kind that ours know nothing of."""

    @tool(
        requires={"image": Requires(modality=("MR",), reason="flow is encoded in the phase of MR")},
        examples=[
            example("How fast does the blood flow in the vessel?", image="@img1"),
            example("Compute the flow curve over the heart cycle.", image="@img1"),
            example("Blood velocity with a VENC of 150", image="@img1", venc_cm_s=150),
        ],
    )
    def phase_contrast_flow(
        ctx: ToolContext,
        image: Annotated[ImageRef, Field(description="the phase-contrast MR")],
        venc_cm_s: Annotated[float | None, Field(gt=0, description="velocity encoding, cm/s")] = None,
    ) -> Measurements:
        """Measure blood flow over time from phase-contrast MR."""
        raise NotImplementedError

    return phase_contrast_flow


@cache
def tracer_tool() -> Tool:
    """Another foreign tool: enumerated argument, words for it declared in its schema."""

    @tool(
        requires={"image": Requires(modality=("PT",), reason="uptake exists only in PET")},
        examples=[
            example("What is the SUV of the hot spot?", image="@img1"),
            example("Tracer uptake, peak value please", image="@img1", statistic="peak"),
            example("Give the standardised uptake value.", image="@img1"),
        ],
    )
    def tracer_uptake(
        ctx: ToolContext,
        image: Annotated[ImageRef, Field(description="the PET")],
        statistic: Annotated[
            str,
            Field(
                description="which value",
                json_schema_extra={"enum": ["mean", "peak", "maximum"], "x-says": {"maximum": ["SUVmax", "hottest"]}},
            ),
        ] = "maximum",
    ) -> Measurements:
        """Measure tracer uptake (SUV) in PET."""
        raise NotImplementedError

    return tracer_uptake


EVALS = Path(__file__).parents[2] / "evals"
