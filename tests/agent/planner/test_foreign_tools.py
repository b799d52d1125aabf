"""Tools of other packages, three examples each, that no example of ours knows: planned as they are, without training.

The requests were written once, before any was planned; the first reading is in tests/evals/README.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import planning
import pytest
from pydantic import Field

from agent.plan import Plan
from tools.contract import ImageRef, Tool, ToolContext, example, tool
from tools.facts import AttachmentFacts, Requires
from tools.results import Measurements

# name, what it does, modality, body part, three declared examples, four requests that only the test knows
FOREIGN: Sequence[tuple[str, str, str, str, tuple[str, ...], tuple[str, ...]]] = (
    (
        "bone_age",
        "Estimate the skeletal age of a child from a radiograph of the hand.",
        "CR",
        "HAND",
        ("What is the bone age?", "How mature is this child's skeleton?", "Greulich and Pyle reading of the left hand"),
        (
            "Bone age pls",
            "How old do the bones of this girl look?",
            "Skeletal maturity, Greulich-Pyle",
            "Estimate his skeletal age from this hand film.",
        ),
    ),
    (
        "calcium_score",
        "Score the calcium in the coronary arteries on a gated CT (Agatston).",
        "CT",
        "CHEST",
        ("What is the Agatston score?", "How much calcium is in the coronaries?", "Coronary calcium score"),
        (
            "CAC score",
            "Work out the Agatston value for me please.",
            "Is there much coronary calcification? Give me the score.",
            "How calcified are the heart's arteries?",
        ),
    ),
    (
        "breast_density",
        "Grade how dense the tissue is on a mammogram (BI-RADS a to d).",
        "MG",
        "BREAST",
        ("How dense is the breast?", "BI-RADS density category", "Grade the mammographic density."),
        (
            "Density grade of this mammogram?",
            "Which BI-RADS density, a, b, c or d?",
            "Is the breast tissue dense?",
            "Mammographic density please",
        ),
    ),
    (
        "perfusion_map",
        "Compute blood flow and volume maps from dynamic susceptibility MR.",
        "MR",
        "HEAD",
        ("Compute the perfusion maps.", "rCBV map of the tumour", "How well is this tissue perfused?"),
        (
            "CBF and CBV maps please",
            "Make me a perfusion map",
            "Where is the cerebral perfusion reduced?",
            "Work out relative cerebral blood volume.",
        ),
    ),
    (
        "cobb_angle",
        "Measure the curvature of the spine on a standing radiograph (Cobb angle).",
        "CR",
        "SPINE",
        ("What is the Cobb angle?", "How strong is the scoliosis?", "Measure the curve of the spine."),
        (
            "Cobb?",
            "How curved is her spine, in degrees?",
            "Scoliosis: give me the angle",
            "Measure the thoracic curve after Cobb.",
        ),
    ),
    (
        "fetal_biometry",
        "Measure a fetus on ultrasound: head, abdomen, femur, gestational age.",
        "US",
        "UTERUS",
        ("Measure the fetus.", "How far is the pregnancy?", "Head circumference and femur length of the baby"),
        (
            "Gestational age from this ultrasound",
            "How many weeks is she?",
            "Fetal biometry",
            "BPD, HC, AC and FL of the fetus please",
        ),
    ),
    (
        "radiation_dose",
        "Report the radiation dose of an acquisition: CTDIvol, DLP, effective dose.",
        "CT",
        "CHEST",
        ("How much radiation did this scan take?", "What were CTDIvol and DLP?", "Effective dose of this CT"),
        (
            "DLP?",
            "Radiation exposure of this examination",
            "How many millisieverts did the patient get?",
            "Was the dose of this scan high? Tell me the CTDI.",
        ),
    ),
    (
        "fibre_tracts",
        "Trace white-matter bundles in diffusion MR (tractography).",
        "MR",
        "HEAD",
        ("Trace the corticospinal tract.", "Tractography of the arcuate fasciculus", "Show the white-matter fibres."),
        (
            "Do a tractography",
            "Where do the fibres of the optic radiation run?",
            "Track the cingulum bundle",
            "White matter tracts, please",
        ),
    ),
)
LEAST = 0.7  # the first reading was 24 of 32


def made(name: str, description: str, modality: str, requests: Sequence[str]) -> Tool:
    """A tool as another package would declare it."""

    def function(
        ctx: ToolContext, image: Annotated[ImageRef, Field(description="the image to work on")]
    ) -> Measurements:
        raise NotImplementedError

    function.__name__, function.__doc__ = name, description
    function.__annotations__ = {
        "ctx": ToolContext,
        "image": Annotated[ImageRef, Field(description="the image to work on")],
        "return": Measurements,
    }
    needs = Requires(modality=(modality,), reason="it reads nothing else")
    return tool(requires={"image": needs}, examples=[example(r, image="@img1") for r in requests])(function)


@pytest.mark.samples
def test_eight_new_tools_are_planned_from_three_examples_each(minilm: Any) -> None:
    tools = [made(name, what, modality, examples) for name, what, modality, _, examples, _ in FOREIGN]
    planner = planning.planner(embedder=minilm, tools=planning.registry().with_tools(*tools))
    wrong = []
    for name, _, modality, body_part, _, requests in FOREIGN:
        seen = AttachmentFacts(id="img1", modality=modality, body_part=body_part, dims=3 if modality != "CR" else 2)
        for request in requests:
            outcome = planner.plan(request, planning.facts(seen)).outcome
            got = [step.tool for step in outcome.steps] if isinstance(outcome, Plan) else [outcome.outcome]
            if got != [name]:
                wrong.append(f"{request!r} → {'+'.join(got)}, not {name}")
    count = sum(len(requests) for *_, requests in FOREIGN)
    assert (count - len(wrong)) / count >= LEAST, "\n".join(wrong)
