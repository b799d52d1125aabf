"""What inference needs of an nnU-Net v2 result folder: plans.json and dataset.json, read without torch.

nnU-Net 2.2 began to write the network into the plans; older plans, as TotalSegmentator's are, name its parts, and the
network follows from them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tools.errors import UnavailableError, UnsupportedError
from tools.imaging.volume import Volume

PREFERRED = ("3d_fullres", "3d_lowres", "2d")
"""Which configuration is taken where a dataset has several and its card names none."""
_OLD_NETWORKS = {
    "PlainConvUNet": ("dynamic_network_architectures.architectures.unet.PlainConvUNet", "n_conv_per_stage"),
    "ResidualEncoderUNet": (
        "dynamic_network_architectures.architectures.residual_unet.ResidualEncoderUNet",
        "n_blocks_per_stage",
    ),
}
_SPATIAL = 3


@dataclass(frozen=True)
class Channel:
    """How one channel of the input was scaled in training."""

    scheme: str
    """Name of nnU-Net's normalisation."""
    masked: bool
    """Whether statistics are taken where the image is not zero."""
    intensity: Mapping[str, float]
    """Of the training data's foreground: mean, std, percentile_00_5, percentile_99_5; empty where none is known."""


@dataclass(frozen=True)
class Plans:
    """What of plans.json inference needs, for one configuration."""

    patch_size: tuple[int, ...]
    """Three numbers; the first is 1 for a network of single slices."""
    flat: bool
    """Whether the network takes single slices: the first axis keeps the image's own spacing."""
    own_spacing_mm: tuple[float, ...]
    """Of the network's input, in its own order of axes; two numbers for a network of slices."""
    transpose: tuple[int, int, int]
    """Order of axes of the network's input, from axes (k, j, i) of the file."""
    channels: tuple[Channel, ...]
    order: int
    """Of the spline with which images are resampled."""
    order_z: int
    """The same along a coarse axis."""
    network_class: str
    network: Mapping[str, Any]
    torch_classes: frozenset[str]
    """Keys of `network` that name a layer of torch."""

    @classmethod
    def read(cls, plans: Mapping[str, Any], configuration: str, folder: str, channels: int = 1) -> Plans:
        """Take a configuration out of plans.json.

        Args:
            plans: the file's object.
            configuration: its name.
            folder: for messages.
            channels: how many images dataset.json says are one input.

        Raises:
            UnsupportedError: it is not there, is a stage of a cascade, or its network is not known.
            UnavailableError: the plans lack a key.
        """
        chosen = configuration_of(plans, configuration, folder)
        try:
            return cls._of(plans, chosen, channels, folder)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise UnavailableError(f"{folder}/plans.json is incomplete: {error!r}") from None

    @classmethod
    def _of(cls, plans: Mapping[str, Any], chosen: Mapping[str, Any], channels: int, folder: str) -> Plans:
        architecture = chosen["architecture"] if "architecture" in chosen else _rebuilt(chosen, folder)
        resampling = chosen.get("resampling_fn_data_kwargs", {})
        patch = tuple(int(n) for n in chosen["patch_size"])
        a, b, c = (int(n) for n in plans["transpose_forward"])
        return cls(
            patch_size=patch if len(patch) == _SPATIAL else (1, *patch),
            flat=len(patch) < _SPATIAL,
            own_spacing_mm=tuple(float(n) for n in chosen["spacing"]),
            transpose=(a, b, c),
            channels=tuple(_channel(plans, chosen, number) for number in range(channels)),
            order=int(resampling.get("order", 3)),
            order_z=int(resampling.get("order_z", 0)),
            network_class=str(architecture["network_class_name"]),
            network=dict(architecture["arch_kwargs"]),
            torch_classes=frozenset(architecture.get("_kw_requires_import", ())),
        )

    def spacing_mm(self, image_mm: tuple[float, ...]) -> tuple[float, ...]:
        """Return the spacing of the network's input for an image, both in transposed axes."""
        return (image_mm[0], *self.own_spacing_mm) if len(self.own_spacing_mm) < _SPATIAL else self.own_spacing_mm

    def transposed(self, sizes_mm: tuple[float, ...]) -> tuple[float, ...]:
        """Bring three numbers from the image's axes (i, j, k) into the network's order."""
        return tuple(sizes_mm[::-1][axis] for axis in self.transpose)

    def memory_bytes(self, volume: Volume, classes: int) -> float:
        """Estimate what logits at the network's spacing and at the image's need, in bytes."""
        here = float(np.prod(volume.shape))
        spacing = self.transposed(volume.spacing_mm)
        there = here * float(np.prod(spacing) / np.prod(self.spacing_mm(spacing)))
        return 4 * (2 * classes * there + (2 + len(self.channels)) * here) + 8 * here


@dataclass(frozen=True)
class Labels:
    """What the network's outputs mean, as dataset.json says."""

    values: Mapping[str, tuple[int, ...]]
    """By name: the values of the label map that make it up."""
    outputs: int
    """Channels of the network's answer."""
    regions: tuple[int, ...] = ()
    """For training on regions, which may overlap: the value that each output writes, in the order of writing; empty
    for plain labels, one output a value."""

    @classmethod
    def read(cls, dataset: Mapping[str, Any], folder: str) -> Labels:
        """Take the labels out of dataset.json.

        Raises:
            UnsupportedError: there are none, or regions without their order.
        """
        found: dict[str, tuple[int, ...]] = {}
        try:
            for name, value in dict(dataset.get("labels", {})).items():
                found[str(name)] = tuple(int(n) for n in value) if isinstance(value, list | tuple) else (int(value),)
        except (TypeError, ValueError):
            raise UnsupportedError(
                f"{folder}/dataset.json: labels must be numbers or lists of numbers by name, as nnU-Net v2 writes them"
            ) from None
        found.pop("ignore", None)  # a mark of what was not drawn, no class
        named = {name: values for name, values in found.items() if any(values)}
        if not named:
            raise UnsupportedError(f"{folder}/dataset.json names no labels")
        if all(len(values) == 1 for values in found.values()):
            return cls(named, outputs=len({values[0] for values in found.values()} | {0}))
        order = dataset.get("regions_class_order")
        if not isinstance(order, list | tuple) or len(order) != len(named):
            raise UnsupportedError(
                f"{folder}/dataset.json has regions, and its regions_class_order must hold one number for each of "
                f"{', '.join(named)}; got {order!r}"
            )
        return cls(named, outputs=len(named), regions=tuple(int(n) for n in order))


def channel_names(dataset: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what dataset.json calls the images that are one input, in their order."""
    named = dataset.get("channel_names") or dataset.get("modality") or {"0": "image"}
    return tuple(str(named[key]) for key in sorted(named, key=int))


def configuration_of(plans: Mapping[str, Any], name: str, folder: str) -> Mapping[str, Any]:
    """Return a configuration with what it inherits.

    Raises:
        UnsupportedError: it is not there, or is the second stage of a cascade.
    """
    configurations = plans.get("configurations", {})
    found: dict[str, Any] = {}
    seen: set[str] = set()
    wanted = name
    while wanted in configurations and wanted not in seen:
        seen.add(wanted)
        found = {**configurations[wanted], **found}
        wanted = configurations[wanted].get("inherits_from", "")
    if not found:
        there = ", ".join(configurations) or "none"
        raise UnsupportedError(f"{folder} has no configuration {name!r}; there are: {there}")
    if found.get("previous_stage"):
        raise UnsupportedError(
            f"{folder}: {name} is the second stage of a cascade, which takes the first one's answer as input and is "
            "not supported: bring the folder of 3d_fullres or 3d_lowres"
        )
    return found


def read_json(path: Path) -> dict[str, Any]:
    """Read one of the folder's files.

    Raises:
        UnavailableError: it is missing or damaged.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnavailableError(f"{path.parent.name}/{path.name} is missing or damaged: {error}") from None
    if not isinstance(found, dict):
        raise UnavailableError(f"{path.parent.name}/{path.name} must hold one object")
    return found


def _channel(plans: Mapping[str, Any], chosen: Mapping[str, Any], number: int) -> Channel:
    known = plans.get("foreground_intensity_properties_per_channel") or plans.get(
        "foreground_intensity_properties_by_modality", {}
    )
    scheme = str(chosen["normalization_schemes"][number])
    intensity = {str(key): float(value) for key, value in known.get(str(number), {}).items()}
    if scheme == "CTNormalization":
        intensity = {key: intensity[key] for key in ("mean", "std", "percentile_00_5", "percentile_99_5")}
    return Channel(scheme, bool(chosen["use_mask_for_norm"][number]), intensity)


def _rebuilt(chosen: Mapping[str, Any], folder: str) -> Mapping[str, Any]:
    """Return the network that plans of nnU-Net 2.0 and 2.1 mean by naming its parts."""
    kind = str(chosen["UNet_class_name"])
    if kind not in _OLD_NETWORKS:
        raise UnsupportedError(f"{folder}: the plans name the network {kind!r}; there are: {', '.join(_OLD_NETWORKS)}")
    network_class, blocks = _OLD_NETWORKS[kind]
    dims = len(chosen["patch_size"])
    counts = chosen["n_conv_per_stage_encoder"]
    base, most = int(chosen["UNet_base_num_features"]), int(chosen["unet_max_num_features"])
    return {
        "network_class_name": network_class,
        "arch_kwargs": {
            "n_stages": len(counts),
            "features_per_stage": [min(base * 2**stage, most) for stage in range(len(counts))],
            "conv_op": f"torch.nn.Conv{dims}d",
            "kernel_sizes": chosen["conv_kernel_sizes"],
            "strides": chosen["pool_op_kernel_sizes"],
            blocks: counts,
            "n_conv_per_stage_decoder": chosen["n_conv_per_stage_decoder"],
            "conv_bias": True,
            "norm_op": f"torch.nn.InstanceNorm{dims}d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
