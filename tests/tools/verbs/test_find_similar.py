from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from knowledge.embed import HashEmbedder, Vectors, normalise
from knowledge.images import Picture
from knowledge.report import report_from_sections
from knowledge.search import Knowledge
from tools.contract import ToolContext
from tools.errors import UnavailableError
from tools.facts import Requires
from tools.models.hub import Used
from tools.results import ModelUse
from tools.similar import add_images, picture_of
from tools.verbs.find_similar import find_similar


class Quarters:
    """Mean of the four quarters of a picture."""

    name, hash, dimension, reads_text = "quarters", "00000000000000cc", 4, False

    def embed_pictures(self, pictures: Sequence[Picture]) -> Vectors:
        halves = [[part for half in np.array_split(p, 2) for part in np.array_split(half, 2, axis=1)] for p in pictures]
        return normalise(np.array([[part.mean() + 0.01 for part in parts] for parts in halves]))

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        raise NotImplementedError


@pytest.fixture
def knowledge(tmp_path: Path) -> Iterator[Knowledge]:
    store = Knowledge.open(tmp_path / "store", HashEmbedder())
    store.ingest(
        [report_from_sections([("findings", "Large heart."), ("impression", "Cardiomegaly.")], id="R1", source="t")]
    )
    yield store
    store.close()


@pytest.fixture
def ctx(make_ctx, knowledge: Knowledge) -> ToolContext:
    card = SimpleNamespace(name="quarters", facts_needed=Requires(view=("PA",)))
    hub = SimpleNamespace(
        choose=lambda verb, facts: SimpleNamespace(card=card, reason=f"serves {verb}"),
        use=lambda choice, call: Used(
            call(Quarters()), ModelUse(card=choice.card.name, runtime="test", version="1", reason=choice.reason)
        ),
    )
    return replace(make_ctx(), hub=hub, open_knowledge=lambda: knowledge)


def save(path: Path, picture: Picture) -> Path:
    from PIL import Image

    Image.fromarray((picture * 255).astype(np.uint8)).save(path)
    return path


def test_the_image_itself_comes_first_with_its_report(ctx: ToolContext, knowledge: Knowledge, tmp_path: Path) -> None:
    own = picture_of(ctx.workspace.volume("img1"))
    encoder = Quarters()
    knowledge.images(encoder).put([("same", "R1", own)])
    (tmp_path / "broken.png").write_bytes(b"no picture")
    files = [("other", "gone", save(tmp_path / "o.png", own[::-1, ::-1] * 0.2)), ("bad", "R1", tmp_path / "broken.png")]
    stored, bad = add_images(knowledge, encoder, files)

    result = find_similar(ctx, image="img1", k=2)

    assert stored == 1
    assert bad[0].startswith("bad: ")
    assert [hit.report_id for hit in result.hits] == ["R1", "gone"]
    assert result.hits[0].sentence == "Cardiomegaly."
    assert result.hits[0].score == pytest.approx(1, abs=1e-4)
    assert result.hits[1].why.endswith("its report is not stored")
    assert result.model is not None
    assert result.model.card == "quarters"
    assert "img1 does not name its view; that it is PA was taken as given." in result.notes


class Reads(Quarters):
    """The same, and words: "bottom" is a picture that is bright below."""

    name, reads_text = "reads", True

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return normalise(np.array([[0.01, 0.01, 1.0, 1.0] if text == "bottom" else [1.0] * 4 for text in texts]))


def test_words_find_images_where_the_encoder_reads_them(ctx: ToolContext, knowledge: Knowledge) -> None:
    top = np.zeros((8, 8), np.float32)
    top[:4] = 1
    used = lambda choice, call: Used(call(Reads()), ModelUse(card="reads", runtime="test", version="1"))  # noqa: E731
    card = SimpleNamespace(name="reads", facts_needed=Requires())
    hub = SimpleNamespace(choose=lambda verb, facts: SimpleNamespace(card=card, reason="test"), use=used)
    knowledge.images(Reads()).put([("top", "R1", top), ("bottom", "gone", 1 - top)])

    result = find_similar(replace(ctx, hub=hub), image="img1", text=" bottom ", k=1)

    assert [hit.report_id for hit in result.hits] == ["gone"]
    assert result.summary == "1 image of other patients looks most like “bottom”."


def test_words_need_an_encoder_that_reads_them(ctx: ToolContext, knowledge: Knowledge) -> None:
    from knowledge.errors import BadInputError

    knowledge.images(Quarters()).put([("same", "R1", np.eye(8, dtype=np.float32))])
    with pytest.raises(BadInputError, match="'quarters' reads no text; ask with an image, or use a CLIP-type one"):
        find_similar(ctx, image="img1", text="bottom")


def test_an_empty_collection_says_what_to_do(ctx: ToolContext) -> None:
    with pytest.raises(UnavailableError, match="no image is stored for the encoder 'quarters'; put images beside"):
        find_similar(ctx, image="img1")


def test_no_encoder_says_what_to_install(make_ctx) -> None:
    from tools.models.hub import Hub

    hub = Hub.installed()
    card = hub.get("rad-dino")
    assert card.verb == "find_similar"
    with pytest.raises(UnavailableError, match="rad-dino"):
        hub.runtime(card)
