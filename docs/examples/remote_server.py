"""A remote model for Reading Room in one file: it needs numpy and nibabel, and knows nothing of Reading Room.

    python remote_server.py 8100

Put your own network into `outline`. The protocol is in docs/models.md.
"""

from __future__ import annotations

import base64
import gzip
import json
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import nibabel as nib
import numpy as np

NAME, VERSION = "lab-bright", "1"

Answer = Callable[[dict[str, Any]], dict[str, Any]]


def outline(voxels: Any, target: str) -> Any:
    """Return True where a target is. This one takes the brightest quarter of the range of values."""
    low, high = float(voxels.min()), float(voxels.max())
    return voxels > high - 0.25 * (high - low)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return the result of a request, or the error to show."""
    if request["verb"] != "segment":
        return refusal(f"{NAME} segments, it cannot {request['verb']}")
    image = image_of(request)
    voxels = np.asarray(image.dataobj)
    masks = {target: packed(outline(voxels, target), image) for target in request["arguments"]["targets"]}
    return {"result": {"masks": masks, "notes": [f"computed by {NAME} {VERSION} in a process of its own"]}}


def refusal(message: str, kind: str = "unsupported") -> dict[str, Any]:
    """Return the error that a person will read."""
    return {"error": {"kind": kind, "message": message}}


def image_of(request: dict[str, Any]) -> Any:
    """Return the image of a request: voxels (i, j, k), for colour (i, j, k, 3), and the affine to RAS+ mm."""
    return nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(request["image"]["nifti"])))


def packed(mask: Any, image: Any) -> str:
    """Return a mask on an image's grid as it travels."""
    made = nib.Nifti1Image(np.asarray(mask).astype(np.uint8), image.affine)
    return base64.b64encode(gzip.compress(made.to_bytes(), 1)).decode()


def serve(answer: Answer, name: str, version: str, port: int) -> None:
    """Answer requests on this machine until the process ends."""

    class Handler(BaseHTTPRequestHandler):
        """Answers POST with JSON."""

        def do_POST(self) -> None:
            """Read a request, answer it."""
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps({"protocol": 1, "version": version, **answer(request)}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        sys.stderr.write(f"{name} answers at http://127.0.0.1:{server.server_port}/\n")
        server.serve_forever()


if __name__ == "__main__":
    serve(answer, NAME, VERSION, int(sys.argv[1]))
