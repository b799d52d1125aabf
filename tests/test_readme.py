"""The README's code runs, its commands exist, its table is the registry's.

To write the table anew: python -m tests.test_readme
To write the demo's output too: make demo > out.txt && python -m tests.test_readme out.txt
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from tools.models.hub import Hub
from tools.registry import Registry
from ui.commands.tools import markdown_table

README = Path(__file__).parent.parent / "README.md"
TABLE = re.compile(r"(?<=<!-- tools -->\n).*?(?=<!-- /tools -->)", re.DOTALL)


DEMO = re.compile(r"(?<=<!-- demo output -->\n).*?(?=<!-- /demo output -->)", re.DOTALL)


def blocks(language: str) -> list[str]:
    """The code blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def tools_table() -> str:
    """The registry's own tools as a Markdown table."""
    ours = [t for t in Registry.installed() if t.function.__module__.startswith("tools.")]
    return "\n".join(markdown_table(ours, Hub.installed().cards)) + "\n"


def test_the_table_of_tools_is_fresh():
    found = TABLE.search(README.read_text(encoding="utf-8"))
    assert found is not None
    assert found.group() == tools_table(), "run: python -m tests.test_readme"


def _commands() -> list[list[str]]:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [
        shlex.split(line, comments=True) for line in lines if line.startswith(("readingroom", ".venv/bin/readingroom"))
    ]


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_every_command_of_the_readme_exists(words, capsys):
    from ui.cli import main

    command = [w for w in words[1:3] if re.fullmatch("[a-z]+", w)]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for option in (w for w in words if w.startswith("-")):
        assert re.search(rf"(?<![\w-]){re.escape(option)}\b", shown), option


def test_every_make_target_of_the_readme_exists():
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"(?:^|`)make ([a-z]+)", README.read_text(encoding="utf-8"), re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_setting_of_the_readme_exists():
    from agent.settings import Settings

    named = {n.lower() for n in re.findall(r"READINGROOM_([A-Z_]+)", README.read_text(encoding="utf-8"))}
    assert named
    assert named <= set(Settings.model_fields)


@pytest.fixture
def example_tool(tmp_path, monkeypatch):
    """The README's tool, imported as a user's module."""
    (source,) = [b for b in blocks("python") if "@tool" in b]
    path = tmp_path / "my_tools.py"
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("my_tools", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "my_tools", module)
    spec.loader.exec_module(module)
    return module.emphysema_index


def test_the_example_tool_keeps_the_contract(example_tool, tmp_path):
    from agent.assistant import Assistant
    from tools.testing import Lent, check_tool

    assistant = Assistant()
    registry = assistant.registry.with_tools(example_tool)
    report = check_tool(example_tool, registry, Lent(assistant.hub, assistant.open_knowledge), tmp_path / "kit")
    assert report.passed, report


def test_the_example_tool_measures_right(example_tool, tmp_path):
    """A quarter of the mask is air below -950 HU; the answer says so with its evidence."""
    from agent.assistant import Assistant
    from agent.attach import Attach
    from tests.phantoms import oblique_affine
    from tools.claims import claims_of
    from tools.imaging.read import write_nifti
    from tools.imaging.volume import Volume

    hu = np.full((8, 8, 8), -800, np.int16)
    hu[:, :, :2] = -1000
    volume = Volume(hu, oblique_affine(), spacing_source="test", modality="CT")
    write_nifti(tmp_path / "ct.nii.gz", hu, volume)
    write_nifti(tmp_path / "lungs.nii.gz", np.ones(hu.shape, bool), volume)
    assistant = Assistant(registry=Registry.installed().with_tools(example_tool))
    attachments = [Attach(tmp_path / "ct.nii.gz", modality="CT"), Attach(tmp_path / "lungs.nii.gz", kind="mask")]
    artifact = assistant.run_tool("emphysema_index", {"mask": "@mask1"}, attachments)
    assert artifact.data["rows"][0]["value"] == pytest.approx(25.0)
    (claim,) = claims_of(artifact)
    assert (claim.text, claim.evidence) == ("Emphysema index of the lungs: 25.0 %.", ("s1",))


def test_the_example_takes_about_twenty_lines():
    (source,) = [b for b in blocks("python") if "@tool" in b]
    assert len([line for line in source.splitlines() if line.strip()]) <= 22


def test_the_entry_point_of_the_readme_names_the_example():
    (source,) = blocks("toml")
    (value,) = tomllib.loads(source)["project"]["entry-points"]["readingroom.tools"].values()
    assert value == "my_tools:emphysema_index"


@pytest.mark.samples
@pytest.mark.llm
def test_the_python_example_answers(sample, assets, tmp_path, monkeypatch, capsys):
    sample("smollm2", "model.gguf")
    sample("minilm", "model.onnx")
    shutil.copyfile(sample("chest-ct", "cxr.nii.gz"), tmp_path / "ct.nii.gz")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("READINGROOM_CACHE_DIR", str(assets._cache_dir))
    (source,) = [b for b in blocks("python") if "Assistant()" in b]
    exec(compile(source, "README.md", "exec"), {})  # the README's own code
    assert "Volume of the lungs:" in capsys.readouterr().out


def main() -> None:
    """Write the table, and the demo's output where a file with it is given, into the README."""
    text = TABLE.sub(lambda found: tools_table(), README.read_text(encoding="utf-8"))
    if len(sys.argv) > 1:
        output = Path(sys.argv[1]).read_text(encoding="utf-8")
        text = DEMO.sub(lambda found: f"```text\n{output}```\n", text)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
