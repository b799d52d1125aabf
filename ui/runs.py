"""A run as updates of the page: the request is shown at once, then each event, then what came of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from ui.page import PageState, StudyState
from ui.view import RunView

if TYPE_CHECKING:
    from ui.room import Shared, Updates


class Runs:
    """Starts runs for any room and shows them in all."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def begin(self, study: StudyState, state: PageState, request: str, modality: str, series: str | None) -> Updates:
        """Show the request at once, before the queue lets it run."""
        attaches = self._shared.page.attachments(study, modality, series)
        state = replace(state, asked=request.strip(), attaches=attaches)
        return self._shared.everything(StudyState(), state, RunView(request=state.asked))

    async def ask(self, study: StudyState, state: PageState) -> AsyncGenerator[Updates]:
        """Run the request of the state; each update shows the run as far as it is."""
        if not state.asked:
            yield {self._shared.state: state}
            return
        async with aclosing(self._follow(study, self._shared.page.ask(state))) as updates:
            async for update in updates:
                yield update

    async def decide(self, approve: bool, study: StudyState, state: PageState) -> AsyncGenerator[Updates]:
        """Run the plan that waits, or reject it."""
        async with aclosing(self._follow(study, self._shared.page.decide(state, approve=approve))) as updates:
            async for update in updates:
                yield update

    async def _follow(
        self, study: StudyState, run: AsyncGenerator[tuple[PageState, RunView]]
    ) -> AsyncGenerator[Updates]:
        shared, state, view, first = self._shared, PageState(), RunView(), True
        async with aclosing(run):
            async for state, view in run:
                yield shared.everything(study, state, view) if first else shared.live_outputs(state, view)
                first = False
        state = replace(state, turns=(*state.turns, view), asked="", attaches=())
        yield shared.everything(study, state, None)
