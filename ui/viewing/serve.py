"""Adds to the page's server what the viewer needs: its own files, and the images of readings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI

    from agent.assistant import Assistant
    from ui.owners import Owners
    from ui.viewing.pictures import Pictures


def add_viewer(app: FastAPI, assistant: Assistant, owners: Owners) -> Pictures:
    """Add the viewer's routes and return the images that they serve."""
    from starlette.staticfiles import StaticFiles

    from ui.app import STATIC, STATIC_PREFIX
    from ui.viewing.pictures import Pictures
    from ui.viewing.routes import viewer_routes

    pictures = Pictures(assistant)
    app.include_router(viewer_routes(pictures, owners))
    app.mount(f"/{STATIC_PREFIX}", StaticFiles(directory=STATIC), name="page")
    return pictures
