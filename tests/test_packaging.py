"""What a user installs and imports: public names, top-level names, entry points, what is in the wheel."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import entry_points, packages_distributions
from pathlib import Path

import readingroom

ROOT = Path(__file__).parent.parent
OURS = ("agent", "tools", "prompts", "knowledge", "ui", "readingroom")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_no_other_distribution_takes_one_of_our_top_level_names():
    found = packages_distributions()
    for name in OURS:
        assert set(found.get(name, ["readingroom"])) == {"readingroom"}, name


def test_public_names_are_sorted_unique_and_there():
    assert list(readingroom.__all__) == sorted(set(readingroom.__all__))
    for name in readingroom.__all__:
        assert getattr(readingroom, name) is not None


def test_public_names_are_re_exports_only():
    for name in readingroom.__all__:
        module = getattr(getattr(readingroom, name), "__module__", "")
        assert module != "readingroom", name


def test_importing_the_public_api_loads_no_heavy_library():
    heavy = ("torch", "monai", "gradio", "chromadb", "openai", "langgraph", "onnxruntime", "scipy", "skimage")
    code = f"import sys, readingroom; print(*sorted(set(sys.modules) & set({heavy!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_entry_point_of_ours_loads():
    for group in ("readingroom.tools", "readingroom.models"):
        declared = PYPROJECT["project"]["entry-points"][group]
        found = {e.name: e for e in entry_points(group=group) if e.dist and e.dist.name == "readingroom"}
        assert set(declared) <= set(found), "reinstall: pip install -e ."
        for name in declared:
            assert found[name].load() is not None


def test_the_command_is_installed():
    (entry,) = [e for e in entry_points(group="console_scripts") if e.name == "readingroom"]
    assert entry.value == "ui.cli:main"


def test_data_files_lie_inside_the_packages_of_the_wheel():
    packaged = set(PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"])
    assert packaged == {*(name for name in OURS if name != "readingroom"), "readingroom.py"}
    for data in ("ui/static/page.css", "ui/static/page.js", "knowledge/assets.toml"):
        assert (ROOT / data).is_file()


def test_no_secret_host_or_machine_path_is_committed():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    for name in listed:
        path = ROOT / name
        if (
            path.suffix in {".py", ".toml", ".md", ".txt", ".yml", ""}
            and path.is_file()
            and name != "tests/test_packaging.py"
        ):
            text = path.read_text(encoding="utf-8", errors="ignore")
            assert "/work/" not in text, name
            assert "/tmp/venv" not in text, name
