"""Bundles that make images by diffusion in a latent space, from the networks and numbers of their configuration.

The samplers that such bundles bring as code are not run; the loops here use MONAI's own networks and schedulers.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import UnsupportedError
from tools.imaging.volume import ORIENTATION_UNKNOWN, SYNTHETIC_NOTE, Volume
from tools.models.runtimes.base import Progress, Synthesized
from tools.models.runtimes.monai_bundle import Bundle

if TYPE_CHECKING:
    from torch import Generator, Tensor

MAISI = "scripts.sample.LDMSampler"
LATENT_DIFFUSION = "scripts.ldm_sampler.LDMSampler"


def generator_of(bundle: Bundle) -> Any:
    """Return the generator of a bundle, by the sampler that its configuration names.

    Raises:
        UnsupportedError: it names another.
    """
    if bundle.config.raw("ldm_sampler#_target_") == MAISI:
        from tools.models.runtimes.bundle_maisi import MaisiBundle

        return MaisiBundle(bundle)
    sampler = bundle.config.raw("inferer#_target_")
    if sampler == LATENT_DIFFUSION:
        return LatentDiffusionBundle(bundle)
    raise UnsupportedError(
        f"bundle {bundle.files.path.name!r}: its sampler {sampler!r} is code of its own; the samplers of "
        "maisi_ct_generative and of the brats_mri generators are known here"
    )


class LatentDiffusionBundle:
    """A diffusion network and an autoencoder, without conditions: the generators of brain MR in the zoo."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        config = bundle.config
        self._scheduler = config.get("noise_scheduler")  # it requires that the weights are loaded
        config.get("set_timesteps")
        self._network = config.get("diffusion").eval()
        self._autoencoder = config.get("autoencoder").eval()
        self._latent_shape = [int(n) for n in config.get("latent_shape")]

    def synthesize(
        self, source: Volume | None, parameters: Mapping[str, float | str], progress: Progress
    ) -> Synthesized:
        """Make an image from noise; see `SynthesizeRuntime`."""
        rng = seeded(parameters)
        with self.bundle.loading.inference():
            latents = noise(self._latent_shape, rng, self.bundle.device)
            latents = denoised(
                lambda x, t: self._network(x, timesteps=t.long()),
                copy.deepcopy(self._scheduler),
                latents,
                rng,
                lambda done: progress(0.02 + 0.85 * done, "removing noise"),
            )
            progress(0.9, "decoding the image")
            decoded = self._autoencoder.decode_stage_2_outputs(latents)
        array = decoded[0, 0].float().cpu().numpy()
        return Synthesized(self._volume(array))

    def _volume(self, array: np.ndarray[Any, np.dtype[np.float32]]) -> Volume:
        options = self.bundle.options
        spacing_mm = options.spacing_mm
        steps = np.ones(3) if spacing_mm is None else np.array(spacing_mm)
        return Volume(
            array[..., None] if array.ndim == 2 else array,
            np.diag([*steps, 1.0]),
            spacing_source=None if spacing_mm is None else "NIfTI header",
            modality=options.modality,
            body_part=options.body_part,
            header={**ORIENTATION_UNKNOWN, **SYNTHETIC_NOTE},
        )


def seeded(parameters: Mapping[str, float | str]) -> Generator:
    """Return a generator of random numbers with the run's seed: the same seed gives the same image."""
    import torch

    return torch.Generator().manual_seed(int(float(parameters.get("seed", 0))))


def noise(latent_shape: Sequence[int], rng: Generator, device: str) -> Tensor:
    """Return noise for one image: (1, channels, *spatial), drawn on the CPU so that every device gets the same."""
    import torch

    return torch.randn([1, *latent_shape], generator=rng).to(device)


def denoised(
    predict: Callable[[Tensor, Tensor], Tensor],
    scheduler: Any,
    latents: Tensor,
    rng: Generator,
    progress: Callable[[float], None],
) -> Tensor:
    """Return latents after every step of a schedule.

    Args:
        predict: what the network makes of (latents, time step).
        scheduler: one of MONAI's, its time steps set.
        latents: noise.
        rng: for schedules that add noise on the way.
        progress: told the share of steps done; may raise to stop.
    """
    import torch

    takes = inspect.signature(scheduler.step).parameters
    times = list(scheduler.timesteps)
    for number, time in enumerate(times):
        progress(number / len(times))
        more: dict[str, Any] = {"generator": rng} if "generator" in takes else {}
        if "next_timestep" in takes:
            more["next_timestep"] = times[number + 1] if number + 1 < len(times) else torch.tensor(0.0)
        predicted = predict(latents, torch.tensor([float(time)], device=latents.device))
        latents, _ = scheduler.step(predicted, time, latents, **more)
    return latents
