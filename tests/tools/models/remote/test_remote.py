"""Remote models: real servers in processes of their own, and servers in this one that hang, lie and go away."""

from __future__ import annotations

import base64
import gzip
import json
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar

import nibabel as nib
import numpy as np
import pytest

from tests.loopback import Quiet, listening
from tests.tools.models.remote.processes import ROOT, running
from tools.errors import BadInputError, CancelledError, UnavailableError, UnsupportedError
from tools.imaging.volume import Volume
from tools.models.card import ModelCard
from tools.models.hub import Choice, Hub
from tools.models.remote.address import address_refusal, origin_of
from tools.models.remote.serving import LentModel
from tools.models.remote.wire import WireRequest, image_in, image_out
from tools.models.runtimes.base import Prompt
from tools.testing import chest_phantom

EXAMPLE = ROOT / "docs" / "examples" / "remote_server.py"


def card(url: str, verb: str = "segment", runtime: str = "remote_http", **fields: Any) -> ModelCard:
    options = {"url": url, "timeout_s": 20.0} | fields.pop("options", {})
    given: dict[str, Any] = {"targets": ("lungs",), "version": "1", "name": "far"}
    return ModelCard(
        title="far", verb=verb, runtime=runtime, seconds=1, licence="MIT", source="test", options=options,
        **(given | fields),
    )  # fmt: skip


def silent(done: float, what: str) -> None:
    """Take no notice of progress."""


def use(card: ModelCard, call: Callable[[Any], Any], **hub: Any) -> Any:
    return Hub([card], **hub).use(Choice(card, "the test"), call)


@pytest.fixture(scope="module")
def oblique_ct() -> Volume:
    """The chest phantom, its first axis pointing Superior, the second Left, with a tilt: nothing is symmetric."""
    array, _lungs = chest_phantom()
    turned = np.ascontiguousarray(array.transpose(2, 0, 1))
    tilt = 0.2
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.array([[0, -3.0, 0], [0, 0, 3.0], [5.0, 0, 0]])
    affine[:3, 3] = [120, -80, 40]
    return Volume(
        turned, affine, spacing_source="NIfTI header", modality="CT", body_part="CHEST", units="HU",
        header={"PatientName": "CANARY^NAME"},
    )  # fmt: skip


# --- real processes


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, str]]:
    """The reference server as HTTP and as MCP, and the example of the docs."""
    lend = (
        sys.executable,
        "-c",
        "from ui.cli import main; main()",
        "models",
        "serve",
        "ct-chest-threshold",
        "--port=0",
    )
    commands = {"http": lend, "mcp": (*lend, "--mcp"), "example": (sys.executable, str(EXAMPLE), "0")}
    with running(commands) as urls:
        yield urls


@pytest.mark.parametrize(("kind", "runtime"), [("http", "remote_http"), ("mcp", "remote_mcp")])
def test_a_model_in_another_process_gives_the_same_masks(
    servers: dict[str, str], oblique_ct: Volume, kind: str, runtime: str
) -> None:
    here = Hub.installed()
    local = here.get("ct-chest-threshold")
    far = card(
        servers[kind], runtime=runtime, targets=local.targets, version=local.version, options={"model": local.name}
    )
    asked = ("lungs", "lung_left", "bones")
    expected = here.use(Choice(local, "the test"), lambda r: r.segment(oblique_ct, asked, silent))
    used = use(far, lambda r: r.segment(oblique_ct, asked, silent))
    for target in asked:
        assert np.array_equal(used.value.masks[target], expected.value.masks[target])
        assert used.value.masks[target].any()
    assert used.value.notes == expected.value.notes
    assert used.model.device == f"remote ({origin_of(servers[kind])})"


@pytest.mark.parametrize(("kind", "runtime"), [("http", "remote_http"), ("mcp", "remote_mcp")])
def test_what_the_model_says_of_its_input_arrives(servers: dict[str, str], kind: str, runtime: str) -> None:
    version = Hub.installed().get("ct-chest-threshold").version
    far = card(servers[kind], runtime=runtime, version=version, options={"model": "ct-chest-threshold"})
    flat = Volume(np.zeros((9, 9, 9), dtype=np.int16), np.eye(4), spacing_source="NIfTI header", modality="CT")
    with pytest.raises(UnsupportedError, match=r"model 'far' at http://127.0.0.1:.*the values run from 0 to 0"):
        use(far, lambda r: r.segment(flat, ("lungs",), silent))
    with pytest.raises(UnsupportedError, match="serves segment, not 'answer'"):
        use(far, lambda r: r.answer(flat, "What?", silent))
    other = card(servers[kind], runtime=runtime, version=version)
    with pytest.raises(UnsupportedError, match="lends 'ct-chest-threshold', not 'far'"):
        use(other, lambda r: r.segment(flat, ("lungs",), silent))
    old = card(servers[kind], runtime=runtime, version="0", options={"model": "ct-chest-threshold"})
    array, _lungs = chest_phantom()
    volume = Volume(array, np.diag([3.0, 3, 5, 1]), spacing_source="NIfTI header", modality="CT", units="HU")
    with pytest.raises(UnavailableError, match=f"comes from version '{version}', the card is of version '0'"):
        use(old, lambda r: r.segment(volume, ("lungs",), silent))


def test_the_example_of_the_docs_outlines_in_the_image_own_geometry(
    servers: dict[str, str], oblique_ct: Volume
) -> None:
    used = use(card(servers["example"]), lambda r: r.segment(oblique_ct, ("lungs",), silent))
    assert np.array_equal(used.value.masks["lungs"], oblique_ct.array > 275)
    assert used.value.notes == ("computed by lab-bright 1 in a process of its own",)
    with pytest.raises(UnsupportedError, match="lab-bright segments, it cannot answer"):
        use(card(servers["example"]), lambda r: r.answer(oblique_ct, "What?", silent))


def test_an_mcp_tool_that_is_not_there_is_said(servers: dict[str, str], oblique_ct: Volume) -> None:
    far = card(servers["mcp"], runtime="remote_mcp", options={"tool": "nothing"})
    with pytest.raises(UnavailableError, match=r"'far'.*nothing"):
        use(far, lambda r: r.segment(oblique_ct, ("lungs",), silent))


# --- servers that cannot be trusted


class Liar(Quiet, BaseHTTPRequestHandler):
    """Answers what the test says."""

    reply: ClassVar[Callable[[dict[str, Any]], Any]]
    received: ClassVar[list[bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Liar.received.append(body)
        reply = Liar.reply(json.loads(body))
        if callable(reply):
            reply(self)
            return
        data = reply if isinstance(reply, bytes) else json.dumps({"protocol": 1, **reply}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


Ask = Callable[..., Any]


@pytest.fixture
def ask() -> Iterator[Ask]:
    """Return a function that asks a server which answers as given."""
    with listening(Liar) as address:
        Liar.received = []

        def once(reply: Any, verb: str, call: Callable[[Any], Any], **fields: Any) -> Any:
            Liar.reply = staticmethod(reply if callable(reply) else lambda request: reply)  # type: ignore[assignment]
            return use(card(f"{address}/", verb, **fields), call).value

        yield once


@pytest.fixture
def small() -> Volume:
    return Volume(np.zeros((4, 5, 6), dtype=np.int16), np.diag([2.0, 2, 3, 1]), spacing_source="NIfTI header")


def packed(array: Any, affine: Any) -> str:
    return base64.b64encode(gzip.compress(nib.Nifti1Image(array, affine).to_bytes())).decode()


def masks(array: Any, affine: Any = None, name: str = "lungs") -> dict[str, Any]:
    return {"result": {"masks": {name: packed(array, np.diag([2.0, 2, 3, 1]) if affine is None else affine)}}}


BOMB = base64.b64encode(gzip.compress(bytes(10**8))).decode()
RIGHT = np.ones((4, 5, 6), dtype=np.uint8)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (masks(np.ones((4, 5, 7), np.uint8)), r"shape \(4, 5, 7\), the image has \(4, 5, 6\)"),
        (masks(RIGHT, np.diag([-2.0, 2, 3, 1])), "mm beside the image"),
        (masks(RIGHT, np.array([[2.0, 0, 0, 1], [0, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]])), "1 mm beside the image"),
        (masks(RIGHT * 3), "0 and 1 only, its values run from 3 to 3"),
        (masks(np.full((4, 5, 6), np.nan, np.float32)), "0 and 1 only"),
        (masks(RIGHT, name="liver"), "masks of lungs were asked for, got liver"),
        ({"result": {"masks": {"lungs": "!!"}}}, "no gzipped NIfTI-1 image"),
        (
            {"result": {"masks": {"lungs": BOMB}}},
            "unpacks to more than",
        ),
        ({"result": {"masks": {"lungs": base64.b64encode(gzip.compress(b"x" * 400)).decode()}}}, "no gzipped NIfTI-1"),
        ({"result": {}}, "got none"),
        ({}, "neither result nor error"),
        ({"protocol": 2, "result": {}}, "protocol: Input should be 1"),
        (b"<html>", "it is no JSON"),
        (b"[" * 100_000, "it is no JSON"),
        (b"", "it is no JSON"),
        (b"\xff\xfe", "it is no JSON"),
        (b"[1, 2]", "answer: Input should be"),
    ],
)
def test_a_mask_that_is_none_of_this_image_is_refused(ask: Ask, small: Volume, reply: Any, said: str) -> None:
    with pytest.raises(UnavailableError, match=said) as caught:
        ask(reply, "segment", lambda r: r.segment(small, ("lungs",), silent))
    assert "model 'far' at http://127.0.0.1:" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_right_mask_is_taken(ask: Ask, small: Volume) -> None:
    half = RIGHT.copy()
    half[0] = 0
    found = ask(masks(half), "segment", lambda r: r.segment(small, ("lungs",), silent))
    assert np.array_equal(found.masks["lungs"], half == 1)
    mask = ask(masks(half, name="prompted"), "segment", lambda r: r.segment_prompted(small, Prompt(text="it"), silent))
    assert np.array_equal(mask, half == 1)
    assert json.loads(Liar.received[-1])["arguments"] == {"text": "it"}


SCORES = {"result": {"scores": [{"label": "edema", "score": 0.7, "operating_point": 0.5}]}}
BOX = {"label": "nodule", "lower": [0, 1, 2], "upper": [1, 2, 3], "score": 0.5}


@pytest.mark.parametrize(
    ("verb", "reply", "call", "said"),
    [
        ("classify", b'{"protocol": 1, "result": {"scores": [{"label": "edema", "score": NaN}]}}',
         lambda r, v: r.classify(v, (), silent), "scores.0.score: Input should be a finite number"),
        ("classify", {"result": {}}, lambda r, v: r.classify(v, (), silent), "holds no scores"),
        ("classify", SCORES, lambda r, v: r.classify(v, ("effusion",), silent), "'edema', which was not asked for"),
        ("classify", SCORES, lambda r, v: r.classify(v, (), silent), "'edema', which was not asked for"),
        ("detect", {"result": {"boxes": [BOX | {"upper": [1, 2, 9]}]}},
         lambda r, v: r.detect(v, "nodule", silent), "box 'nodule' lies outside the image"),
        ("detect", {"result": {"boxes": [BOX | {"lower": [3, 3, 3]}]}},
         lambda r, v: r.detect(v, "nodule", silent), "corners the wrong way round"),
        ("detect", {"result": {}}, lambda r, v: r.detect(v, "nodule", silent), "holds no boxes"),
        ("landmarks", {"result": {"points": [{"name": "carina", "voxel": [0, 0, 99]}]}},
         lambda r, v: r.landmarks(v, ("carina",), silent), "point 'carina' lies outside"),
        ("landmarks", {"result": {"points": [{"name": "liver", "voxel": [0, 0, 1]}]}},
         lambda r, v: r.landmarks(v, ("carina",), silent), "the point 'liver', which was not asked for"),
        ("answer", {"result": {"text": "  "}}, lambda r, v: r.answer(v, "What?", silent), "holds no text"),
        ("synthesize", {"result": {"image": {"nifti": "!"}}},
         lambda r, v: r.synthesize(v, {}, silent), "its image: no gz"),
        ("synthesize", {"result": {}}, lambda r, v: r.synthesize(v, {}, silent), "holds no image"),
        ("synthesize", {"result": {"image": {"nifti": packed(np.full((2, 2, 2), np.nan, np.float32), np.eye(4))}}},
         lambda r, v: r.synthesize(v, {}, silent), "voxels that are not numbers"),
    ],
)  # fmt: skip
def test_answers_of_other_verbs_are_checked(
    ask: Ask, small: Volume, verb: str, reply: Any, call: Callable[[Any, Volume], Any], said: str
) -> None:
    with pytest.raises(UnavailableError, match=said):
        ask(reply, verb, lambda r: call(r, small))


def test_right_answers_of_other_verbs_are_taken(ask: Ask, small: Volume) -> None:
    rows = ask(SCORES, "classify", lambda r: r.classify(small, (), silent), targets=("edema",))
    assert (rows[0].label, rows[0].score, rows[0].above) == ("edema", 0.7, True)
    two = {"result": {"boxes": [BOX | {"score": 0.1}, BOX]}}
    boxes = ask(two, "detect", lambda r: r.detect(small, "nodule", silent))
    assert [box.score for box in boxes] == [0.5, 0.1]
    grounding = ask(two, "ground", lambda r: r.ground(small, "the nodule", silent))
    assert (len(grounding.boxes), grounding.mask) == (2, None)
    points = {"result": {"points": [{"name": "carina", "voxel": [0.5, 1, 2]}]}}
    assert ask(points, "landmarks", lambda r: r.landmarks(small, ("carina",), silent))[0].voxel == (0.5, 1.0, 2.0)
    assert ask({"result": {"text": "A chest."}}, "answer", lambda r: r.answer(small, "What?", silent)) == "A chest."
    made = {"result": {"image": image_out(small).model_dump()}}
    assert ask(made, "synthesize", lambda r: r.synthesize(None, {"seed": 1}, silent)).shape == (4, 5, 6)


@pytest.mark.parametrize(
    ("kind", "error"),
    [("bad_input", BadInputError), ("unsupported", UnsupportedError), ("unavailable", UnavailableError)],
)
def test_errors_keep_their_meaning_and_one_line(ask: Ask, small: Volume, kind: str, error: type[Exception]) -> None:
    with pytest.raises(error, match="two lines") as caught:
        ask({"error": {"kind": kind, "message": "two\nlines" + "x" * 1500}}, "segment",
            lambda r: r.segment(small, ("lungs",), silent))  # fmt: skip
    assert len(str(caught.value)) < 700


def hang(handler: Any) -> None:
    time.sleep(3)


def drip(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    for _byte in range(30):
        handler.wfile.write(b" ")
        time.sleep(0.1)


def go_away(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    handler.wfile.write(b'{"protocol"')
    handler.connection.close()


def fail(handler: Any) -> None:
    handler.send_error(500)


def redirect(handler: Any) -> None:
    handler.send_response(307)
    handler.send_header("Location", "http://192.0.2.1/")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("way", "said"),
    [
        (hang, "did not answer within 0.5 s"),
        (drip, "did not answer within 0.5 s"),
        (go_away, "went away while it was asked"),
        (fail, "answered 500 Internal Server Error"),
        (redirect, "answered 307 Temporary Redirect"),
    ],
)
def test_a_server_that_hangs_or_goes_away_is_given_up(ask: Ask, small: Volume, way: Any, said: str) -> None:
    began = time.monotonic()
    with pytest.raises(UnavailableError, match=said):
        ask(lambda request: way, "segment", lambda r: r.segment(small, ("lungs",), silent), options={"timeout_s": 0.5})
    assert time.monotonic() - began < 2.5


def test_an_mcp_server_that_hangs_is_given_up(ask: Ask, small: Volume) -> None:
    with pytest.raises(UnavailableError, match=r"did not answer within 0.5 s"):
        ask(lambda request: hang, "segment", lambda r: r.segment(small, ("lungs",), silent), runtime="remote_mcp",
            options={"timeout_s": 0.5})  # fmt: skip


@pytest.mark.parametrize("runtime", ["remote_http", "remote_mcp"])
def test_a_server_that_is_not_there_is_said(small: Volume, runtime: str) -> None:
    with pytest.raises(UnavailableError, match=r"correct options.url of its card"):
        use(card("http://127.0.0.1:9/", runtime=runtime), lambda r: r.segment(small, ("lungs",), silent))


def test_a_waiting_call_can_be_cancelled(ask: Ask, small: Volume) -> None:
    def cancel(done: float, what: str) -> None:
        if what.startswith("waiting"):
            raise CancelledError("a person stopped it")

    began = time.monotonic()
    with pytest.raises(CancelledError):
        ask(lambda request: hang, "segment", lambda r: r.segment(small, ("lungs",), cancel))
    assert time.monotonic() - began < 1.5


# --- what leaves, and where to


def test_only_pixels_and_geometry_leave(ask: Ask, oblique_ct: Volume) -> None:
    with pytest.raises(UnavailableError):
        ask({}, "segment", lambda r: r.segment(oblique_ct, ("lungs",), silent))
    request = json.loads(Liar.received[0])
    assert set(request) == {"protocol", "verb", "model", "image", "arguments"}
    assert set(request["image"]) == {"nifti", "modality", "body_part", "units", "has_spacing"}
    file = gzip.decompress(base64.b64decode(request["image"]["nifti"]))
    assert b"CANARY" not in Liar.received[0] + file
    assert bytes(nib.Nifti1Image.from_bytes(file).header["descrip"].item()).strip(b"\0") == b""


@pytest.mark.parametrize(
    ("url", "allowed", "refused"),
    [
        ("http://127.0.0.1:8100/", (), False),
        ("http://localhost/", (), False),
        ("http://[::1]:8100/", (), False),
        ("https://gpu.example:8100/", (), True),
        ("https://gpu.example:8100/", ("https://gpu.example:8100",), False),
        ("https://gpu.example/x", ("https://GPU.example:443/",), False),
        ("http://gpu.example:8100/", ("https://gpu.example:8100",), True),
        ("https://gpu.example:8101/", ("https://gpu.example:8100",), True),
        ("https://127.0.0.1.evil.example/", (), True),
        ("http://localhost@evil.example/", (), True),
        ("file:///etc/passwd", (), True),
        ("", (), True),
    ],
)
def test_pixels_go_only_where_a_person_allowed(
    url: str, allowed: tuple[str, ...], refused: bool, small: Volume
) -> None:
    far = card(url)
    assert bool(address_refusal(far, allowed)) is refused
    hub = Hub([far], remote_models=allowed)
    silent_here = url.startswith(("http://127.0.0.1:", "http://localhost/", "http://[::1]"))
    assert hub.status(far).state == ("needs extra" if refused or silent_here else "ready")
    assert ("nothing answers at" in hub.status(far).remedy) is silent_here
    if refused:
        with pytest.raises(UnavailableError, match=r"READINGROOM_REMOTE_MODELS|must name an http"):
            hub.use(Choice(far, "the test"), lambda r: r.segment(small, ("lungs",), silent))


def test_allowed_addresses_are_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.settings import Settings

    monkeypatch.setenv("READINGROOM_REMOTE_MODELS", "https://gpu.example:8100, http://10.0.0.7:8100")
    assert Settings().remote_models == ("https://gpu.example:8100", "http://10.0.0.7:8100")
    assert Settings(remote_models=()).remote_models == ()
    with pytest.raises(ValueError, match=r"must be http or https addresses, got 'gpu.example'"):
        Settings(remote_models=("gpu.example",))


def test_a_wrong_option_names_card_and_key(servers: dict[str, str]) -> None:
    with pytest.raises(BadInputError, match=r"'far', \[options\] timeout_s"):
        use(card(servers["example"], options={"timeout_s": 0}), lambda r: r)
    with pytest.raises(BadInputError, match=r"'far', \[options\] color"):
        use(card(servers["example"], options={"color": 1}), lambda r: r)


# --- the reference server itself


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ("{", "no JSON"),
        ("[]", "request : Input should be"),
        ({"protocol": 2, "verb": "segment", "model": "ct-chest-threshold"}, "request protocol"),
        ({"verb": "segment", "model": "ct-chest-threshold"}, "segment needs an image"),
        ({"verb": "segment", "model": "ct-chest-threshold", "image": {"nifti": "x"}}, "no gzipped NIfTI-1"),
        ({"verb": "__init__", "model": "ct-chest-threshold"}, "serves segment, not '__init__'"),
    ],
)
def test_the_server_says_what_is_wrong_with_a_request(request_: Any, said: str) -> None:
    hub = Hub.installed()
    response = LentModel(hub, hub.get("ct-chest-threshold")).answer(request_)
    assert response.error is not None
    assert said in response.error.message
    assert response.result is None


def test_the_server_asks_for_the_arguments_of_a_verb(small: Volume) -> None:
    hub = Hub.installed()
    request = WireRequest(verb="segment", model="ct-chest-threshold", image=image_out(small))
    response = LentModel(hub, hub.get("ct-chest-threshold")).answer(request.model_dump_json())
    assert response.error is not None
    assert response.error.message == "segment needs the argument 'targets'"


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64, np.bool_, np.int64])
def test_an_image_survives_the_wire(dtype: Any, oblique_ct: Volume) -> None:
    array = (np.arange(24).reshape(2, 3, 4) % 2).astype(dtype)
    back = image_in(image_out(Volume(array, oblique_ct.affine_ras)), max_bytes=10_000)
    assert np.array_equal(back.array, array)
    assert np.allclose(back.affine_ras, oblique_ct.affine_ras, atol=1e-4)
    assert back.spacing_source is None


def test_colour_survives_the_wire() -> None:
    array = np.arange(60, dtype=np.uint8).reshape(4, 5, 1, 3)
    assert np.array_equal(image_in(image_out(Volume(array, np.eye(4))), max_bytes=10_000).array, array)
