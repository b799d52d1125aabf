"""A patient in headers, file names and request goes through the running page, and is looked for in all that it gives.

What leaves (prompts, pictures), what is kept for others to see (log, audit log, record, results, exports) and what the
page answers. What may hold it: the attached files themselves, and the person's own request and file name shown back.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.agent.llm.conftest import CANARIES
from tests.agent.llm.stub_endpoint import Answer, Stub, endpoint, says
from tests.agent.llm.test_canary import leaks
from tests.pacs.conftest import free_port
from tests.phantoms import write_dicom_series
from tests.phantoms_ct import chest
from tests.reading_server import reading_server

NAME = "CANARYNAME_FELICITAS_0815.zip"
REQUEST = "Measure the lungs of Ms Felicitas CanaryName, CNRY-77123."
WRONG = (
    "FINDINGS: Ms Felicitas CanaryName, MRN CNRY-77123, has a lung volume of 9,999 ml. Seen by Dr. Ursula Canarydoc."
)

EXPORTS = (
    ("s2", "csv"), ("s2", "json"), ("s3", "html"), ("s3", "fhir"), ("s3", "docx"), ("s3", "pdf"), ("s1", "nifti"),
    ("img1", "png"), ("img1", "nifti"),
)  # fmt: skip


def planted(dataset: Any, _: int) -> None:
    for keyword, value in CANARIES.items():
        setattr(dataset, keyword, value)
    dataset.StudyDescription = "CT for Felicitas CanaryName"
    dataset.SeriesDescription = "Felicitas"
    dataset.PatientComments = "call CanaryDoc"
    dataset.ProtocolName = "CANARYNAME protocol"
    dataset.BodyPartExamined = "CANARYNAME"
    dataset.ViewPosition = "FELICITAS"


def study(folder: Path) -> Path:
    """Return a zip of a chest CT that is full of canaries, its file names too."""
    paths = write_dicom_series(folder / "slices", chest().volume, edit=planted)
    with zipfile.ZipFile(folder / NAME, "w") as packed:
        for path in paths:
            packed.write(path, f"CANARYNAME_FELICITAS/{path.name}")
    return folder / NAME


def answer(stub: Stub) -> Answer:
    """Word the draft, and see something; both repeat whatever name they were given."""
    content = stub.requests[-1]["messages"][-1]["content"]
    if isinstance(content, list):
        return says(json.dumps({"seen": [{"part": "pleura", "sentence": "A band lies along the wall."}]}))
    sentences = json.loads(content[content.rindex("\n[") :]) if "\n[" in content else []
    return says(json.dumps({"sentences": sentences, "sentence": ""}))


class Run(NamedTuple):
    address: str
    client: Any
    stub: Stub
    folder: Path
    reading: str
    answers: list[Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    from gradio_client import Client, handle_file

    folder = tmp_path_factory.mktemp("page")
    path = study(tmp_path_factory.mktemp("brought"))
    with endpoint(lambda: answer(stub)) as stub:
        env = {
            "READINGROOM_LLM_BASE_URL": stub.base_url, "READINGROOM_LLM_MODEL": "remote",
            "READINGROOM_LLM_SEES_IMAGES": "1", "READINGROOM_EGRESS": "remote-deidentified",
        }  # fmt: skip
        with reading_server(folder, free_port(), env) as address:
            client = Client(address, verbose=False)
            made = client.predict(handle_file(str(path)), "", "", "", api_name="/attach")
            answers = [made]
            answers += list(client.submit(REQUEST, made["reading"], api_name="/ask"))
            answers += list(client.submit(made["reading"], "approve", "", None, api_name="/decide"))
            assert answers[-1]["outcome"] == "answered", answers[-1]
            yield Run(address, client, stub, folder, made["reading"], answers)
            client.close()


def own(text: str) -> str:
    """Return text without what the person wrote and named, which is shown back to them alone."""
    return text.replace(REQUEST, "").replace(NAME, "").replace(NAME.removesuffix(".zip"), "")


def test_nothing_of_the_patient_leaves(run: Run) -> None:
    assert any(isinstance(r["messages"][0]["content"], list) for r in run.stub.requests), "a picture was sent"
    assert any("You edit a radiology" in str(r["messages"]) for r in run.stub.requests), "a draft was sent"
    calls = len({json.dumps(request["messages"]) for request in run.stub.requests})  # one may be sent again
    for request in run.stub.requests:
        content = request["messages"][0]["content"]
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        for part in parts:
            if part["type"] == "image_url":
                held = base64.b64decode(part.pop("image_url")["url"].partition(",")[2])
                assert leaks(held.decode("latin-1")) == []
        assert leaks(json.dumps(request)) == []
    log = (run.folder / "data" / "audit.jsonl").read_text(encoding="utf-8")
    assert log.count("\n") == calls
    assert leaks(log) == []


def test_nothing_of_the_patient_is_in_what_the_page_answers(run: Run) -> None:
    reading = run.reading
    shown = [own(json.dumps(found)) for found in run.answers]
    assert any("The model's opinion (remote)" in text for text in shown)
    with httpx.Client(base_url=run.address, trust_env=False, cookies=dict(run.client.cookies), timeout=60) as owner:
        addresses = ["/", "/config", f"/plan/{reading}", f"/report/{reading}", f"/view/{reading}/scene.json"]
        addresses += [
            f"/view/{reading}/img1/{name}" for name in ("info.json", "volume.nii", "thumbnail.png", "slice.png")
        ]
        addresses += [f"/view/{reading}/s1/layers.json"]
        for address in addresses:
            told = owner.get(address)
            assert told.status_code in (200, 422), (address, told.status_code)
            shown.append(own(told.content.decode("latin-1")))
        refused = (f"/view/{reading}/img7/info.json", f"/report/{reading}/draft?base=s77", "/files/x/y")
        shown += [owner.get(address).text for address in refused]
    for text in shown:
        assert leaks(text) == [], text[:300]


def test_nothing_of_the_patient_is_in_exports_results_record_and_log(run: Run) -> None:
    with httpx.Client(base_url=run.address, trust_env=False, cookies=dict(run.client.cookies), timeout=60) as owner:
        for artifact, form in EXPORTS:
            made = run.client.predict(run.reading, [artifact], form, api_name="/export")
            for address in made["files"]:
                held = owner.get(address).content
                assert leaks(unpacked(held).decode("latin-1")) == [], (artifact, form)
                assert leaks(address) == []
    root = run.folder / "readings" / run.reading
    for path in (root / "artifacts").rglob("*"):
        if path.is_file() and path.suffix != ".dcm":
            assert leaks(unpacked(path.read_bytes()).decode("latin-1")) == [], path
    record = (root / "record.jsonl").read_text(encoding="utf-8")
    assert leaks(own(record)) == []
    assert leaks(own((run.folder / "server.log").read_text(encoding="utf-8"))) == []


def unpacked(data: bytes) -> bytes:
    import gzip

    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            return b" ".join(packed.read(name) for name in packed.namelist())
    return data


def test_a_checked_report_and_a_refusal_name_nobody_to_another(run: Run) -> None:
    from gradio_client import Client
    from gradio_client.exceptions import AppError

    before = len(run.stub.requests)
    run.client.predict(run.reading, WRONG, api_name="/check_report")
    assert all(leaks(json.dumps(request)) == [] for request in run.stub.requests[before:])
    stranger = Client(run.address, verbose=False)
    for api_name, args in {"/answer": (), "/export": (["s1"], "json"), "/check_report": ("Clear.",)}.items():
        with pytest.raises(AppError) as refused:
            stranger.predict(run.reading, *args, api_name=api_name)
        assert leaks(str(refused.value)) == []
    stranger.close()
