"""How long a CT of 512×512×133 takes from its data being there to its picture, where a processor draws.

    python benchmarks/viewer.py

Limit: 2 s from the voxels' arrival in the browser to the three planes. Chromium draws with software WebGL2 here
(SwiftShader), which is the slowest that a person may have: there one slice from the server is seen first. The parts are
said besides: what the server needs to read and to convert the file, and the transfer.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.browser.conftest import CHROMIUM
from tests.page_server import serving

SHAPE = (512, 512, 133)
ROUNDS = 3
LIMIT_S = 2.0
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
WAIT_MS = 180_000


def write_ct(path: Path) -> Path:
    """Write a body of noise in air, 16 bits, not packed: 70 MB."""
    from tools.imaging.nifti import write_nifti
    from tools.imaging.volume import Volume

    x, y = np.ogrid[: SHAPE[0], : SHAPE[1]]
    body = ((x - 256) / 200) ** 2 + ((y - 256) / 140) ** 2 < 1
    noise = np.random.default_rng(1).normal(40, 12, SHAPE)
    array = np.where(body[..., None], noise, -1000).astype(np.int16)
    affine = np.diag([0.7, 0.7, 2.5, 1.0])
    volume = Volume(array, affine, spacing_source="NIfTI header", modality="CT", units="HU")
    write_nifti(path, volume.array, volume)
    return path


def opened(driver: Any, address: str, path: Path) -> dict[str, float]:
    """Open a file in a fresh browser; return seconds per part."""
    browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.set_default_timeout(WAIT_MS)
    page.goto(address)
    page.wait_for_function("window.readingroom?.viewer")
    page.set_input_files("#rr-uploads input[type=file]", str(path))
    page.wait_for_selector('#rr-stage[data-open="new1"]')
    said = page.evaluate("({...document.getElementById('rr-stage').dataset})")
    found = {
        "chosen to first slice": float(said["firstAfter"]),
        "chosen to planes": float(said["seconds"]),
        "arrived to planes": float(said["drawnAfter"]),
    }
    where = page.evaluate("window.readingroom.viewer.image.address")
    cookies = {c["name"]: c["value"] for c in page.context.cookies()}
    with httpx.Client(base_url=address, cookies=cookies, trust_env=False, timeout=120) as client:
        for part, file in (("facts, from memory", "info.json"), ("transfer, 70 MB", "volume.nii")):
            began = time.perf_counter()
            client.get(f"{where}/{file}").raise_for_status()
            found[part] = time.perf_counter() - began
    browser.close()
    return found


def server_s(path: Path) -> dict[str, float]:
    """Return what the server does once for a file, apart from the browser."""
    from tools.imaging.read import read_image
    from ui.viewing.convert import nifti_of
    from ui.viewing.describe import image_info

    began = time.perf_counter()
    volume = read_image(path)
    read = time.perf_counter()
    image_info(volume)
    known = time.perf_counter()
    nifti_of(volume, path.with_name("converted.nii"))
    return {"read": read - began, "facts": known - read, "convert": time.perf_counter() - known}


def main() -> None:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        folder = Path(name)
        path = write_ct(folder / "ct.nii")
        for part, seconds in server_s(path).items():
            print(f"server: {part:28}{seconds:7.2f} s")
        with serving(folder) as address:
            rounds = [opened(driver, address, path) for _ in range(ROUNDS)]
    for part in rounds[0]:
        measured = [found[part] for found in rounds]
        limit = f", limit {LIMIT_S:g} s" if part == "arrived to planes" else ""
        print(f"{part:36}{statistics.median(measured):7.2f} s   worst {max(measured):.2f} s{limit}")


if __name__ == "__main__":
    main()
