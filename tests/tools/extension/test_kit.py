"""The extension kit, really installed: a scratch environment over this one, pip without network, the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from knowledge.assets import Assets
from tools.errors import BadInputError
from tools.extension.kit import write_package
from tools.imaging.nifti import write_nifti
from tools.imaging.volume import Volume

MAIN = "from ui.cli import main; main()"
BROKEN = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "readingroom-broken"
version = "1"
[project.entry-points."readingroom.tools"]
bad_import = "readingroom_broken.no_such:tool"
bad_exit = "readingroom_broken.leaves:tool"
bad_kind = "readingroom_broken:number"
[project.entry-points."readingroom.models"]
bad_cards = "readingroom_broken:number"
[project.entry-points."readingroom.runtimes"]
bad_runtime = "readingroom_broken.no_such:load"
"""


@dataclass(frozen=True)
class Scratch:
    """An environment of its own that also sees everything of this one."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "env" / "bin" / "python")

    def pip(self, *arguments: str) -> None:
        command = (
            sys.executable,
            "-m",
            "pip",
            "--python",
            self.python,
            "-q",
            "--disable-pip-version-check",
            *arguments,
        )
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=self.environment)
        assert done.returncode == 0, done.stderr

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (self.python, "-c", MAIN, *arguments),
            capture_output=True, text=True, check=False, cwd=self.folder, env=self.environment | settings,
        )  # fmt: skip

    def json(self, *arguments: str, **settings: str) -> object:
        done = self.run(*arguments, "--json", **settings)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Scratch:
    """An environment with the package that the kit writes, and one whose every part is broken."""
    folder = tmp_path_factory.mktemp("kit")
    made = Scratch(folder)
    venv.create(folder / "env", with_pip=False)
    (site,) = (folder / "env" / "lib").glob("python*/site-packages")
    here = [path for path in sys.path if path and Path(path).is_dir() and "site-packages" in path]
    root = Path(__file__).parents[3]  # this source tree, which an editable install points at
    (site / "over.pth").write_text("\n".join([str(root), *here]) + "\n")
    new = made.run("tools", "new", "bright_fraction", "--dir", str(folder))
    assert new.returncode == 0, new.stderr
    broken = folder / "readingroom-broken"
    (broken / "readingroom_broken").mkdir(parents=True)
    (broken / "readingroom_broken" / "__init__.py").write_text("number = 7\nprint('chatter')\n")
    (broken / "readingroom_broken" / "leaves.py").write_text("import sys\nsys.exit('no licence')\n")
    (broken / "pyproject.toml").write_text(BROKEN)
    packages = (str(folder / "readingroom-bright-fraction"), str(broken))
    made.pip("install", "--no-deps", "--no-build-isolation", *packages)
    return made


@pytest.fixture(scope="module")
def scan(scratch: Scratch) -> Path:
    """An image of which a quarter is bright."""
    array = np.zeros((8, 9, 10), dtype=np.int16)
    array[:2] = 1000
    path = scratch.folder / "scan.nii.gz"
    write_nifti(path, array, Volume(array, np.eye(4), spacing_source="NIfTI header"))
    return path


def test_an_installed_tool_is_listed_and_broken_ones_take_nothing_down(scratch: Scratch) -> None:
    listed = scratch.json("tools", "list")
    assert isinstance(listed, dict)
    assert {"bright_fraction", "segment", "measure"} <= {t["name"] for t in listed["tools"]}
    reasons = {b["name"]: b["reason"] for b in listed["broken"]}
    assert set(reasons) == {"bad_import", "bad_exit", "bad_kind"}
    assert reasons["bad_exit"] == "SystemExit: no licence"
    assert "ModuleNotFoundError" in reasons["bad_import"]
    table = scratch.run("tools", "list", "--markdown").stdout
    assert (
        "| `bright_fraction` | Measure the bright fraction: which share of an image's voxels is bright. | yes |"
        in table
    )


def test_the_doctor_names_every_broken_part_and_its_package(scratch: Scratch) -> None:
    done = scratch.run("doctor", "--json")
    checks = json.loads(done.stdout)["checks"]
    said = "\n".join(f"{c['detail']} → {c['remedy']}" for c in checks)
    for part in ("bad_import", "bad_exit", "bad_kind", "bad_cards", "bad_runtime"):
        assert part in said
    assert "update or remove readingroom-broken" in said
    assert not [c for c in checks if "readingroom-broken" in c["remedy"] and c["state"] != "optional"]


def test_an_installed_tool_keeps_the_contract(scratch: Scratch) -> None:
    (report,) = scratch.json("tools", "check", "bright_fraction")  # type: ignore[misc]
    verdicts = {check["rule"]: check["verdict"] for check in report["checks"]}
    assert report["passed"]
    assert verdicts["runs on a phantom"] == "ok"
    (trial,) = scratch.json("models", "check", "bright-fraction")  # type: ignore[misc]
    assert trial["works"]


def test_an_installed_tool_runs_on_a_file(scratch: Scratch, scan: Path) -> None:
    artifact = scratch.json("tools", "run", "bright_fraction", "-i", str(scan), "--modality", "CT")
    assert isinstance(artifact, dict)
    assert artifact["data"]["rows"][0]["value"] == pytest.approx(25.0)
    assert artifact["data"]["model"]["card"] == "bright-fraction"
    assert artifact["data"]["model"]["runtime"] == "bright_fraction"


@pytest.mark.samples
def test_requests_are_planned_with_an_installed_tool(scratch: Scratch, assets: Assets) -> None:
    for asset in ("minilm", "smollm2"):
        if not assets.present(asset):
            pytest.skip(f"{asset} is not cached; run 'make samples'")
    image = {"id": "img1", "modality": "CT", "body_part": "CHEST", "dims": 3}
    requests = {
        "Work out which bright fraction this picture has.": "bright_fraction",
        "Tell me the bright fraction, please.": "bright_fraction",
        "Segment the lungs in this CT.": "segment",
    }
    cases = [
        {"id": str(n), "request": r, "attachments": [image], "outcome": "plan", "tools": [[tool]], "args": {}}
        for n, (r, tool) in enumerate(requests.items())
    ]
    path = scratch.folder / "cases.jsonl"
    path.write_text("\n".join(map(json.dumps, cases)))
    figures = scratch.json("eval", "plans", str(path), READINGROOM_CACHE_DIR=str(assets._cache_dir))
    assert isinstance(figures, dict)
    assert figures["accuracy"] == 1.0, figures


def test_the_test_of_the_package_passes_in_the_environment(scratch: Scratch) -> None:
    package = scratch.folder / "readingroom-bright-fraction"
    command = (scratch.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(package))
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=package, env=scratch.environment)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


Write = Callable[[str], Path]


@pytest.mark.parametrize("name", ["Bright", "2d", "a-b", "a b", "", "class", "_x", "a__b", "../evil"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError, match="NAME must be lower-case words"):
        write_package(name, tmp_path, ())
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="a tool named 'segment' is there already"):
        write_package("segment", tmp_path, ("segment",))
    root = write_package("mine", tmp_path, ())
    assert "$" not in "".join(p.read_text() for p in root.rglob("*") if p.is_file())
    with pytest.raises(BadInputError, match="is there already; remove it or give another --dir"):
        write_package("mine", tmp_path, ())
