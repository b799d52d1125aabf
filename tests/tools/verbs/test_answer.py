"""answer: a local model, an endpoint that sees, or a clear refusal; always an opinion."""

from __future__ import annotations

import io
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tools.contract import Seen, ToolContext
from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.facts import Requires
from tools.models.hub import Used
from tools.models.standing import CardStatus
from tools.results import ModelUse
from tools.verbs.answer import answer


class Seeing:
    """An endpoint that reads pictures and says what a test wants."""

    name, can_write, sees_images = "seer-7b", True, True

    def __init__(self) -> None:
        self.prompt, self.pictures = "", []

    def look(self, prompt: str, pictures: Sequence[bytes], *, max_tokens: int = 512) -> Seen:
        self.prompt, self.pictures = prompt, list(pictures)
        return Seen("Two dark ellipses\nin a gray one.")


class Local:
    """A local runtime with a known answer."""

    def answer(self, volume: object, question: str, progress: object) -> str:
        return f"You asked: {question}"


def hub(state: str, *, fits: bool = True) -> SimpleNamespace:
    needs = Requires(body_part=("CHEST",), view=("PA",))
    card = SimpleNamespace(
        name="local-vl", title="Local VL", limits_for=lambda targets: ("No medical training.",), facts_needed=needs
    )

    def choose(verb: str, facts: object) -> SimpleNamespace:
        if not fits:
            raise UnsupportedError("img1 is CT, CR is needed")
        return SimpleNamespace(card=card, reason="test")

    return SimpleNamespace(
        cards=(),
        choose=choose,
        status=lambda card: CardStatus(state, "" if state == "ready" else "get them"),
        use=lambda choice, call: Used(call(Local()), ModelUse(card="local-vl", runtime="test", version="1")),
    )


@pytest.fixture
def ctx(make_ctx) -> ToolContext:
    return make_ctx()


def lent(ctx: ToolContext, given: SimpleNamespace, llm: object | None = None) -> ToolContext:
    from dataclasses import replace

    return replace(ctx, hub=given, **({"open_llm": lambda: llm} if llm else {}))


def test_a_local_model_answers_and_pixels_stay(ctx: ToolContext) -> None:
    llm = Seeing()
    result = answer(lent(ctx, hub("ready"), llm), image="img1", question="What is it?")
    assert result.answer == "You asked: What is it?"
    assert result.marks == ("opinion",)
    assert result.model is not None
    assert result.model.card == "local-vl"
    assert "No medical training." in result.notes
    assert "img1 does not name its view; that it is PA was taken as given." in result.notes
    assert result.notes[0].startswith("The answer is a model's opinion")
    assert llm.pictures == []


def test_an_endpoint_that_sees_gets_a_png_of_windowed_slices(ctx: ToolContext) -> None:
    llm = Seeing()
    result = answer(lent(ctx, hub("needs weights"), llm), image="img1", question="What is it?")

    assert result.answer == "Two dark ellipses in a gray one."
    assert result.marks == ("opinion",)
    assert result.model is not None
    assert (result.model.card, result.model.device) == ("seer-7b", "endpoint")
    assert "No local model answered: model 'local-vl' needs weights: get them." in result.notes
    assert "Question: What is it?" in llm.prompt
    assert "9 of 60 axial slices from feet to head, in the soft tissue window" in llm.prompt
    assert (ctx.folder / "shown-to-the-model.png").read_bytes() == llm.pictures[0]
    with Image.open(io.BytesIO(llm.pictures[0]), formats=["PNG"]) as picture:
        gray = np.asarray(picture.convert("L"))
    assert gray.min() == 0  # air in lungs and around
    assert 100 < np.median(gray[gray > 20]) < 140  # soft tissue of 40 HU in a window of 400 at 50


@pytest.mark.parametrize("fits", [True, False])
def test_without_any_model_it_says_what_to_get(ctx: ToolContext, fits: bool) -> None:
    said = r"needs weights: get them" if fits else "img1 is CT, CR is needed"
    with pytest.raises(UnavailableError, match=rf"no model that reads pictures is here \(.*{said}.*SEES_IMAGES=1"):
        answer(lent(ctx, hub("needs weights", fits=fits)), image="img1", question="What is it?")


def test_a_refusal_of_the_endpoint_is_passed_on(ctx: ToolContext) -> None:
    class Forbidden(Seeing):
        def look(self, prompt: str, pictures: Sequence[bytes], *, max_tokens: int = 512) -> Seen:
            raise UnavailableError("pixels may not leave to this LLM endpoint")

    with pytest.raises(UnavailableError, match="pixels may not leave"):
        answer(lent(ctx, hub("needs weights"), Forbidden()), image="img1", question="What is it?")


@pytest.mark.parametrize("question", [" ", "x" * 2001])
def test_a_question_of_no_or_too_many_characters_is_refused(ctx: ToolContext, question: str) -> None:
    with pytest.raises(BadInputError, match="question: ask in 1 to 2000 characters"):
        answer(lent(ctx, hub("ready")), image="img1", question=question)
