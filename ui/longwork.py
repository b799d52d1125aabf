"""Work that takes a while, shown on the page while it goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable

from agent.errors import RunError
from knowledge.errors import KnowledgeError
from tools.errors import ToolError
from ui.components.settings import progress_html, told_html

OnAmount = Callable[[int, int | None], None]
LOOK_S = 0.2


async def shown(title: str, work: Callable[[OnAmount], str], *, in_bytes: bool = False) -> AsyncGenerator[str]:
    """Do work in a thread and yield what there is to see: how far it is, then what came of it.

    Args:
        title: what is being done.
        work: does it, tells how far it is, returns what came of it; what it refuses is shown in one line.
        in_bytes: whether the amounts are bytes.
    """
    at: tuple[int, int | None] = (0, None)
    ended: list[str | BaseException] = []

    def tell(done: int, total: int | None) -> None:
        nonlocal at
        at = (done, total)

    def run() -> None:
        try:
            ended.append(work(tell))
        except BaseException as error:  # noqa: BLE001  raised again, or shown, by the page
            ended.append(error)

    threading.Thread(target=run, name="settings", daemon=True).start()
    while not ended:
        yield progress_html(title, *at, in_bytes=in_bytes)
        await asyncio.sleep(LOOK_S)
    result = ended[0]
    if isinstance(result, str):
        yield told_html(result, is_good=True)
    elif isinstance(result, RunError | ToolError | KnowledgeError):
        yield told_html(" ".join(str(result).split()), is_good=False)
    else:
        raise result
