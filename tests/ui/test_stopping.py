"""A server that is stopped ends quietly, also while a page is open or a run goes on."""

from __future__ import annotations

import httpx

from tests.page_server import serving


def test_a_server_that_is_stopped_under_an_open_page_says_nothing(tmp_path):
    with httpx.Client(trust_env=False, timeout=30) as tab, serving(tmp_path, step_seconds=5.0) as address:
        tab.get(address)
        beats = tab.send(tab.build_request("GET", f"{address}/gradio_api/heartbeat/tab1"), stream=True)
        assert beats.status_code == 200
        asked = tab.post(f"{address}/gradio_api/call/ask", json={"data": ["Segment the lungs.", ""]}).json()
        events = tab.send(tab.build_request("GET", f"{address}/gradio_api/call/ask/{asked['event_id']}"), stream=True)
        assert events.status_code == 200
    assert (tmp_path / "server.log").read_text(encoding="utf-8") == ""
