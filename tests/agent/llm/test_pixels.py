"""Pictures to an endpoint without patient data: what is burned in stays here, and the log and the answer say so."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from tests.agent.llm.stub_endpoint import endpoint, says
from tests.agent.llm.test_client import lent_at, one_pixel_png
from tools.audit import AuditLog
from tools.deidentification.burned_in import find_text
from tools.errors import UnavailableError

NAME = "CANARY FELICITAS"


def picture(text: str = NAME) -> bytes:
    """A gray gradient with a name in its corner and a comment that names the patient too."""
    rows = np.tile(np.linspace(20, 120, 400, dtype=np.uint8), (300, 1))
    image = Image.fromarray(rows)
    ImageDraw.Draw(image).text((20, 20), text, fill=255, font=ImageFont.load_default(28))
    comment = PngInfo()
    comment.add_text("Comment", NAME)
    stream = io.BytesIO()
    image.save(stream, format="PNG", pnginfo=comment)
    return stream.getvalue()


def sent_picture(requests: list[dict]) -> bytes:
    parts = requests[0]["messages"][0]["content"]
    return base64.b64decode(parts[1]["image_url"]["url"].partition(",")[2])


def test_burned_in_text_is_blacked_out_logged_and_told(tmp_path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    with endpoint(says("A gradient.")) as stub:
        llm = lent_at(stub.base_url, sees_images=True, egress="remote-deidentified", audit=log)
        seen = llm.look("What is it?", [picture()])
        sent = sent_picture(stub.requests)
    assert find_text(np.array(Image.open(io.BytesIO(picture())))).boxes
    assert not find_text(np.array(Image.open(io.BytesIO(sent)))).boxes
    assert b"FELICITAS" not in sent
    kept = np.array(Image.open(io.BytesIO(sent)))
    assert np.array_equal(kept[150:], np.array(Image.open(io.BytesIO(picture())))[150:])  # the rest is as it was
    (entry,) = log.entries()
    assert entry["images"] == 1
    assert entry["replaced"]["burned-in text"] >= 1
    assert "blacked out" in seen.notes[0]
    assert log.verify().broken is None


def test_a_picture_without_text_goes_as_it_is_and_that_is_told() -> None:
    with endpoint(says("Gray.")) as stub:
        llm = lent_at(stub.base_url, sees_images=True, egress="remote-deidentified")
        seen = llm.look("What is it?", [one_pixel_png()])
        sent = sent_picture(stub.requests)
    assert np.array_equal(np.array(Image.open(io.BytesIO(sent))), np.full((2, 3), 77))
    assert "no text was found" in seen.notes[0]


def test_text_that_cannot_be_removed_keeps_the_picture_here(monkeypatch) -> None:
    monkeypatch.setattr("tools.deidentification.burned_in.clear_text", lambda *_: (3, 0, False))
    with endpoint(says("x")) as stub:
        llm = lent_at(stub.base_url, sees_images=True, egress="remote-deidentified")
        with pytest.raises(UnavailableError, match=r"could not be removed.*READINGROOM_EGRESS=remote-allowed"):
            llm.look("What is it?", [picture()])
        assert stub.requests == []


def test_where_pixels_are_allowed_they_are_not_touched() -> None:
    with endpoint(says("x")) as stub:
        llm = lent_at(stub.base_url, sees_images=True, egress="remote-allowed")
        assert llm.look("What is it?", [picture()]).notes == ()
        assert sent_picture(stub.requests) == picture()
