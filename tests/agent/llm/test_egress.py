"""The egress gate: what may leave to a language model on another machine."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image

from agent.errors import ConfigError
from agent.llm.client import LLM, Endpoint
from agent.llm.egress import Passage, check_image, policy_for

CANARIES = ["DOE^JANE", "Jane Roe", "4711-22", "1970-01-31", "31.01.1970", "1.2.840.113619.2.55.3", "jane@example.org"]


def data_url(kind: str = "png", claimed: str | None = None) -> str:
    buffer = io.BytesIO()
    Image.new("L", (4, 4)).save(buffer, format=kind.upper())
    return f"data:image/{claimed or kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def user(content: Any) -> list[Any]:
    return [{"role": "user", "content": content}]


def test_identifiers_do_not_leave_and_come_back() -> None:
    text = (
        "Compare DOE^JANE (Mrs Jane Roe, MRN 4711-22, born 1970-01-31 or 31.01.1970) with study 1.2.840.113619.2.55.3, "
        "file /data/jane/ct.nii, mail jane@example.org"
    )
    passage = Passage("remote-deidentified")
    sent = passage.outgoing(user(text))[0]["content"]
    assert not [canary for canary in CANARIES if canary in str(sent)]
    assert "/data/jane" not in str(sent)
    assert passage.incoming(str(sent)) == text


def test_known_names_do_not_leave_however_they_are_written() -> None:
    passage = Passage("remote-deidentified", known=("Zanzibar Quux",))
    sent = str(passage.outgoing(user("segment the lungs of zanzibar quux"))[0]["content"])
    assert "zanzibar" not in sent.lower()
    assert sent.startswith("segment the lungs of [NAME-")


@pytest.mark.parametrize(
    "text",
    [
        "Segment the lungs in this CT, measure their volume and mean density.",
        "Rigidly align image 2 to image 1 and resample to 1.5 mm.",
        '{"tool": "segment", "args": {"image": "@img1", "targets": ["kidney_left"]}}',
    ],
)
def test_ordinary_requests_leave_as_they_are(text: str) -> None:
    assert Passage("remote-deidentified").outgoing(user(text)) == user(text)


def test_nothing_is_changed_on_this_machine() -> None:
    text = "patient 4711, born 1970-01-31"
    assert Passage("local").outgoing(user(text)) == user(text)


def test_pixels_leave_as_they_are_only_where_all_may() -> None:
    picture = Image.new("L", (4, 4), 7)
    stream = io.BytesIO()
    picture.save(stream, format="JPEG", comment=b"DOE^JANE")
    url = "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
    message = user([{"type": "image_url", "image_url": {"url": url}}])
    assert Passage("remote-allowed").outgoing(message) == message
    sent = str(Passage("remote-deidentified").outgoing(message)[0]["content"][0]["image_url"]["url"])  # type: ignore[index]
    assert b"DOE^JANE" in base64.b64decode(url.partition(",")[2])
    assert b"DOE^JANE" not in base64.b64decode(sent.partition(",")[2])


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (data_url("png", claimed="jpeg"), "do not decode as that"),
        ("data:image/jpeg;base64," + base64.b64encode(b"\0" * 128 + b"DICM" + b"\0" * 64).decode(), "do not decode"),
        ("data:image/png;base64,%%%", "do not decode"),
        ("data:application/dicom;base64,AAAA", "must be a data URL of image/png or image/jpeg"),
        ("https://example.org/x.png", "must be a data URL"),
    ],
)
def test_bytes_must_be_what_they_claim_to_be(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_image(url)


def test_real_images_pass() -> None:
    check_image(data_url("png"))
    check_image(data_url("jpeg"))


def test_policy_by_place() -> None:
    assert policy_for("http://127.0.0.1:8000/v1", None) == "local"
    assert policy_for("http://localhost/v1", None) == "local"
    assert policy_for("https://api.openai.com/v1", None) == "remote-deidentified"
    assert policy_for("https://llm.hospital.example/v1", "remote-allowed") == "remote-allowed"


def test_local_policy_forbids_another_machine() -> None:
    with pytest.raises(ConfigError, match="allows only an LLM on this machine"):
        LLM(Endpoint(base_url="https://api.openai.com/v1", egress="local"))
