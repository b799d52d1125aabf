"""The tools over MCP, with the SDK's own client: in the process, over standard input and output, over HTTP."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from agent.assistant import Assistant
from agent.settings import Settings
from tests.phantoms import phantom_volume, write_dicom_series
from tests.phantoms_ct import chest
from tools.imaging.read import write_nifti

mcp = pytest.importorskip("mcp")

CANARY = "CANARY^PETRA"
HANDSHAKES = ["legacy", "auto"]
"""The protocol with a session, and the newer one without."""


@pytest.fixture(scope="module")
def studies(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    phantom = chest()
    write_nifti(folder / "ct.nii.gz", phantom.volume.array, phantom.volume)
    (folder / "series").mkdir()
    write_dicom_series(folder / "series", phantom_volume(), edit=lambda d, k: setattr(d, "PatientName", CANARY))
    return folder


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("READINGROOM_", "OPENAI_"))}
    return kept | {
        "READINGROOM_READINGS_DIR": str(tmp_path / "readings"),
        "READINGROOM_DATA_DIR": str(tmp_path / "data"),
        "READINGROOM_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONWARNINGS": "ignore",
    }


def over_stdio(environment, *options):
    from mcp import StdioServerParameters

    command = ["-m", "ui.cli", "mcp", *map(str, options)]
    code = "import sys; from ui.cli import main; main(sys.argv[1:])"
    return StdioServerParameters(command=sys.executable, args=["-c", code, *command[2:]], env=environment)


@contextmanager
def over_http(environment, *options):
    code = "import sys; from ui.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "mcp", "--http", "--port", "0", *map(str, options)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "/mcp" in line, line + process.stderr.read()
        yield line.split(" at ")[1].split()[0]
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stderr.close()


def in_process(tmp_path, studies, **lending):
    from ui.mcp.server import Lending, ToolServer

    settings = Settings(readings_dir=tmp_path / "readings", data_dir=tmp_path / "data")
    given = {"folders": (studies,), "egress": "local"} | lending
    return ToolServer(Assistant(settings=settings), Lending(**given), session="test").server()


def words(result) -> str:
    return "\n".join(part.text for part in result.content if part.type == "text")


async def test_an_image_is_segmented_and_seen_over_stdio(environment, studies):
    from mcp import Client

    told = []

    async def on_progress(progress, total, message):
        told.append((progress, total, message))

    async with Client(over_stdio(environment, "--folder", studies, "--egress", "local")) as client:
        attached = await client.call_tool("attach", {"path": "ct.nii.gz"})
        assert attached.structured_content["id"] == "img1"
        result = await client.call_tool(
            "segment", {"image": "@img1", "targets": ["lungs"]}, progress_callback=on_progress
        )
        assert not result.is_error, words(result)
        (picture,) = [part for part in result.content if part.type == "image"]
        pixels = np.asarray(Pillow.open(io.BytesIO(base64.b64decode(picture.data))))
        assert picture.mime_type == "image/png"
        assert pixels.std() > 5
        assert "Research use only" in words(result)
        voxels = result.structured_content["result"]["masks"][0]["voxels"]
        truth = int((chest().left | chest().right).sum())
        assert voxels == pytest.approx(truth, rel=0.1)
        measured = await client.call_tool("measure", {"image": "@img1", "mask": "@s1", "quantities": ["volume"]})
        assert measured.structured_content["id"] == "s2"
        (row,) = measured.structured_content["result"]["rows"]
        assert (row["quantity"], row["unit"]) == ("volume", "ml")
        assert row["value"] == pytest.approx(voxels * 2 * 2 * 3 / 1000, rel=1e-3)
        uri = next(str(p.uri) for p in result.content if p.type == "resource_link" and p.name.endswith(".nii.gz"))
        assert uri in {str(r.uri) for r in (await client.list_resources()).resources}
        (file,) = (await client.read_resource(uri)).contents
        assert base64.b64decode(file.blob)[:2] == b"\x1f\x8b"
    assert told[-1][0] == 1.0
    assert [t[0] for t in told] == sorted(t[0] for t in told)


async def test_http_clients_have_readings_of_their_own(environment, studies):
    with over_http(environment, "--folder", studies, "--egress", "local") as address:
        for mode in HANDSHAKES:
            await _two_clients(address, mode)


async def _two_clients(address, mode):
    from mcp import Client

    async with Client(address, mode=mode) as one, Client(address, mode=mode) as two:
        mine = (await one.call_tool("attach", {"path": "ct.nii.gz"})).structured_content["reading"]
        named = {} if mode == "legacy" else {"reading": mine}
        seen = await one.call_tool("describe", {"image": "@img1", **named})
        assert not seen.is_error, words(seen)
        assert seen.structured_content["result"]["facts"]
        other = await two.call_tool("describe", {"image": "@img1"})
        assert other.is_error
        assert "img1" in words(other)
        guess = await two.call_tool("describe", {"image": "@img1", "reading": "mcp-" + "0" * 32})
        assert "no reading" in words(guess)
        outside = await two.call_tool("describe", {"image": "@img1", "reading": "../readings"})
        assert "no reading" in words(outside)


async def test_every_registered_tool_is_listed_with_its_own_schema(tmp_path, studies):
    from mcp import Client

    from tools.registry import Registry

    async with Client(in_process(tmp_path, studies)) as client:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
    registry = Registry.installed()
    assert set(listed) == {*registry.names, "attach"}
    for tool in registry:
        shown = listed[tool.name]
        assert shown.description.startswith(tool.description)
        for name, part in tool.args_schema["properties"].items():
            assert shown.input_schema["properties"][name] == part
        assert "reading" in shown.input_schema["properties"]
        assert shown.output_schema["required"] == ["id", "reading", "result"]


async def test_a_tool_that_needs_approval_runs_only_where_a_person_allowed_it(tmp_path, studies):
    from mcp import Client

    async with Client(in_process(tmp_path, studies)) as client:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        refused = await client.call_tool("train", {"examples": ["@img1"], "target": "lungs"})
    assert "--allow train" in listed["train"].description
    assert refused.is_error
    assert "--allow train" in words(refused)
    async with Client(in_process(tmp_path, studies, allow=frozenset({"train"}))) as client:
        tried = await client.call_tool("train", {"nonsense": 1})
    assert "--allow" not in words(tried)
    assert "nonsense" in words(tried)


@pytest.mark.parametrize(
    ("tool", "args", "told"),
    [
        ("attach", {"path": "/etc/passwd"}, "outside the folders"),
        ("attach", {"path": "../../etc/passwd"}, "outside the folders"),
        ("attach", {"path": "nothing.nii.gz"}, "nothing.nii.gz"),
        ("attach", {}, "either 'path' or 'content'"),
        ("attach", {"name": "../x.nii.gz", "content": "AAAA"}, "a file's name without folders"),
        ("attach", {"name": "x.nii.gz", "content": "no base64!"}, "base64"),
        ("attach", {"name": "x.nii.gz", "content": "AAAA"}, "x.nii.gz"),
        ("segment", {"image": "@img9", "targets": ["lungs"]}, "img9"),
        ("segment", {"image": "@img1"}, "targets"),
        ("no_such_tool", {}, "no tool named"),
    ],
)
async def test_a_wrong_call_is_one_line(tmp_path, studies, tool, args, told):
    from mcp import Client

    async with Client(in_process(tmp_path, studies)) as client:
        await client.call_tool("attach", {"path": "ct.nii.gz"})
        result = await client.call_tool(tool, args)
    assert result.is_error
    assert told in words(result)
    assert "\n" not in words(result)


async def test_a_link_out_of_the_folder_is_not_followed(tmp_path, studies):
    from mcp import Client

    folder = tmp_path / "open"
    folder.mkdir()
    (folder / "link.nii.gz").symlink_to(studies / "ct.nii.gz")
    async with Client(in_process(tmp_path, studies, folders=(folder,))) as client:
        result = await client.call_tool("attach", {"path": "link.nii.gz"})
    assert "outside the folders" in words(result)


async def test_a_file_that_is_sent_along_is_attached(tmp_path, studies):
    from mcp import Client

    data = base64.b64encode((studies / "ct.nii.gz").read_bytes()).decode()
    async with Client(in_process(tmp_path, studies, folders=())) as client:
        result = await client.call_tool("attach", {"name": "ct.nii.gz", "content": data})
        assert "no folder is open" in words(await client.call_tool("attach", {"path": "ct.nii.gz"}))
    assert result.structured_content["modality"] == "CT"


async def test_by_default_neither_pixels_nor_names_leave(tmp_path, studies):
    from mcp import Client

    async with Client(in_process(tmp_path, studies, egress="remote-deidentified")) as client:
        await client.call_tool("attach", {"path": "series"})
        described = await client.call_tool("describe", {"image": "@img1"})
        await client.call_tool("attach", {"path": "ct.nii.gz"})
        result = await client.call_tool("segment", {"image": "@img2", "targets": ["lungs"]})
        uri = next(str(p.uri) for p in result.content if p.type == "resource_link")
        with pytest.raises(mcp.MCPError, match="remote-allowed"):
            await client.read_resource(uri)
    assert not described.is_error
    assert CANARY not in described.model_dump_json()
    assert [p for p in result.content if p.type == "image"] == []
    assert "stays here" in words(result)
    log = (tmp_path / "data" / "audit.jsonl").read_text(encoding="utf-8")
    assert '"purpose": "segment"' in log
    assert CANARY not in log


async def test_marks_are_said_before_anything_else(tmp_path, studies):
    from mcp import Client

    async with Client(in_process(tmp_path, studies)) as client:
        await client.call_tool("attach", {"path": "ct.nii.gz"})
        result = await client.call_tool("synthesize", {"image": "@img1", "output": "drr"}, read_timeout_seconds=120)
    assert not result.is_error, words(result)
    assert words(result).startswith("SYNTHETIC")


async def test_a_call_that_is_given_up_stops_the_tool(tmp_path, studies, monkeypatch):
    import anyio.to_thread
    from mcp import Client

    from tests.ui.mcp.slow import ended, slow
    from tools.contract import Tool
    from ui.mcp.server import Lending, ToolServer

    assert isinstance(slow, Tool)
    from tools.registry import Registry

    assistant = Assistant(settings=Settings(readings_dir=tmp_path / "readings"), registry=Registry([slow]))
    server = ToolServer(assistant, Lending(egress="local"), session="test").server()
    async with Client(server) as client:
        with anyio.move_on_after(0.5):
            await client.call_tool("slow", {})
        with anyio.fail_after(10):
            await anyio.to_thread.run_sync(ended.wait)


def test_options_that_are_wrong_are_named(run_cli, tmp_path):
    assert run_cli("mcp", "--folder", tmp_path / "none").code == 2
    assert "no such tool" in run_cli("mcp", "--allow", "sgment").err
    assert "--egress must be one of" in run_cli("mcp", "--egress", "all").err
