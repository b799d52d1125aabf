"""What a click shows in the viewer, as the attribute that ui/static/bus.js reads."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ui.components.html import element, text

if TYPE_CHECKING:
    from tools.places import Position


@dataclass(frozen=True)
class Show:
    """A place in an image; everything but the image may be left out."""

    volume: str
    """Id of an image of the reading: img1, s3."""
    mask: str = ""
    """step/target, for instance s1/lungs; only the step: all of its masks."""
    world: Position | None = None
    """RAS+ mm."""
    voxel: Position | None = None
    """0-based, as stored."""
    box: tuple[Position, Position] | None = None
    """Two corners, in the frame of `frame`."""
    frame: str = "voxel"
    ends: tuple[Position, Position] | None = None
    """Of a measured line, in voxels."""

    @property
    def attribute(self) -> str:
        """The value of `data-show`; not escaped yet."""
        return json.dumps({name: value for name, value in asdict(self).items() if value}, ensure_ascii=False)


def show_button(words: str, show: Show, css: str = "rr-id") -> str:
    """Return a small button that shows a place in the viewer."""
    return element("button", text(words), css=css, type="button", data_show=show.attribute, title="Show in the viewer")
