"""Tools that run in a process of their own; a worker imports them from here."""

from __future__ import annotations

import ctypes
import os
import time
from typing import Annotated

from pydantic import Field

from tools.contract import AnyRef, ToolContext, tool
from tools.errors import UnsupportedError
from tools.results import Measurements, ModelUse

BALLAST_MB = 300


def _told(ctx: ToolContext, summary: str) -> Measurements:
    (ctx.folder / "pid.txt").write_text(str(os.getpid()))
    return Measurements(summary=summary, rows=(), files=("pid.txt",))


@tool(isolated=True)
def where(
    ctx: ToolContext,
    after: Annotated[list[AnyRef], Field(description="results to wait for")] = [],  # noqa: B006
) -> Measurements:
    """Say which process it runs in."""
    print("a library that prints on stdout")  # noqa: T201
    ctx.progress(0.5, "half way")
    return _told(ctx, f"Ran in {os.getpid()} with seed {ctx.seed} on {ctx.device}.")


@tool(isolated=True)
def held(ctx: ToolContext) -> Measurements:
    """Hold much memory and sit in a native call that holds the interpreter's lock: no Python runs any more."""
    ballast = bytearray(os.urandom(1 << 20) * BALLAST_MB)
    ctx.progress(0.5, "holding")
    (ctx.folder / "pid.txt").write_text(str(os.getpid()))
    ctypes.PyDLL(None).sleep(600)
    return _told(ctx, f"Held {len(ballast)}.")


@tool(isolated=True, timeout_s=5)
def held_limited(ctx: ToolContext) -> Measurements:
    """Sit in a native call for longer than it may."""
    (ctx.folder / "pid.txt").write_text(str(os.getpid()))
    ctypes.PyDLL(None).sleep(600)
    return _told(ctx, "Held.")


@tool(isolated=True)
def polite(ctx: ToolContext) -> Measurements:
    """Work in small pieces and look whether to stop."""
    (ctx.folder / "pid.txt").write_text(str(os.getpid()))
    for tenth in range(6000):
        ctx.progress(tenth / 6000)
        time.sleep(0.01)
    return _told(ctx, "Done.")


@tool(isolated=True)
def refuse_isolated(ctx: ToolContext) -> Measurements:
    """Refuse."""
    raise UnsupportedError("this phantom has no lungs")


@tool(isolated=True)
def break_isolated(ctx: ToolContext, how: Annotated[str, Field(description="how")] = "bug") -> Measurements:
    """Fail with a bug, a crash, or as a process that the system ends."""
    if how == "crash":
        os.abort()
    if how == "killed":
        os.kill(os.getpid(), 9)
    if how == "store":
        ctx.open_knowledge()
    raise ZeroDivisionError("a bug with PATIENT^NAME")


@tool()
def segment(ctx: ToolContext, image: Annotated[AnyRef, Field(description="the image")]) -> Measurements:
    """Stand for a verb whose model may be isolated."""
    card = ctx.hub.choose("segment", ctx.workspace.image_facts(image), ("lungs",)).card
    (ctx.folder / "pid.txt").write_text(str(os.getpid()))
    use = ModelUse(card=card.name, runtime=card.runtime, version=card.version)
    return Measurements(summary=f"Used {card.name}.", rows=(), files=("pid.txt",), model=use)
