"""What the viewer fetches: only from readings of the person who asks."""

import logging
import math
import re
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from agent.errors import RunError
from tools.errors import BadInputError, NotFoundError, ToolError, UnavailableError
from ui.owners import Owners
from ui.viewing.convert import key_of, nifti_of, pixels_of
from ui.viewing.describe import image_info
from ui.viewing.heats import Heats
from ui.viewing.layers import Layers
from ui.viewing.pictures import Pictures, is_waiting
from ui.viewing.scene import PREFIX, scene_of
from ui.viewing.slices import (
    FILL_ALPHA,
    Laid,
    heat_picture,
    overlay_picture,
    planes_json,
    png,
    slice_picture,
    thumbnail,
)

logger = logging.getLogger(f"readingroom.{__name__}")

FRESH = {"Cache-Control": "private, no-cache"}
KEPT = {"Cache-Control": "private, max-age=3600"}
_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,128}")
"""What ids and names in an address are made of; anything else names nothing, and no file is looked for."""
ResultT = TypeVar("ResultT")


def viewer_routes(pictures: Pictures, owners: Owners) -> APIRouter:  # noqa: C901  one for each address
    """Return the routes under `/view/READING/…`.

    They are plain functions, so that the server runs each in a thread: converting a volume holds up nobody else.
    """
    router = APIRouter(prefix=f"/{PREFIX}")
    views = _Views(pictures)

    def checked(request: Request, reading: str, work: Callable[[], ResultT]) -> ResultT:
        owners.own(request, reading)
        if not all(_PLAIN.fullmatch(str(part)) for part in request.path_params.values()):
            raise HTTPException(404, "no such image in this reading")
        return _said(work)

    @router.get("/{reading}/scene.json")
    def scene(request: Request, reading: str) -> JSONResponse:
        return checked(request, reading, lambda: JSONResponse(views.scene(reading), headers=FRESH))

    @router.get("/{reading}/{image}/info.json")
    def info(request: Request, reading: str, image: str) -> JSONResponse:
        return checked(request, reading, lambda: JSONResponse(views.info(reading, image), headers=FRESH))

    @router.get("/{reading}/{image}/volume.nii")
    def volume(request: Request, reading: str, image: str) -> FileResponse:
        return checked(request, reading, lambda: views.volume(reading, image))

    @router.get("/{reading}/{image}/pixels")
    def pixels(request: Request, reading: str, image: str) -> Response:
        return checked(request, reading, lambda: views.pixels(reading, image))

    @router.get("/{reading}/{image}/slice.png")
    def picture(  # noqa: PLR0913, PLR0917  what the picture shows
        request: Request, reading: str, image: str, plane: str, index: int, low: float, high: float,
        show: str = "", heats: str = "", opacity: float = FILL_ALPHA,
    ) -> Response:  # fmt: skip
        over = (_listed(show), _listed(heats), min(max(opacity, 0.0), 1.0))
        return checked(request, reading, lambda: views.slice(reading, image, (plane, index, low, high), over))

    @router.get("/{reading}/{image}/overlay.png")
    def overlay(request: Request, reading: str, image: str, show: str = "") -> Response:
        return checked(request, reading, lambda: views.overlay(reading, image, _listed(show)))

    @router.get("/{reading}/{step}/heat.png")
    def heat(request: Request, reading: str, step: str, file: str) -> Response:
        return checked(request, reading, lambda: views.heat(reading, step, file))

    @router.get("/{reading}/{step}/heat.nii")
    def heat_volume(request: Request, reading: str, step: str, file: str) -> FileResponse:
        return checked(request, reading, lambda: _file(views.heats.nifti(reading, step, file)))

    @router.get("/{reading}/{step}/heat.json")
    def heat_facts(request: Request, reading: str, step: str, file: str) -> JSONResponse:
        return checked(request, reading, lambda: JSONResponse(views.heats.facts(reading, step, file), headers=KEPT))

    @router.get("/{reading}/{image}/value.json")
    def value(request: Request, reading: str, image: str, at: str) -> JSONResponse:
        return checked(request, reading, lambda: JSONResponse(views.value(reading, image, at), headers=FRESH))

    @router.get("/{reading}/{image}/thumbnail.png")
    def small(request: Request, reading: str, image: str) -> Response:
        return checked(request, reading, lambda: views.thumbnail(reading, image))

    @router.get("/{reading}/{mask}/layers.json")
    def layers(request: Request, reading: str, mask: str) -> JSONResponse:
        return checked(request, reading, lambda: JSONResponse(views.layers.listed(reading, mask), headers=FRESH))

    @router.get("/{reading}/labels/{name}")
    def labels(request: Request, reading: str, name: str) -> FileResponse:
        return checked(request, reading, lambda: _file(views.layers.file(reading, name)))

    return router


def _said(work: Callable[[], ResultT]) -> ResultT:
    """Do the work; a refusal becomes an answer that says why."""
    try:
        return work()
    except (NotFoundError, RunError) as error:
        raise HTTPException(404, str(error)) from error
    except UnavailableError as error:
        raise HTTPException(507, str(error)) from error
    except ToolError as error:
        raise HTTPException(422, str(error)) from error


def _listed(said: str) -> list[str]:
    return [name for name in said.split(",") if name]


def _kept(image: str) -> dict[str, str]:
    """Return whether a browser may keep a picture: a page loaded anew calls what waits by the same ids again."""
    return FRESH if is_waiting(image) else KEPT


def _file(path: Any, headers: dict[str, str] = KEPT) -> FileResponse:
    return FileResponse(path, media_type="application/octet-stream", filename=path.name, headers=headers)


class _Views:
    """Makes what the routes answer with."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self.layers = Layers(pictures)
        self.heats = Heats(pictures)

    def scene(self, reading: str) -> dict[str, Any]:
        """Return what there is to see."""
        return scene_of(reading, self._pictures.workspace(reading), self._pictures.previews(reading))

    def info(self, reading: str, image: str) -> dict[str, Any]:
        """Return an image's facts."""
        volume = self._pictures.volume(reading, image)
        return image_info(volume) | {"planes": planes_json(volume)}

    def volume(self, reading: str, image: str) -> FileResponse:
        """Return an image as NIfTI; written once."""
        volume = self._pictures.volume(reading, image)
        if is_waiting(image):
            preview = self._pictures.preview(reading, image)
            name = key_of({"path": preview.path, "series": preview.series or "", "at": preview.path.stat().st_mtime_ns})
        else:
            name = image
        return _file(nifti_of(volume, self._pictures.folder(reading) / f"{name}.nii"), _kept(image))

    def pixels(self, reading: str, image: str) -> Response:
        """Return a film's pixels."""
        volume = self._pictures.volume(reading, image)
        if volume.dims != 2:
            raise BadInputError(f"{image} is a volume: fetch volume.nii")
        return Response(pixels_of(volume), media_type="application/octet-stream", headers=_kept(image))

    def slice(
        self, reading: str, image: str, cut: tuple[str, int, float, float], over: tuple[list[str], list[str], float]
    ) -> Response:
        """Return one slice as PNG: plane, number and window; masks and heat maps over it, and how strongly."""
        plane, index, low, high = cut
        if not (math.isfinite(low) and math.isfinite(high) and math.isfinite(over[2])):
            raise BadInputError(f"low, high and opacity must be numbers, got {low}, {high} and {over[2]}")
        volume = self._pictures.volume(reading, image)
        laid = Laid(self.layers.masks(reading, over[0]), self.heats.named(reading, over[1], volume.shape), over[2])
        picture = slice_picture(volume, plane, index, (low, high), laid)
        return Response(png(picture), media_type="image/png", headers=FRESH)

    def overlay(self, reading: str, image: str, show: list[str]) -> Response:
        """Return masks of a film as a clear picture."""
        volume = self._pictures.volume(reading, image)
        picture = overlay_picture(volume.shape, self.layers.masks(reading, show))
        return Response(png(picture), media_type="image/png", headers=FRESH)

    def heat(self, reading: str, step: str, file: str) -> Response:
        """Return a heat map of a film as a picture that is the clearer the less a place counts."""
        made, most = self.heats.opened(reading, step, file)
        picture = heat_picture(made.array, most)
        return Response(png(picture), media_type="image/png", headers=KEPT)

    def value(self, reading: str, image: str, at: str) -> dict[str, float | None]:
        """Return the value of one voxel; None outside the image and for colour."""
        volume = self._pictures.volume(reading, image)
        try:
            i, j, k = (int(n) for n in at.split(","))
        except ValueError as error:
            raise BadInputError(f"at must be three whole numbers, got {at!r}") from error
        is_inside = all(0 <= n < size for n, size in zip((i, j, k), volume.shape, strict=True))
        return {"value": float(volume.array[i, j, k]) if is_inside and not volume.is_colour else None}

    def thumbnail(self, reading: str, image: str) -> Response:
        """Return a small picture as PNG."""
        volume = self._pictures.volume(reading, image)
        low, high = image_info(volume)["window"]
        return Response(png(thumbnail(volume, (low, high))), media_type="image/png", headers=_kept(image))
