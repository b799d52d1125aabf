from __future__ import annotations

from typing import Any

import pytest
import torch

from tools.errors import UnavailableError
from tools.free_memory import require_memory
from tools.models.inference import SlidingWindow, resampled_voxels


class Blurred(torch.nn.Module):
    """Two channels that depend on the neighbourhood, so that the edges of patches matter."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Conv3d(1, 2, 5, padding=2)

    def forward(self, image: torch.Tensor) -> Any:
        return self.layer(image)


@pytest.mark.parametrize("mode", ["constant", "gaussian"])
@pytest.mark.parametrize(
    ("shape", "patch", "batch", "padding"),
    [
        ((30, 25, 21), (16, 16, 8), 3, "constant"),
        ((10, 25, 6), (16, 16, 8), 1, "replicate"),
        ((16, 16, 8), (16, -1, 8), 4, "constant"),
    ],
)
def test_it_gives_what_monai_gives(
    mode: str, shape: tuple[int, ...], patch: tuple[int, ...], batch: int, padding: str
) -> None:
    from monai.inferers import SlidingWindowInferer

    image, network = torch.randn(1, 1, *shape), Blurred().eval()
    theirs = SlidingWindowInferer(patch, sw_batch_size=batch, overlap=0.5, mode=mode, padding_mode=padding)
    ours = SlidingWindow.of_monai(theirs)
    with torch.inference_mode():
        assert torch.allclose(ours.run(image, network, "cpu"), theirs(image, network), atol=1e-5)


def test_progress_rises_and_may_stop_the_work() -> None:
    seen: list[float] = []

    def watch(done: float) -> None:
        seen.append(done)
        if len(seen) == 3:
            raise InterruptedError

    with torch.inference_mode(), pytest.raises(InterruptedError):
        SlidingWindow((8, 8, 8)).run(torch.zeros(1, 1, 20, 20, 20), Blurred(), "cpu", watch)
    assert seen == sorted(seen)
    assert len(seen) == 3


def test_smaller_forms_end_at_the_smallest_patch() -> None:
    window: SlidingWindow | None = SlidingWindow((128, 96, 64), batch=4)
    forms = []
    while window is not None:
        forms.append((window.patch_size, window.batch))
        window = window.smaller()
    assert forms == [((128, 96, 64), 4), ((128, 96, 64), 1), ((64, 32, 32), 1), ((32, 32, 32), 1)]


def test_work_that_memory_cannot_hold_is_refused_with_both_numbers() -> None:
    require_memory(1000, "this")
    with pytest.raises(UnavailableError, match=r"this needs about 1000000\.0 GB of memory, [\d.]+ GB are free"):
        require_memory(1e15, "this")


def test_resampled_voxels_follow_the_spacing() -> None:
    assert resampled_voxels((10, 10, 10), (1.0, 1.0, 2.0), None) == 1000
    assert resampled_voxels((10, 10, 10), (1.0, 1.0, 2.0), (2.0, 1.0, 1.0)) == pytest.approx(1000)
    assert resampled_voxels((10, 10, 10), (1.0, 1.0, 2.0), (-1.0, 1.0, 1.0)) == pytest.approx(2000)
