"""A remote model for Reading Room in one file: it needs numpy and nibabel, and knows nothing of Reading Room.

    python remote_server.py 8100

Put your own network into `outline`. The protocol is in docs/models.md.
"""

from __future__ import annotations

import base64
import gzip
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import nibabel as nib
import numpy as np

NAME, VERSION = "lab-bright", "1"


def outline(voxels: Any, target: str) -> Any:
    """Return True where a target is. This one takes the brightest quarter of the range of values."""
    low, high = float(voxels.min()), float(voxels.max())
    return voxels > high - 0.25 * (high - low)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return the result of a request, or the error to show."""
    if request["verb"] != "segment":
        return {"error": {"kind": "unsupported", "message": f"{NAME} segments, it cannot {request['verb']}"}}
    image = nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(request["image"]["nifti"])))
    voxels = np.asarray(image.dataobj)
    masks = {}
    for target in request["arguments"]["targets"]:
        mask = nib.Nifti1Image(outline(voxels, target).astype(np.uint8), image.affine)
        masks[target] = base64.b64encode(gzip.compress(mask.to_bytes(), 1)).decode()
    return {"result": {"masks": masks, "notes": [f"computed by {NAME} {VERSION} in a process of its own"]}}


class Handler(BaseHTTPRequestHandler):
    """Answers POST with JSON."""

    def do_POST(self) -> None:
        """Read a request, answer it."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"protocol": 1, "version": VERSION, **answer(request)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler) as server:
        sys.stderr.write(f"{NAME} answers at http://127.0.0.1:{server.server_port}/\n")
        server.serve_forever()
