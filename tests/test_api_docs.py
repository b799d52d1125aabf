"""Every block of docs/api.md runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agent.settings import Settings
from knowledge.assets import Assets
from tests.page_server import serving
from tests.phantoms_ct import chest
from tools.imaging.read import write_nifti

REAL_CACHE = Settings().cache_dir  # read before each test gets a cache of its own
ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"```python( page)?\n(.*?)```", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def folder(tmp_path):
    phantom = chest()
    write_nifti(tmp_path / "ct.nii.gz", phantom.volume.array, phantom.volume)
    return tmp_path


def run(code: str, folder: Path, **environment: str) -> str:
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"} | environment
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_page_has_blocks_of_both_kinds():
    assert [bool(page) for page, _ in BLOCKS] == [False] * 4 + [True]


@pytest.mark.samples
@pytest.mark.parametrize(
    "code", [code for page, code in BLOCKS if not page], ids=lambda code: code.splitlines()[-1][:30]
)
def test_a_block_in_python_runs(code, folder, assets: Assets):
    if not assets.present("minilm"):
        pytest.skip("the embedding is not cached; run 'make samples'")
    printed = run(code, folder, READINGROOM_CACHE_DIR=str(REAL_CACHE), READINGROOM_PLAN_BY="examples")
    assert "Traceback" not in printed


def test_the_block_for_the_page_runs(folder, tmp_path_factory):
    (code,) = [code for page, code in BLOCKS if page]
    with serving(tmp_path_factory.mktemp("page")) as address:
        printed = run(code, folder, ADDRESS=address)
    assert "running" in printed
    assert "Volume of the lungs: 3,701 ml. ['s2']" in printed
