"""The peer of benchmarks/page.py: the least that Gradio serves; its port is the first argument."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import gradio as gr


def ask(request: str, reading: str) -> Iterator[dict[str, object]]:
    """Answer at once, in two parts."""
    yield {"state": "running", "steps": [], "reading": reading, "request": request}
    yield {"state": "ended", "steps": []}


with gr.Blocks(analytics_enabled=False) as blocks:
    gr.Textbox(label="Request")
    gr.Button("Ask", elem_id="rr-ask")
    gr.api(ask, api_name="ask", concurrency_limit=None)
blocks.launch(server_port=int(sys.argv[1]), quiet=True)
