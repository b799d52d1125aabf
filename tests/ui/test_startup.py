"""`readingroom --help` answers at once: nothing heavy is imported before a command needs it."""

import subprocess
import sys
import time

HEAVY = (
    "torch",
    "gradio",
    "monai",
    "chromadb",
    "openai",
    "langgraph",
    "onnxruntime",
    "pydantic",
    "numpy",
    "httpx",
    "rich",
)
LIMIT_S = 0.5


def test_command_line_imports_nothing_heavy():
    code = f"import sys, ui.cli; print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_help_answers_within_its_limit():
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", "from ui.cli import main; main(['--help'])"],
            capture_output=True,
            text=True,
            check=True,
        )
        seconds.append(time.perf_counter() - start)
    assert "Usage: readingroom" in done.stdout
    assert min(seconds) <= LIMIT_S, seconds


def test_every_command_has_a_help_page(run_cli):
    commands = ["ask", "serve", "demo", "doctor", "replay", "tools", "models", "samples", "knowledge", "eval"]
    groups = {
        "tools": ["list", "show", "run", "check"], "models": ["list", "get", "check"], "samples": ["list", "get"],
        "knowledge": ["ingest", "search", "stats"], "eval": ["plans", "retrieval"],
    }  # fmt: skip
    for command in commands:
        assert run_cli(command, "--help").code == 0
        for part in groups.get(command, ()):
            done = run_cli(command, part, "--help")
            assert done.code == 0
            assert f"Usage: readingroom {command} {part}" in done.out


def test_without_arguments_it_says_what_there_is(run_cli):
    done = run_cli()
    assert done.code == 0
    assert "ask" in done.out


def test_version_is_the_installed_one(run_cli):
    from importlib.metadata import version

    done = run_cli("--version")
    assert done.out == f"readingroom {version('readingroom')}\n"


def test_unknown_command_is_misuse(run_cli):
    done = run_cli("aks")
    assert done.code == 2
    assert "aks" in done.err
