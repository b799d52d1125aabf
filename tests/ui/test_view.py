"""Events folded into what a person sees."""

from agent.events import Answered, Attached, Failed, Planned, Planning, Progress, StepFailed, StepFinished, StepStarted
from agent.plan import Plan, Step
from tools.facts import AttachmentFacts
from ui.view import RunView, fold


def _fold(*events, view=None):
    view = view or RunView()
    for event in events:
        view = fold(view, event)
    return view


def _planned(*tools):
    steps = tuple(Step(id=f"s{n}", tool=tool) for n, tool in enumerate(tools, 1))
    return Planned(plan=Plan(steps=steps), decided_by="examples", seconds=0.2, estimated_seconds=5)


def _finished(step, tool="segment"):
    return StepFinished(step=step, tool=tool, seconds=2.0, summary="Outlined lungs", kind="mask", marks=("synthetic",))


def test_a_run_from_attachment_to_answer():
    facts = AttachmentFacts(id="img1", modality="CT", dims=3)
    view = _fold(Attached(facts=facts, name="ct.nii.gz"), Planning(by="small"))
    assert view.attachments[0].name == "ct.nii.gz"
    assert view.planning_by == "small"
    view = _fold(_planned("segment", "measure"), StepStarted(step="s1", tool="segment", args={}, at=10.0), view=view)
    assert view.planning_by == ""
    assert [s.state for s in view.steps] == ["running", "waiting"]
    view = _fold(Progress(step="s1", fraction=0.5, message="half"), view=view)
    assert (view.steps[0].fraction, view.steps[0].message, view.steps[0].started_at) == (0.5, "half", 10.0)
    view = _fold(_finished("s1"), Answered(reading="r", outcome="answered", claims=()), view=view)
    assert (view.steps[0].state, view.steps[0].seconds, view.steps[0].marks) == ("done", 2.0, ("synthetic",))
    assert view.is_over
    assert view.reading == "r"


def test_failed_and_skipped_are_told_apart():
    view = _fold(
        _planned("segment", "measure"),
        StepFailed(step="s1", tool="segment", seconds=1, kind="unsupported", message="wrong modality"),
        StepFailed(step="s2", tool="measure", seconds=0, kind="skipped", message="it needs s1"),
    )
    assert [s.state for s in view.steps] == ["failed", "skipped"]


def test_a_new_plan_keeps_what_ran_and_drops_what_did_not():
    view = _fold(_planned("segment", "measure"), _finished("s1"))
    new = Plan(steps=(Step(id="s3", tool="export"),))
    view = _fold(Planned(plan=new, decided_by="llm", seconds=1, estimated_seconds=1), view=view)
    assert [(s.id, s.state) for s in view.steps] == [("s1", "done"), ("s3", "waiting")]


def test_progress_outside_zero_to_one_is_clipped():
    view = _fold(_planned("segment"), Progress(step="s1", fraction=7.0))
    assert view.steps[0].fraction == 1.0
    assert _fold(Progress(step="s1", fraction=-3.0), view=view).steps[0].fraction == 0.0


def test_an_error_ends_the_run():
    view = _fold(_planned("segment"), Failed(reading="r", kind="bug", message="stopped"))
    assert view.is_over
    assert view.failed is not None
