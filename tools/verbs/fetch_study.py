"""fetch_study: one study from a PACS into this reading."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.errors import BadInputError, NotFoundError
from tools.examples import examples_of
from tools.results import Image
from tools.workspace import writing

if TYPE_CHECKING:
    from tools.pacs.client import Pacs
    from tools.pacs.priors import Wanted
    from tools.pacs.received import Taken

MAX_TRIED = 3  # earlier studies that are fetched and looked at: each is a transfer
_UID = r"^\d+(\.\d+)+$"
_RECEIVED = "received"


@tool(cost=Cost(seconds=30), timeout_s=1800, examples=examples_of("fetch_study"))
def fetch_study(
    ctx: ToolContext,
    uid: Annotated[str | None, Field(pattern=_UID, max_length=64, description="StudyInstanceUID")] = None,
    prior_of: Annotated[
        ImageRef | None,
        Field(description="instead of uid: the attached study whose prior (same patient and modality) is fetched"),
    ] = None,
    series: Annotated[
        str | None, Field(pattern=_UID, max_length=64, description="SeriesInstanceUID, to fetch one series only")
    ] = None,
    server: Annotated[str | None, Field(description="which PACS, where several are set up")] = None,
) -> Image:
    """Fetch one study from a PACS by its StudyInstanceUID, or the prior of an attached one, into this reading.

    Its image series become attachments. The result is the series with the most images; the others are attachments
    beside it. Fetched again, the same series stays the same attachment.

    For the prior, the PACS is asked for earlier studies of the same PatientID and modality; the newest whose images say
    the same name or birth date and show the same part of the body is taken.

    Raises:
        BadInputError: neither or both of uid and prior_of.
        NotFoundError: the PACS has no object of this study, or no earlier one of this patient.
        UnsupportedError: the study holds no image, or its largest series is no regular image; says why.
        UnavailableError: no PACS is set up, or it is down, slow, refuses us or answers with garbage; says which.
    """
    if (uid is None) == (prior_of is None):
        raise BadInputError(
            "uid: name the study by its StudyInstanceUID, or by prior_of the image whose prior is meant"
        )
    pacs = ctx.open_pacs(server)
    if prior_of:
        return _prior(ctx, pacs, prior_of, series)
    return _image(ctx, pacs, _fetched(ctx, pacs, str(uid), series))


def _prior(ctx: ToolContext, pacs: Pacs, image: str, series: str | None) -> Image:
    """Fetch the newest earlier study of the image's patient that turns out to be of the same kind."""
    from tools.pacs.priors import Wanted, candidates

    wanted = Wanted.of(ctx.workspace, image)
    ctx.progress(0.02, f"asking {pacs.name} for earlier studies")
    found = candidates(pacs, wanted)
    refused = []
    for row in found[:MAX_TRIED]:
        got = _fetched(ctx, pacs, row.study_uid, series, wanted)
        if isinstance(got, str):
            refused.append(f"{row.date}: {got}")
            continue
        what = f"the newest study before {wanted.date} of the same patient and modality"
        why = f"Chosen on the PACS {pacs.name}: {what}, of {row.date}."
        return _image(ctx, pacs, got, why)
    tried = f" ({'; '.join(refused)})" if refused else ""
    raise NotFoundError(
        f"the PACS {pacs.name} has no earlier {wanted.modality} study of the patient of {image} that shows the same "
        f"part of the body{tried}: attach the prior, or name its uid"
    )


def _fetched(
    ctx: ToolContext, pacs: Pacs, uid: str, series: str | None, wanted: Wanted | None = None
) -> tuple[Taken, int] | str:
    """Return what a study became, or why it is not the prior that is wanted."""
    from tools.pacs.received import take_in

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
        if wanted and (reason := wanted.refusal(folder)):
            return reason
        return take_in(ctx.workspace, folder, uid, wanted), count
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _image(ctx: ToolContext, pacs: Pacs, got: tuple[Taken, int] | str, why: str = "") -> Image:
    assert not isinstance(got, str)  # noqa: S101  a reason comes only where a prior is wanted
    taken, count = got
    main = taken.main
    ctx.progress(0.95, f"reading {main.id}")
    ctx.workspace.volume(main.id)  # an image that cannot be read is said now, not by the step after
    others = f"; also {', '.join(f.id for f in taken.facts if f.id != main.id)}" if len(taken.facts) > 1 else ""
    kind = " ".join(part for part in (main.modality, main.body_part.lower()) if part)
    return Image(
        summary=f"Fetched a study of {count} objects from the PACS {pacs.name}: {main.id} ({kind or 'image'}){others}.",
        notes=(*((why,) if why else ()), *taken.notes),
        source=main.id,
        file="",
        units=ctx.workspace.volume(main.id).units,
        facts=main.model_copy(update={"id": ctx.step_id}),
    )
