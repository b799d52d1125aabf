"""VISTA-3D bundles: structures by name, or one structure by points inside and outside it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import BadInputError, UnsupportedError
from tools.free_memory import require_memory
from tools.imaging.geometry import voxel_to_world
from tools.imaging.volume import BoolArray, Volume
from tools.models.inference import resampled_voxels
from tools.models.runtimes.base import Progress, Prompt, Segmentation
from tools.models.runtimes.monai_bundle import Bundle, label_values, on_grid, require_scan

if TYPE_CHECKING:
    from torch import Tensor

INSIDE, OUTSIDE = 1, 0


class Vista3dBundle:
    """A bundle around MONAI's VISTA3D network: its class head takes label numbers, its point head takes points.

    The bundle's own evaluator and inferer are code and are not run; what they do with MONAI's functions is done here:
    points move with the preprocessing, a label prompt runs one sliding window per structure's channel, and points run
    windows around themselves.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._labels = label_values(bundle)
        self._network = bundle.network
        self._settings: dict[str, Any] = bundle.config.get("inferer").settings

    def segment(self, volume: Volume, targets: Sequence[str], progress: Progress) -> Segmentation:
        """Outline targets; see `SegmentRuntime`."""
        import torch

        require_scan(volume)
        unknown = [target for target in targets if target not in self._labels]
        if unknown:
            raise UnsupportedError(f"{self.bundle.card.title} has no label for {', '.join(unknown)}")
        progress(0.02, "preparing the image")
        asked = list(dict.fromkeys(value for target in targets for value in self._labels[target]))
        self._require_memory(volume, len(asked))
        data = self.bundle.prepare((volume,), {"label_prompt": asked})
        prompts = torch.as_tensor(data["label_prompt"], device=self.bundle.device).unsqueeze(-1)
        image = data[self.bundle.image_key]
        data["pred"] = self._run(image, progress, class_vector=prompts)
        data["label_prompt"] = prompts
        progress(0.85, "bringing the result back to the image")
        values = on_grid(self.bundle.finish(data)["pred"], volume)
        values[values == 255] = 0  # where no window was run
        made_of = self._parts()
        values_of = {t: [p for v in self._labels[t] for p in made_of.get(v, (v,))] for t in targets}
        return Segmentation({target: np.asarray(np.isin(values, values_of[target])) for target in targets})

    def segment_prompted(self, volume: Volume, prompt: Prompt, progress: Progress) -> BoolArray:
        """Outline what points mark; see `PromptRuntime`."""
        import torch

        require_scan(volume)
        if not prompt.points or prompt.box is not None or prompt.text:
            raise BadInputError("prompt: this model takes points inside (and outside) one structure, nothing else")
        progress(0.02, "preparing the image")
        self._require_memory(volume, 1)
        marks = [INSIDE] * len(prompt.points) + [OUTSIDE] * len(prompt.outside)
        data = self.bundle.prepare((volume,))
        image = data[self.bundle.image_key]
        points = _moved(np.array([*prompt.points, *prompt.outside], np.float64), volume, image)
        coords = torch.as_tensor(points[None], dtype=torch.float32, device=self.bundle.device)
        labels = torch.as_tensor([marks], device=self.bundle.device)
        data["pred"] = self._run(image, progress, point_coords=coords, point_labels=labels)
        data |= {"points": coords, "point_labels": labels}
        progress(0.85, "bringing the result back to the image")
        values = on_grid(self.bundle.finish(data)["pred"], volume)
        return np.asarray((values > 0) & (values != 255))

    def _require_memory(self, volume: Volume, prompts: int) -> None:
        voxels = resampled_voxels(volume.shape, volume.spacing_mm, self.bundle.spacing_mm())
        require_memory(4 * (3 * max(prompts, 1) * voxels + 2 * float(np.prod(volume.shape))), self.bundle.card.title)

    def _parts(self) -> dict[int, tuple[int, ...]]:
        """Return which labels the preprocessing asks for instead of one: lung is its five lobes."""
        written = self.bundle.config.get("subclass") if "subclass" in self.bundle.config else {}
        return {int(whole): tuple(int(part) for part in parts) for whole, parts in written.items()}

    def _run(self, image: Any, progress: Progress, **prompts: Any) -> Tensor:
        import torch
        from monai.apps.vista3d.inferer import point_based_window_inferer
        from monai.data import MetaTensor
        from monai.inferers import SlidingWindowInfererAdapt

        count = prompts["class_vector"].shape[0] if "class_vector" in prompts else 1
        progress(0.1, f"running the network for {count} structure{'s' if count > 1 else ''}")
        settings, device = self._settings, torch.device(self.bundle.device)
        options = {
            "roi_size": settings["roi_size"],
            "sw_batch_size": int(settings.get("sw_batch_size", 1)),
            "overlap": float(settings.get("overlap", 0.25)),
        }
        given = {"point_coords": None, "point_labels": None, "class_vector": None, "prev_mask": None} | prompts
        given |= {"labels": None, "label_set": None, "prompt_class": given["class_vector"], "transpose": True}
        network = _stoppable(self._network, progress)
        inputs = image[None].to(device)
        with self.bundle.loading.inference(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MONAI sets an affine twice and says so
            if given["point_coords"] is not None and settings.get("use_point_window", False):
                given |= {"mode": "gaussian", "sw_device": device, "device": device, "with_coord": True}
                logits = point_based_window_inferer(inputs=inputs, predictor=network, **options, **given)
            else:
                window = SlidingWindowInfererAdapt(**options, with_coord=True, device=torch.device("cpu"))
                logits = window(inputs, network, **given)
        plain = logits.as_subclass(torch.Tensor)[0].float().cpu().clone()
        predicted: Tensor = MetaTensor(plain, meta=dict(image.meta))
        return predicted


def _stoppable(network: Any, progress: Progress) -> Any:
    """Return the network with a look at the stop sign before every window."""

    def call(*args: Any, **named: Any) -> Any:
        progress(0.1, "running the network")
        return network(*args, **named)

    return call


def _moved(voxels: Any, volume: Volume, image: Any) -> Any:
    """Return positions in the image as voxel positions in what the preprocessing made of it."""
    world = voxel_to_world(volume, voxels)
    affine = np.asarray(image.affine, np.float64)
    return np.linalg.solve(affine[:3, :3], (world - affine[:3, 3]).T).T
