"""FastSurfer as a remote model: the program as its publisher ships it, run once a request.

    python fastsurfer_server.py /opt/FastSurfer/run_fastsurfer.sh 8103 --no_cereb --no_hypothal

What follows the port is handed on to the program (see its own help; `--allow_root` inside a container). Keep
remote_server.py beside this file; nibabel and scipy are needed. Tested on a stand-in for the program only.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.processing import resample_from_to
from remote_server import image_of, packed, refusal, serve

SEGMENTED = "case/mri/aparc.DKTatlas+aseg.deep.mgz"
LABELS = {
    "white_matter": (2, 41), "gray_matter": (*range(1000, 1036), *range(2000, 2036)), "cerebrospinal_fluid": (24,),
    "brain_ventricles": (4, 5, 14, 15, 43, 44), "hippocampus_left": (17,), "hippocampus_right": (53,),
    "thalamus_left": (10,), "thalamus_right": (49,), "cerebellum": (7, 8, 46, 47), "brainstem": (16,),
}  # fmt: skip
"""By target: FreeSurfer's label numbers."""


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return masks on the image's own grid, or the error to show."""
    if request["verb"] != "segment":
        return refusal(f"fastsurfer segments, it cannot {request['verb']}")
    targets = request["arguments"]["targets"]
    if unknown := sorted(set(targets) - set(LABELS)):
        return refusal(f"fastsurfer does not outline {unknown[0]}")
    image = image_of(request)
    with tempfile.TemporaryDirectory() as folder:
        nib.save(image, f"{folder}/t1.nii.gz")
        command = [sys.argv[1], "--t1", f"{folder}/t1.nii.gz", "--sid", "case", "--sd", folder, "--seg_only"]
        command += sys.argv[3:]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  its owner named it
        if done.returncode or not (Path(folder) / SEGMENTED).is_file():
            said = (done.stderr or done.stdout).strip().splitlines()
            return refusal(f"FastSurfer ended with code {done.returncode}: {said[-1] if said else ''}", "unavailable")
        found = np.asarray(resample_from_to(nib.load(Path(folder) / SEGMENTED), image, order=0).dataobj)
    masks = {target: packed(np.isin(found, LABELS[target]), image) for target in targets}
    notes = ["gray_matter is the cortex of the cerebrum, without the nuclei"] if "gray_matter" in targets else []
    return {"result": {"masks": masks, "notes": notes}}


if __name__ == "__main__":
    serve(answer, "fastsurfer", "2", int(sys.argv[2]))
