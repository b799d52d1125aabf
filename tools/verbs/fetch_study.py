"""fetch_study: one study from a PACS into this reading."""

from __future__ import annotations

import shutil
from typing import Annotated

from pydantic import Field

from tools.contract import Cost, ToolContext, tool
from tools.errors import NotFoundError
from tools.examples import examples_of
from tools.results import Image
from tools.workspace import writing

_UID = r"^\d+(\.\d+)+$"
_RECEIVED = "received"


@tool(cost=Cost(seconds=30), timeout_s=1800, examples=examples_of("fetch_study"))
def fetch_study(
    ctx: ToolContext,
    uid: Annotated[str, Field(pattern=_UID, max_length=64, description="StudyInstanceUID")],
    series: Annotated[
        str | None, Field(pattern=_UID, max_length=64, description="SeriesInstanceUID, to fetch one series only")
    ] = None,
    server: Annotated[str | None, Field(description="which PACS, where several are set up")] = None,
) -> Image:
    """Fetch one study from a PACS by its StudyInstanceUID; its image series become attachments of this reading.

    The result is the series with the most images; the others are attachments beside it. Fetched again, the same series
    stays the same attachment.

    Raises:
        NotFoundError: the PACS has no object of this study.
        UnsupportedError: the study holds no image, or its largest series is no regular image; says why.
        UnavailableError: no PACS is set up, or it is down, slow, refuses us or answers with garbage; says which.
    """
    from tools.pacs.received import take_in

    pacs = ctx.open_pacs(server)
    folder = ctx.folder / _RECEIVED
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that was killed
    with writing(folder):
        folder.mkdir()
    try:
        count = 0
        ctx.progress(0.02, f"asking {pacs.name}")
        with writing(folder):
            for _ in pacs.fetch(uid, series, folder):
                count += 1
                ctx.progress(min(0.05 + count / 1000, 0.8), f"{count} objects received")
        if not count:
            raise NotFoundError(f"the PACS {pacs.name} has no object of study {uid}: look it up with find_studies")
        ctx.progress(0.85, "sorting into series")
        taken = take_in(ctx.workspace, folder, uid)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    main = taken.main
    ctx.progress(0.95, f"reading {main.id}")
    ctx.workspace.volume(main.id)  # an image that cannot be read is said now, not by the step after
    others = f"; also {', '.join(f.id for f in taken.facts if f.id != main.id)}" if len(taken.facts) > 1 else ""
    kind = " ".join(part for part in (main.modality, main.body_part.lower()) if part)
    return Image(
        summary=f"Fetched a study of {count} objects from the PACS {pacs.name}: {main.id} ({kind or 'image'}){others}.",
        notes=taken.notes,
        source=main.id,
        file="",
        units=ctx.workspace.volume(main.id).units,
        facts=main.model_copy(update={"id": ctx.step_id}),
    )
