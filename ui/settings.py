"""What the tab Settings asks the server. Plain requests, each answered by itself, as `ui.reports` says why.

What takes a while is a job: begun by one request, and asked for by others until it is over.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

from agent.assistant import Assistant
from agent.errors import RunError
from ui.components.settings import preview_html, told_html
from ui.components.settings_form import NOT_YOURS, Form, section
from ui.longwork import Jobs, Work
from ui.owners import Owners
from ui.preferences import Preferences, Wish
from ui.upkeep import Upkeep
from ui.uploads import uploaded

PREFIX = "/settings"
Short = Annotated[str, Field(max_length=1000)]


class Named(BaseModel):
    """A model or a PACS, and for a model where its weights come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Short
    place: Short = ""


class Files(BaseModel):
    """Uploads, by the paths that the upload's answer gave."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    paths: list[Short]


def settings_routes(assistant: Assistant, owners: Owners) -> APIRouter:
    """Return the routes under `/settings`; plain functions, so that the server runs each in a thread."""

    def allowed(request: Request) -> None:
        if not owners.may_change_settings(request):
            raise HTTPException(403, NOT_YOURS)

    preferences, upkeep = Preferences(assistant), Upkeep(assistant)
    router, changes = APIRouter(prefix=PREFIX), [Depends(allowed)]
    router.include_router(_works(preferences, upkeep), dependencies=changes)

    @router.get("")
    def shown(request: Request) -> dict[str, Any]:
        """Return every part of the tab by the id of its place."""
        form = Form(preferences.fixed(), may_change=owners.may_change_settings(request))
        return {"parts": parts(form, preferences, upkeep)}

    @router.put("", dependencies=changes)
    def keep(wish: Wish) -> dict[str, Any]:
        def kept() -> str:
            preferences.keep(wish)
            return told_html("Kept; the next request uses it.", is_good=True)

        return _told(kept)

    @router.post("/preview")
    def previewed(wish: Wish) -> dict[str, Any]:
        return _told(lambda: preview_html(*preferences.preview(wish)))

    return router


def _works(preferences: Preferences, upkeep: Upkeep) -> APIRouter:
    """Return the routes that begin work, and the one that says how far it is."""
    router, jobs = APIRouter(), Jobs()

    def started(work: Work) -> dict[str, Any]:
        return {"job": jobs.start(work)}

    @router.post("/test")
    def test(wish: Wish) -> dict[str, Any]:
        return started(Work("asking", lambda tell: preferences.try_out(wish)))

    @router.post("/models/get")
    def get(model: Named) -> dict[str, Any]:
        return started(upkeep.get(model.name, model.place))

    @router.post("/models/check")
    def check(model: Named) -> dict[str, Any]:
        return started(upkeep.check(model.name))

    @router.post("/reports")
    def store(files: Files) -> dict[str, Any]:
        if not files.paths:
            return {"html": told_html("Choose files with reports first.", is_good=False)}
        return started(upkeep.store([_upload(path) for path in files.paths]))

    @router.post("/pacs")
    def pacs(server: Named) -> dict[str, Any]:
        return started(upkeep.echo(server.name))

    @router.get("/jobs/{name}")
    def job(name: str) -> dict[str, Any]:
        found = jobs.get(name)
        if found is None:
            raise HTTPException(404, "no such work goes on: the server was started again; press the button again")
        return {"html": found.html, "over": found.is_over}

    return router


def parts(form: Form, preferences: Preferences, upkeep: Upkeep) -> dict[str, str]:
    """Return the tab's parts, each with its title around it."""
    return {
        "rr-set-llm": section("Language model", "rr-set-llm", form.language_model(preferences.settings), is_open=True),
        "rr-models": section(
            "Models behind the tools", "rr-models", form.models(upkeep.model_names(), upkeep.models_html())
        ),
        "rr-reports": section("Past reports", "rr-reports", form.reports(upkeep.reports_html())),
        "rr-pacs": section("PACS", "rr-pacs", form.pacs(preferences.settings.pacs)),
        "rr-memory": section("Memory", "rr-memory", upkeep.memory_html()),
    }


def _upload(path: str) -> Path:
    found = uploaded(path)
    if found is None:
        raise HTTPException(422, "paths: each must be an upload of this page")
    return found


def _told(work: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"html": work()}
    except RunError as error:
        return {"html": told_html(str(error), is_good=False)}
