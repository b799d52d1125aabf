"""Language models compared as planners, against endpoints on loopback."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent / "llm"))

from stub_endpoint import endpoint, fails, says

from agent.assistant import Assistant
from agent.compare_llms import Contender, contenders_of
from agent.errors import ConfigError
from agent.settings import Settings
from agent.testing import ScriptedLLM
from knowledge.embed import HashEmbedder

CASES = (
    {"id": "a", "request": "wait a little", "outcome": "plan", "tools": [["wait"]], "args": {"wait": {"seconds": 1}}},
    {"id": "b", "request": "wait a little while longer", "outcome": "decline", "tools": [], "args": {}},
)
WAITS = {
    "outcome": "plan",
    "steps": [{"id": "s1", "tool": "wait", "args": {"seconds": 1.0, "after": None}, "when": None}],
    "message": None,
}


def plans() -> str:
    return json.dumps(WAITS)


@pytest.fixture
def cases(tmp_path) -> Path:
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join(json.dumps(c) for c in CASES))
    return path


@pytest.fixture
def assistant(tmp_path, box, monkeypatch) -> Assistant:
    made = Assistant(
        settings=Settings(readings_dir=tmp_path, cache_dir=tmp_path / "cache", device="cpu", llm_api_key="sk-canary"),
        registry=box.registry(), hub=SimpleNamespace(cards=(), targets=lambda verb: ()), embedder=HashEmbedder(),
        llm=ScriptedLLM(lambda ask: {"outcome": "decline", "steps": [], "message": "no"}, name="always declines"),
    )  # fmt: skip
    monkeypatch.setattr("ui.assistants.open_assistant", lambda: made)
    monkeypatch.setattr("ui.fetching.fetch", lambda *a: None)
    return made


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    from ui import cli

    with pytest.raises(SystemExit) as ended:
        cli.main(["eval", "plans", *map(str, arguments)])
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def test_one_table_has_every_planner_and_the_baselines(assistant, cases, capsys) -> None:
    with endpoint(says(plans())) as one, endpoint(says(plans())) as two:
        code, out, _ = run(
            capsys, cases, "--endpoint", one.base_url, "--model", "tiny", "--endpoint", two.base_url, "--model", "big"
        )
        assert {r["model"] for r in one.requests} == {"tiny"}
        assert {r["model"] for r in two.requests} == {"big"}
        assert "sk-canary" not in json.dumps(one.keys + two.keys)  # a key goes only where it was set for
    assert code == 0
    lines = {line.split("  ")[0]: line for line in out.splitlines()}
    assert "1 of 2" in lines["always declines"]
    assert "as the settings say" in lines["always declines"]
    assert "1 of 2" in lines["tiny"]
    assert "100.0%" in lines["tiny"]  # its arguments
    assert "baseline" in lines["nearest example copied"]


def test_json_has_every_case_of_every_planner(assistant, cases, capsys) -> None:
    with endpoint(says(plans())) as stub:
        code, out, _ = run(capsys, cases, "--endpoint", stub.base_url, "--model", "tiny", "--json")
    compared = json.loads(out)["compared"]
    assert code == 0
    assert [(r["llm"], r["correct"], r["cases"]) for r in compared] == [("always declines", 1, 2), ("tiny", 1, 2)]
    assert [r["correct"] for r in compared[1]["results"]] == [True, False]
    assert compared[1]["tokens"] % 18 == 0
    assert compared[1]["tokens"] > 0
    assert "nearest example copied" in json.loads(out)["baselines"]


def test_one_that_cannot_be_asked_is_a_row_and_the_others_go_on(assistant, cases, capsys) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with endpoint(says(plans())) as good, endpoint(fails(401, "no")) as locked:
        options = [o for url, m in ((dead, "gone"), (locked.base_url, "locked"), (good.base_url, "tiny"))
                   for o in ("--endpoint", url, "--model", m)]  # fmt: skip
        code, out, _ = run(capsys, cases, *options, "--json")
        assert len(locked.requests) == 1
    rows = {r["llm"]: r for r in json.loads(out)["compared"]}
    assert code == 1
    assert "cannot be reached" in rows["gone"]["problem"]
    assert "refuses the key" in rows["locked"]["problem"]
    assert rows["tiny"]["correct"] == 1


def test_endpoints_and_models_pair() -> None:
    url, other = "http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"
    assert contenders_of([url], ["a", "b"]) == (Contender(url, "a"), Contender(url, "b"))
    assert contenders_of([url, other], []) == (Contender(url), Contender(other))
    with pytest.raises(ConfigError, match="go in pairs, got 2 and 3"):
        contenders_of([url, other], ["a", "b", "c"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "x"], "--model names a model at an --endpoint"),
        (["--endpoint", "localhost:8000"], "must be an http or https address"),
    ],
)
def test_a_wrong_call_is_one_line(assistant, cases, capsys, options, said) -> None:
    code, _, err = run(capsys, cases, *options)
    assert code == 2
    assert said in err
