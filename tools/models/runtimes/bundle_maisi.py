"""The bundle maisi_ct_generative: a CT and its organ labels, made by three networks from a label map and noise.

Its own code (`scripts.sample.LDMSampler` and what belongs to it) is not run. Layout and numbers are read from its
configuration; what its sampler does is done here with MONAI's networks and schedulers:

- labels: made by the mask networks where `controllable_anatomy_size` names organs with their sizes, else taken from
  the bundle's own collection, by `anatomy_list` and `body_region`;
- image: a ControlNet shows the labels to the diffusion network at each step; the autoencoder decodes the latents.

Simpler than the bundle's own code: labels from the collection are not deformed, made labels are cleaned by their
largest body only, and an image that fails the bundle's check of organ densities comes with a note and is not drawn
again.
"""

from __future__ import annotations

import copy
import gzip
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import BadInputError, UnavailableError
from tools.free_memory import require_memory
from tools.imaging.volume import SYNTHETIC_NOTE, AnyArray, Volume
from tools.models.runtimes.base import Progress, Synthesized
from tools.models.runtimes.bundle_generation import denoised, noise, seeded
from tools.models.runtimes.monai_bundle import Bundle

if TYPE_CHECKING:
    from torch import Generator, Tensor

LOWEST_HU, HIGHEST_HU = -1000.0, 1000.0  # what 0 and 1 of the autoencoder stand for
MADE_LABELS_MM = 1.5  # the mask networks were trained at this spacing
CONDITION_SCALE = 100.0  # the diffusion network takes regions and spacings so
LABEL_BITS = 8
SIZED = ("gallbladder", "liver", "stomach", "pancreas", "colon", "lung tumor", "pancreatic tumor", "hepatic tumor",
         "colon cancer primaries", "bone lesion")  # fmt: skip
"""Whose size the mask networks are told, in this order."""
TUMOUR_OF = {23: 28, 24: 4, 26: 1, 27: 62, 128: 200}
"""Tumour labels, and the label that stands there where no tumour was asked for; 200 is body without a name."""
REGION_LABELS = ((22, 120), (28, 29, 30, 31, 32), (1, 2, 3, 4, 5, 14), (93, 94))
"""Labels that show head, chest, abdomen and legs, from top to bottom."""
REGION_OF = {"head": 0, "chest": 1, "thorax": 1, "chest/thorax": 1, "abdomen": 2, "pelvis": 3, "lower": 3,
             "pelvis/lower": 3}  # fmt: skip
BODY_PARTS = ("HEAD", "CHEST", "ABDOMEN", "PELVIS")
CHECKED = {"liver": (1,), "spleen": (3,), "pancreas": (4,), "kidney": (5, 14), "lung": (28, 29, 30, 31, 32),
           "brain": (22,)}  # fmt: skip
"""Labels of the organs whose median density the bundle's statistics bound."""


@dataclass(frozen=True)
class _Networks:
    """What makes latents, and what decodes them."""

    autoencoder: Any
    diffusion: Any
    scale: Any
    scheduler: Any
    steps: int


class MaisiBundle:
    """Makes a CT with labels; see the module."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        config = bundle.config
        for entry in ("load_autoencoder", "load_diffusion", "copy_controlnet_state", "load_controlnet"):
            config.get(entry)
        self._image = self._networks("", "diffusion_unet", "num_inference_steps")
        self._controlnet = self._ready(config.get("controlnet"))
        self._sizes: list[tuple[str, float]] = [(n, float(s)) for n, s in config.get("controllable_anatomy_size")]
        self._mask: _Networks | None = None
        if self._sizes:
            config.get("load_mask_generation_autoencoder")
            config.get("load_mask_generation_diffusion")
            prefix = "mask_generation_"
            self._mask = self._networks(prefix, f"{prefix}diffusion_unet", f"{prefix}num_inference_steps")
        config.forget("checkpoint")
        self._size = tuple(int(n) for n in config.get("output_size"))
        self._spacing_mm = tuple(float(n) for n in config.get("spacing"))
        numbers: dict[str, int] = self._json("label_dict_json")
        asked = [name for name, _ in self._sizes] or list(config.get("anatomy_list"))
        if unknown := [name for name in asked if name not in numbers]:
            raise BadInputError(f"anatomy_list: the bundle has no label for {', '.join(unknown)}")
        self._asked = {int(numbers[name]): name for name in asked}

    def _networks(self, prefix: str, diffusion: str, steps: str) -> _Networks:
        config = self.bundle.config
        return _Networks(
            self._ready(config.get(f"{prefix}autoencoder")),
            self._ready(config.get(diffusion)),
            config.get(f"{prefix}scale_factor"),
            config.get(f"{prefix}noise_scheduler"),
            int(config.get(steps) or 1000),
        )

    def _ready(self, network: Any) -> Any:
        """Return a network for inference; its norms answer in half precision only where the rest computes in it."""
        for module in network.modules():
            if hasattr(module, "norm_float16"):
                module.norm_float16 = self.bundle.loading.half and self.bundle.device != "cpu"
        return network.eval()

    def _json(self, entry: str) -> Any:
        name = str(self.bundle.config.get(entry)).removeprefix("./")
        try:
            return json.loads(self.bundle.files.read(name))
        except ValueError as error:
            raise UnavailableError(f"bundle {self.bundle.files.path.name!r}: {name} is damaged: {error}") from None

    def synthesize(
        self, source: Volume | None, parameters: Mapping[str, float | str], progress: Progress
    ) -> Synthesized:
        """Make a CT with labels; see `SynthesizeRuntime`."""
        require_memory(4 * 12 * float(np.prod(self._size)), self.bundle.card.title)
        rng = seeded(parameters)
        progress(0.01, "preparing the labels")
        made = self._mask is not None
        with self.bundle.loading.inference():
            labels = self._made_labels(rng, progress) if made else self._chosen_labels(rng)
            absent = [name for number, name in self._asked.items() if not (labels == number).any()]
            image = self._made_image(labels, rng, progress)
        image[labels == 0] = LOWEST_HU
        notes = [*self._density_notes(image, labels)]
        if absent:
            notes.append(f"The labels hold no {', '.join(absent)}: it lies outside the field of view or was too small.")
        asked = np.where(np.isin(labels, list(self._asked)), labels, 0).astype(np.uint8)
        return Synthesized(self._volume(image, labels), asked, dict(self._asked), tuple(notes))

    def _volume(self, image: AnyArray, labels: AnyArray) -> Volume:
        top, _ = _regions(labels)
        return Volume(
            np.rint(image).astype(np.int16),
            np.diag([*self._spacing_mm, 1.0]),
            spacing_source="NIfTI header",
            modality="CT",
            body_part=BODY_PARTS[top],
            units="HU",
            header=dict(SYNTHETIC_NOTE),
        )

    def _made_labels(self, rng: Generator, progress: Progress) -> AnyArray:
        """Let the mask networks make labels of organs with the sizes asked for: uint8 (i, j, k), 132 classes."""
        import torch

        networks = self._mask
        assert networks is not None  # noqa: S101  the caller looked
        device = self.bundle.device
        sizes = torch.tensor(self._size_condition(), device=device)[None, None]
        latents = self._latents(
            networks,
            self.bundle.config.get("mask_generation_latent_shape"),
            lambda x, t: networks.diffusion(x, timesteps=t, context=sizes),
            rng,
            lambda done: progress(0.02 + 0.28 * done, "making the labels"),
        )
        raw = self._decoded(networks, latents, self._window(None), progress).argmax(1)[0].cpu().numpy()
        renumbered = np.zeros(256, np.uint8)
        for was, becomes in self._json("label_dict_remap_json").values():
            renumbered[int(was)] = int(becomes)
        cleaned = _cleaned(renumbered[raw], set(self._asked))
        return self._fitted(cleaned, np.diag([MADE_LABELS_MM] * 3 + [1.0]))

    def _size_condition(self) -> list[float]:
        """Return the ten sizes: those asked for, the others from the bundle's real case that is nearest to them."""
        wanted = dict(self._sizes)
        if unknown := set(wanted) - set(SIZED):
            raise BadInputError(f"controllable_anatomy_size: {', '.join(sorted(unknown))} has no size to set")
        known = [[float(n) for n in each["organ_size"]] for each in self._json("all_anatomy_size_condtions_json")]
        places = {SIZED.index(name): size for name, size in wanted.items()}
        nearest = min(known, key=lambda sizes: sum(abs(sizes[place] - size) for place, size in places.items()))
        return [places.get(place, size) for place, size in enumerate(nearest)]

    def _chosen_labels(self, rng: Generator) -> AnyArray:
        """Take labels from the bundle's collection: among the five nearest in size and spacing, by the seed."""
        import torch

        wanted = {REGION_OF[str(name).lower()] for name in self.bundle.config.get("body_region")}
        fitting = [case for case in self._json("all_mask_files_json") if self._fits(case, wanted)]
        if not fitting:
            names = ", ".join(self._asked.values())
            raise BadInputError(f"anatomy_list: no labels in the bundle's collection show {names} in these regions")
        nearest = sorted(fitting, key=self._distance)[:5]
        case = nearest[int(torch.randint(len(nearest), (1,), generator=rng))]
        array, affine = self._collected(str(case["pseudo_label_filename"]))
        return self._fitted(array, affine)

    def _fits(self, case: Mapping[str, Any], regions: set[int]) -> bool:
        held = set(case["label_list"])
        top, bottom = (next(n for n, v in enumerate(case[f"{end}_region_index"]) if v) for end in ("top", "bottom"))
        tumours = (set(TUMOUR_OF) - set(self._asked)) & held
        return set(self._asked) <= held and not tumours and all(top <= region <= bottom for region in regions)

    def _distance(self, case: Mapping[str, Any]) -> float:
        sizes = sum(abs(float(a) - b) / 100 for a, b in zip(case["dim"], self._size, strict=True))
        return sizes + sum(abs(float(a) - b) for a, b in zip(case["spacing"], self._spacing_mm, strict=True))

    def _collected(self, name: str) -> tuple[AnyArray, AnyArray]:
        """Read labels of the collection, from its folder or the zip beside it, as (i, j, k) towards RAS+."""
        import nibabel as nib

        files = self.bundle.files
        folder = str(self.bundle.config.get("all_mask_files_base_dir")).removeprefix("./")
        if files.has(f"{folder}/{name}"):
            content = files.read(f"{folder}/{name}")
        else:
            try:
                with zipfile.ZipFile(io.BytesIO(files.read(f"{folder}.zip"))) as packed:
                    member = next(n for n in packed.namelist() if PurePosixPath(n).name == PurePosixPath(name).name)
                    content = packed.read(member)
            except (StopIteration, zipfile.BadZipFile) as error:
                raise UnavailableError(f"bundle {files.path.name!r}: {folder}.zip holds no {name}") from error
        plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        image = nib.as_closest_canonical(nib.Nifti1Image.from_bytes(plain))
        return np.asarray(image.dataobj).astype(np.uint8), np.asarray(image.affine, np.float64)

    def _fitted(self, labels: AnyArray, affine: AnyArray) -> AnyArray:
        """Bring labels to the spacing and size of the image, by the nearest label, cut or filled evenly."""
        import torch
        from monai.data import MetaTensor
        from monai.transforms import ResizeWithPadOrCrop, Spacing

        tensor = MetaTensor(torch.from_numpy(labels.astype(np.float32))[None], affine=torch.as_tensor(affine))
        resampled = Spacing(pixdim=self._spacing_mm, mode="nearest")(tensor)
        fitted = ResizeWithPadOrCrop(spatial_size=self._size)(resampled)
        array: AnyArray = fitted[0].cpu().numpy().astype(np.uint8)
        if not array.any():
            raise BadInputError("output_size, spacing: no labels are left in a field of view of this size")
        return array

    def _made_image(self, labels: AnyArray, rng: Generator, progress: Progress) -> AnyArray:
        import torch

        device, networks = self.bundle.device, self._image
        shown = torch.from_numpy(labels.astype(np.int64))[None].to(device)
        bits = torch.stack([(shown >> bit) & 1 for bit in range(LABEL_BITS)], dim=1).float()
        ends = [torch.eye(4, device=device)[end][None] * CONDITION_SCALE for end in _regions(labels)]
        spacing = torch.tensor([self._spacing_mm], device=device) * CONDITION_SCALE

        def predicted(latents: Tensor, time: Tensor) -> Tensor:
            down, middle = self._controlnet(x=latents, timesteps=time, controlnet_cond=bits)
            found: Tensor = networks.diffusion(
                x=latents,
                timesteps=time,
                top_region_index_tensor=ends[0],
                bottom_region_index_tensor=ends[1],
                spacing_tensor=spacing,
                down_block_additional_residuals=down,
                mid_block_additional_residual=middle,
            )
            return found

        latents = self._latents(
            networks,
            self.bundle.config.get("latent_shape"),
            predicted,
            rng,
            lambda done: progress(0.32 + 0.5 * done, "removing noise"),
        )
        decoded = self._decoded(networks, latents, self._window(self._size), progress)
        image: AnyArray = decoded[0, 0].float().clamp(0, 1).cpu().numpy()
        return LOWEST_HU + (HIGHEST_HU - LOWEST_HU) * image

    def _latents(
        self, networks: _Networks, shape: Sequence[int], predict: Any, rng: Generator, progress: Any
    ) -> Tensor:
        scheduler = copy.deepcopy(networks.scheduler)
        more = {"input_img_size_numel": int(np.prod(shape[1:]))} if hasattr(scheduler, "use_timestep_transform") else {}
        scheduler.set_timesteps(num_inference_steps=networks.steps, **more)
        return denoised(predict, scheduler, noise(shape, rng, self.bundle.device), rng, progress)

    def _window(self, image_size: Sequence[int] | None) -> tuple[int, ...]:
        """Return the patch of latents that is decoded at once, at most three quarters of the image's."""
        window = [int(n) for n in self.bundle.config.get("autoencoder_sliding_window_infer_size")]
        most = [n // 16 * 3 for n in image_size] if image_size else window
        return tuple(min(w, m) for w, m in zip(window, most, strict=True))

    def _decoded(self, networks: _Networks, latents: Tensor, window: Sequence[int], progress: Progress) -> Tensor:
        import torch
        from monai.inferers.utils import sliding_window_inference

        def decode(patch: Tensor) -> Tensor:
            progress(0.85, "decoding")
            found: Tensor = networks.autoencoder.decode_stage_2_outputs(patch / networks.scale)
            return found

        whole = self.bundle.config.get("autoencoder_sliding_window_infer_size")
        if float(np.prod(latents.shape[2:])) < float(np.prod(whole)):
            return decode(latents)
        overlap = float(self.bundle.config.get("autoencoder_sliding_window_infer_overlap"))
        found = sliding_window_inference(
            latents, window, 1, partial(decode), overlap=overlap, mode="gaussian", device=torch.device("cpu")
        )
        assert isinstance(found, torch.Tensor)  # noqa: S101  the autoencoder gives one tensor
        return found

    def _density_notes(self, image: AnyArray, labels: AnyArray) -> list[str]:
        """Say which organ's median density lies outside what the bundle's statistics of real CT allow."""
        notes = []
        for organ, bounds in self._json("real_img_median_statistics_file").items():
            inside = np.isin(labels, CHECKED.get(organ, ()))
            if inside.any():
                median = float(np.median(image[inside]))
                low, high = bounds["sigma_6_low"], bounds["sigma_6_high"]
                if not low <= median <= high:
                    notes.append(
                        f"The made {organ} has a median of {median:.0f} HU, outside the {low:.0f} to {high:.0f} HU "
                        "that the bundle gives for real CT: do not use this image for its densities."
                    )
        return notes


def _regions(labels: AnyArray) -> tuple[int, int]:
    """Return the topmost and lowest body region that labels show; the abdomen where they show none."""
    there = set(np.unique(labels).tolist())
    shown = [place for place, numbers in enumerate(REGION_LABELS) if there & set(numbers)]
    return (shown[0], shown[-1]) if shown else (2, 2)


def _cleaned(labels: AnyArray, asked: set[int]) -> AnyArray:
    """Return made labels with the largest connected body only, and tumours not asked for given to their organ."""
    from scipy.ndimage import label as parts_of

    parts, count = parts_of(labels > 0)
    if count > 1:
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        labels = np.where(parts == sizes.argmax(), labels, 0)
    for tumour, organ in TUMOUR_OF.items():
        if tumour not in asked:
            labels = np.where(labels == tumour, organ, labels)
    return labels.astype(np.uint8)
