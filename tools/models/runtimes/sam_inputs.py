"""What the later SAM-type models (SAM 2, SAM 3's tracker) take, made without torchvision.

transformers has their processors in a torchvision variant only. What those do is plain: the picture is scaled to a
square without regard to its proportions and normalised, prompts are scaled with it, masks are scaled back.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import UnavailableError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE = "preprocessor_config.json"


class SquareProcessor:
    """Turns a picture and prompts into a model's inputs, and its masks into the picture's.

    Args:
        folder: holds the model's preprocessor_config.json, as transformers writes it.

    Raises:
        UnavailableError: the file is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        try:
            said = json.loads((folder / FILE).read_text(encoding="utf-8"))
            said = said.get("image_processor", said)
            size = said["size"]
            self.side = (int(size["height"]), int(size["width"]))
            self.mean, self.std = np.array(said["image_mean"]), np.array(said["image_std"])
            self.factor = float(said.get("rescale_factor", 1 / 255))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnavailableError(
                f"{folder / FILE} must name size, image_mean and image_std ({error!r}): save its processor again"
            ) from error

    def __call__(self, images: NDArray[np.uint8], return_tensors: str = "pt", **prompts: Any) -> dict[str, Any]:
        """Return the inputs of the model.

        Args:
            images: one picture (rows, columns, 3).
            return_tensors: as in transformers; tensors of torch come in any case.
            prompts: nested lists as the processors of transformers take them.
        """
        import torch
        from torch.nn.functional import interpolate

        rows, columns = images.shape[:2]
        picture = torch.from_numpy(np.ascontiguousarray(images)).permute(2, 0, 1)[None].float()
        scaled = interpolate(picture, self.side, mode="bilinear", antialias=True, align_corners=False).clamp(0, 255)
        mean, std = (torch.tensor(each, dtype=torch.float32)[:, None, None] for each in (self.mean, self.std))
        across = torch.tensor([self.side[1] / columns, self.side[0] / rows])
        made: dict[str, Any] = {
            "pixel_values": (scaled.round() * self.factor - mean) / std,
            "original_sizes": torch.tensor([[rows, columns]]),
        }
        for name, value in prompts.items():
            tensor = torch.tensor(value)
            if name == "input_points":
                tensor = tensor.float() * across
            elif name == "input_boxes":
                tensor = tensor.float() * across.repeat(2)
            made[name] = tensor
        return made

    def post_process_masks(self, masks: Any, sizes: Any) -> list[Any]:
        """Return each picture's masks on its own pixels, bool (objects, masks, rows, columns)."""
        from torch.nn.functional import interpolate

        return [
            interpolate(mask, [int(n) for n in size], mode="bilinear", align_corners=False) > 0
            for mask, size in zip(masks, sizes, strict=True)
        ]
