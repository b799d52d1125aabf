"""Pictures for an endpoint that may have no patient data: burned-in text is blacked out, or they stay here."""

from __future__ import annotations

import base64
import io

from agent.errors import ConfigError

SMALLEST = 12  # pixels on a side; nothing smaller holds a letter that anybody could read


def without_text(url: str) -> tuple[str, int]:
    """Return a picture with the text in it blacked out, and how many rectangles that were.

    Everything but the pixels is left behind: comments, times, profiles.

    Args:
        url: data URL of a PNG or JPEG that was checked already.

    Raises:
        ConfigError: text is still found after blacking out.
    """
    import numpy as np
    from PIL import Image

    from tools.deidentification.burned_in import clear_text

    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        pixels = np.array(image.convert("L" if image.mode in ("1", "L", "I", "I;16", "F") else "RGB"))
    count = 0
    if min(pixels.shape[:2]) >= SMALLEST:
        count, _, clean = clear_text(pixels, 0)
        if not clean:
            raise ConfigError(
                "a picture has text burned into it that could not be removed, so it may not leave to this LLM "
                "endpoint: de-identify the image first, or set READINGROOM_EGRESS=remote-allowed if it may"
            )
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}", count
