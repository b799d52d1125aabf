"""A run as updates of the page: each event as it comes, then what came of it; the same in every tab that looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import gradio as gr

from agent.errors import RunError
from tools.errors import ToolError
from ui.components.html import text
from ui.page import PageState, StudyState
from ui.room import Shared, Updates  # at run time too: Gradio reads the annotations of its events
from ui.streaming import views


class Runs:
    """Starts runs for any room and shows them in all."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def start(self, study: StudyState, state: PageState, begin: Callable[[PageState], PageState]) -> Updates:
        """Start a run and show it at once; where it cannot start, say why and show the reading as it is now.

        Args:
            study: what the next request attaches.
            state: the reading.
            begin: starts it.
        """
        page = self._shared.page
        try:
            state = begin(state)
        except (RunError, ToolError) as error:
            gr.Warning(text(error))
            state = page.opened(state.reading)
        run = page.run_of(state)
        return self._shared.everything(study, state, run.view if run else None)

    async def follow(self, state: PageState, who: gr.Request) -> AsyncGenerator[Updates]:
        """Show the run that goes on, from wherever it is to its end; then the reading with what came of it."""
        shared, page = self._shared, self._shared.page
        run = page.run_of(state)
        if run is None:
            if state.reading and page.has_news(state, ""):
                yield shared.everything(None, page.opened(state.reading), None)
            else:
                yield {shared.state: state}
            return
        if state.run != run.id:  # another tab started it
            state = page.opened(state.reading)
        tab, first = str(who.session_hash), True
        run.lookers.add(tab)
        try:
            async with aclosing(views(run)) as seen:
                async for view in seen:
                    if first:
                        yield await asyncio.to_thread(shared.everything, None, state, view)
                    else:
                        yield shared.live_outputs(state, view)
                    first = False
            ended = page.ended(state, run.view)
            yield await asyncio.to_thread(shared.everything, None, ended, None)  # reads files: the loop stays free
        finally:
            run.lookers.discard(tab)

    def look(self, state: PageState, pulse: int, who: gr.Request) -> int:
        """Return another number when something happened that this tab does not show."""
        return pulse + 1 if self._shared.page.has_news(state, str(who.session_hash)) else pulse
