"""What every part of the page is: components that follow the reading, and events of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import gradio as gr

if TYPE_CHECKING:
    from ui.owners import Owners
    from ui.page import Page, PageState, StudyState
    from ui.view import RunView

Updates = dict[Any, Any]
"""Component → its new value or properties, as Gradio takes them from an event."""
PRIVATE: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""For events that are the page's own and no endpoint."""
FOLLOWS = PRIVATE | {"concurrency_limit": None}
"""For events that only look at a run; how many work at once is decided in ui/streaming.py."""


class Room(Protocol):
    """A part of the page. Its constructor builds the components where the layout calls it."""

    def outputs(self) -> list[Any]:
        """Return the components that `updates` and `live` may change."""
        ...

    def updates(self, study: StudyState | None, state: PageState, view: RunView | None) -> Updates:
        """Return what is shown of a reading.

        Args:
            study: what the next request attaches; None: it stays as it is.
            state: the reading and its finished turns.
            view: the run that goes on; None between runs.
        """
        ...

    def live(self, state: PageState, view: RunView) -> Updates:
        """Return what changes with an event of the run; called often: nothing, where nothing does."""
        ...

    def wire(self, shared: Shared) -> None:
        """Say which event calls what."""
        ...


@dataclass(frozen=True)
class Shared:
    """What the rooms have in common."""

    page: Page
    owners: Owners
    state: gr.State
    """`PageState`: the reading and its turns."""
    study: gr.State
    """`StudyState`: what the next request attaches."""
    viewer: Room
    """Shows images as soon as they are brought."""
    modality: gr.Dropdown
    """What the person says of files that do not say it."""
    rooms: tuple[Room, ...]
    blocks: gr.Blocks
    """The page itself, for what happens when it loads."""

    def come_back(self, reading: str, who: gr.Request) -> Updates:
        """Return the page of a reading as it is now, to whom it belongs.

        Args:
            reading: its id, as the page's address names it; empty: none.
            who: the asker.
        """
        from ui.page import PageState, StudyState

        if not reading:
            return {self.study: gr.skip()}  # whoever was quicker than the page has begun already
        state = self.page.opened(reading) if self.owners.owner_may(who, reading) else PageState()
        run = self.page.run_of(state)
        return self.everything(StudyState(), state, run.view if run else None)

    def opened(self, state: PageState, request: Any) -> PageState:
        """Return the state with a reading that is the asker's; one is begun where there is none."""
        if not state.reading:
            state = replace(state, reading=self.page.begin())
            self.owners.claim(request, state.reading)
        return state

    def outputs(self) -> list[Any]:
        """Return every component that `everything` may change."""
        return [self.state, self.study, *(c for room in self.rooms for c in room.outputs())]

    def live_outputs(self, state: PageState, view: RunView) -> Updates:
        """Return what an event of the run changes anywhere on the page."""
        return _merged(room.live(state, view) for room in self.rooms)

    def everything(self, study: StudyState | None, state: PageState, view: RunView | None) -> Updates:
        """Return what the whole page shows of a reading; without a study, what was brought meanwhile stays."""
        own: Updates = {self.state: state} if study is None else {self.state: state, self.study: study}
        return own | _merged(room.updates(study, state, view) for room in self.rooms)


class Quiet:
    """A room without events and without anything that changes during a run."""

    def live(self, state: PageState, view: RunView) -> Updates:
        """Return nothing: what it shows is there once the run has ended."""
        del state, view
        return {}

    def wire(self, shared: Shared) -> None:
        """Wire nothing."""


def _merged(parts: Iterable[Updates]) -> Updates:
    return {component: update for part in parts for component, update in part.items()}
