from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from knowledge.embed import HashEmbedder, Vectors, normalise
from knowledge.errors import BadInputError
from knowledge.images import Picture
from tests.knowledge.stores import REPORTS, Opener


class MeanEncoder:
    """Left, middle and right mean of a picture; reads texts of three numbers."""

    name, hash, dimension, reads_text = "mean", "00000000000000aa", 3, True

    def embed_pictures(self, pictures: Sequence[Picture]) -> Vectors:
        return normalise(np.array([[part.mean() for part in np.array_split(p, 3, axis=1)] for p in pictures]))

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return normalise(np.array([[float(word) for word in text.split()] for text in texts]))


def picture(*columns: float) -> Picture:
    return np.tile(np.repeat(np.array(columns, dtype=np.float32), 4), (6, 1))


def test_images_are_found_by_image_and_by_text(open_knowledge: Opener, server: str | None) -> None:
    knowledge = open_knowledge(server=server)
    knowledge.ingest(REPORTS)
    index = knowledge.images(MeanEncoder())
    assert index.like_picture(picture(1, 0, 0)) == []
    index.put([("i1", "R1", picture(1, 0, 0)), ("i2", "R2", picture(0, 1, 0)), ("i3", "R3", picture(0, 0.1, 1))])

    found = index.like_picture(picture(0.1, 0.9, 0), 2)

    assert [(hit.image_id, hit.report_id) for hit in found] == [("i2", "R2"), ("i1", "R1")]
    assert found[0].similarity == pytest.approx(0.9 / np.hypot(0.1, 0.9), abs=1e-4)
    assert index.like_text("0 0 1", 1)[0].report_id == "R3"
    assert knowledge.stats().vectors == knowledge.stats().distinct_sentences  # images are kept apart


def test_an_image_put_again_replaces(open_knowledge: Opener) -> None:
    index = open_knowledge().images(MeanEncoder())
    index.put([("i1", "R1", picture(1, 0, 0))])
    index.put([("i1", "R9", picture(0, 0, 1))])

    assert index.count() == 1
    assert index.like_text("0 0 1")[0].report_id == "R9"


def test_encoders_are_kept_apart(open_knowledge: Opener) -> None:
    knowledge, other = open_knowledge(), MeanEncoder()
    other.hash = "00000000000000bb"
    knowledge.images(MeanEncoder()).put([("i1", "R1", picture(1, 0, 0))])

    assert knowledge.images(other).count() == 0


def test_an_encoder_without_text_says_so(open_knowledge: Opener) -> None:
    encoder = MeanEncoder()
    encoder.reads_text = False

    with pytest.raises(BadInputError, match="image encoder 'mean' reads no text"):
        open_knowledge().images(encoder).like_text("1 0 0")
    with pytest.raises(BadInputError, match="k must be at least 1, got 0"):
        open_knowledge().images(encoder).put([("a", "b", picture(1, 0, 0))]) or open_knowledge().images(
            encoder
        ).like_picture(picture(1, 0, 0), 0)


def test_the_test_embedder_is_marked() -> None:
    assert HashEmbedder.name.startswith("test-")
