"""`readingroom doctor`: what is there, what is not, and what to do about it."""

import json
import socket
from dataclasses import dataclass, field
from typing import Any

import pytest

from agent.assistant import Assistant
from agent.settings import Settings
from tools.registry import BrokenPlugin, Registry
from ui.diagnosis import answers, diagnose, stored_reports


def _checks(assistant, area=None):
    found = list(diagnose(assistant))
    return [c for c in found if area is None or c.area == area]


def test_a_fresh_machine_says_what_to_run(run_cli):
    done = run_cli("doctor")
    assert done.code == 1
    for command in (
        "readingroom samples get smollm2",
        "readingroom samples get minilm",
        "readingroom knowledge ingest",
    ):
        assert command in done.out
    assert "✗ llm" in done.out
    assert "does not work yet" in done.out
    assert len(done.err.splitlines()) == 0


def test_json_has_one_entry_a_check(run_cli):
    done = run_cli("doctor", "--json")
    found = json.loads(done.out)
    assert found["works"] is False
    assert {c["state"] for c in found["checks"]} <= {"ok", "optional", "missing"}
    missing = [c for c in found["checks"] if c["state"] == "missing"]
    assert all(c["remedy"] for c in missing)


def test_exit_code_0_when_nothing_needed_is_missing(run_cli, monkeypatch):
    from ui import diagnosis

    ok = diagnosis.Check("llm", "ok", "fine")
    optional = diagnosis.Check("servers", "optional", "not running")
    monkeypatch.setattr(diagnosis, "diagnose", lambda assistant, full=False: iter([ok, optional]))
    done = run_cli("doctor")
    assert (done.code, done.out.splitlines()[-1]) == (0, "The default path works.")


def test_a_broken_plugin_is_named_and_does_not_stop_the_rest():
    broken = BrokenPlugin("lesion_count", "some-plugin", "ImportError: no module named torchvision")
    assistant = Assistant(registry=Registry([], [broken]))
    found = _checks(assistant, "tools")
    assert [(c.state, "lesion_count of some-plugin" in c.detail) for c in found] == [
        ("missing", False),
        ("optional", True),
    ]


def test_an_endpoint_that_does_not_answer_is_missing():
    with socket.socket() as taken:  # bound and not listening: nothing can answer there
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        assistant = Assistant(settings=Settings(llm_base_url=url, llm_model="m"))
        (check,) = _checks(assistant, "llm")
    assert (check.state, check.remedy) == ("missing", "start that server, or correct READINGROOM_LLM_BASE_URL")
    assert url in check.detail


def test_an_endpoint_that_answers_is_ok():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        assert answers(url)
        (check,) = _checks(Assistant(settings=Settings(llm_base_url=url, llm_model="m")), "llm")
    assert check.state == "ok"


def test_a_full_disk_is_missing_space(monkeypatch):
    from ui import diagnosis

    monkeypatch.setattr(diagnosis, "free_bytes", lambda folder: 1e6)
    found = _checks(Assistant(), "disk")
    assert [c.state for c in found] == ["missing"] * 3
    assert "1.0 MB free" in found[0].detail


def test_a_part_that_breaks_is_a_finding():
    @dataclass
    class Breaking:
        settings: Settings = field(default_factory=Settings)

        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("no such part")

    found = _checks(Breaking(), "doctor")
    assert found
    assert all("RuntimeError" in c.detail for c in found)


def test_stored_reports_are_counted_without_opening_the_vectors(tmp_path):
    from knowledge.embed import HashEmbedder
    from knowledge.report import report_from_sections
    from knowledge.search import Knowledge

    assert stored_reports(tmp_path / "reports") == 0
    store = Knowledge.open(tmp_path / "reports", HashEmbedder())
    store.ingest([report_from_sections([("findings", "Clear lungs.")], id=f"R{n}", source="test") for n in range(3)])
    store.close()
    assert stored_reports(tmp_path / "reports") == 3


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://"])
def test_nothing_answers_at_a_closed_port_or_without_host(url):
    assert not answers(url)
