"""Orthanc round trip on loopback: store, find, fetch, beside the plain client without our checks, as ratios.

    python benchmarks/pacs.py [--slices 133]

Needs Orthanc (Debian: orthanc, orthanc-dicomweb). A CT of 512 × 512 is written, stored by STOW and by C-STORE, found by
QIDO and C-FIND, fetched by WADO, C-GET and C-MOVE. The peer is dicomweb-client called directly, in the same run;
"÷ peer" is how much longer ours takes, which sorts, checks and files what came.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tools.contract import ToolContext
from tools.pacs.client import StudyQuery, open_pacs
from tools.pacs.server import PacsServer
from tools.verbs.fetch_study import fetch_study
from tools.workspace import Workspace

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@dataclass(frozen=True)
class Ports:
    """Where the server listens, and where it sends to."""

    http: int
    dicom: int
    receive: int


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def orthanc(folder: Path) -> Iterator[Ports]:
    program = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
    ports = Ports(free_port(), free_port(), free_port())
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": ports.http,
        "DicomPort": ports.dicom,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowGet": True,
        "DicomModalities": {"reader": ["READINGROOM", "127.0.0.1", ports.receive]},
        "Plugins": [str(PLUGIN)],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=log)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{ports.http}/system", timeout=2).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        yield ports
    finally:
        process.terminate()
        process.wait(20)


def write_study(folder: Path, slices: int) -> str:
    """Write a CT of noise, which no compression helps, and return its StudyInstanceUID."""
    import pydicom

    from tools.imaging.dicom_write import write_series
    from tools.imaging.volume import Volume

    array = np.random.default_rng(1).integers(-1000, 1500, (512, 512, slices), dtype=np.int16)
    affine = np.diag([-0.7, -0.7, 2.5, 1.0])
    volume = Volume(array, affine, spacing_source="PixelSpacing", modality="CT", body_part="CHEST", units="HU")
    folder.mkdir()
    headers, _ = write_series(volume, folder, description="benchmark")
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.PatientID, dataset.StudyDate = "BENCH", "20240301"
        dataset.save_as(path)
    return str(headers[0].StudyInstanceUID)


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def peer_fetch(url: str, study: str, folder: Path) -> None:
    """Fetch with dicomweb-client alone: write what comes, look at nothing."""
    from dicomweb_client.api import DICOMwebClient

    folder.mkdir()
    client = DICOMwebClient(url=url)
    for number, dataset in enumerate(client.iter_study(study, media_types=(("application/dicom", "*"),))):
        dataset.save_as(folder / f"{number}.dcm")


def fetched(folder: Path, server: PacsServer, study: str) -> float:
    lent: Any = None  # fetching needs no models, no report store and no language model
    ctx = ToolContext(Workspace(folder), "s1", lent, lent, lent, open_pacs=lambda name: open_pacs({"x": server}, name))
    return seconds(lambda: fetch_study(ctx, uid=study))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=133)
    wanted = parser.parse_args()
    if not PLUGIN.exists():
        print("Orthanc is not installed (apt-get install orthanc orthanc-dicomweb): nothing was measured")
        return
    with tempfile.TemporaryDirectory(prefix="readingroom-bench-") as name, orthanc(Path(name)) as ports:
        folder = Path(name)
        study = write_study(folder / "study", wanted.slices)
        files = sorted((folder / "study").iterdir())
        megabytes = sum(f.stat().st_size for f in files) / 1e6
        url = f"http://127.0.0.1:{ports.http}/dicom-web"
        web = PacsServer(url=url, timeout_s=300)
        dimse = PacsServer(
            host="127.0.0.1", port=ports.dicom, ae_title="ORTHANC", receive_port=ports.receive, timeout_s=300
        )
        move = dimse.model_copy(update={"retrieve": "c-move"})
        print(f"{wanted.slices} slices, {megabytes:.0f} MB, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        query = StudyQuery(patient_id="BENCH")
        rows = [
            ("store by STOW", seconds(lambda: open_pacs({"x": web}).send(files))),
            ("store by C-STORE", seconds(lambda: open_pacs({"x": dimse}).send(files))),
            ("find by QIDO", seconds(lambda: open_pacs({"x": web}).find(query, 10))),
            ("find by C-FIND", seconds(lambda: open_pacs({"x": dimse}).find(query, 10))),
            ("fetch by C-GET", fetched(folder / "get", dimse, study)),
            ("fetch by C-MOVE", fetched(folder / "move", move, study)),
            ("fetch by WADO", fetched(folder / "wado", web, study)),
        ]
        for what, taken in rows:
            print(
                f"{what:18} {taken:7.2f} s  {megabytes / taken:7.1f} MB/s"
                if "find" not in what
                else f"{what:18} {taken:7.3f} s"
            )
        peer = seconds(lambda: peer_fetch(url, study, folder / "peer"))
        print(f"{'WADO, peer alone':18} {peer:7.2f} s  {megabytes / peer:7.1f} MB/s")
        print(f"ours ÷ peer {rows[-1][1] / peer:.2f}")


if __name__ == "__main__":
    main()
