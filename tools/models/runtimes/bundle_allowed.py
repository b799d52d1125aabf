"""What a bundle's configuration may name: networks, transforms and inferers of MONAI, and a little of torch and numpy.

Nothing that reads or writes files, opens connections, or reaches another module through an attribute.
"""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any

from tools.errors import UnsupportedError

MAX_RANGE = 1_000_000

ROOTS: Mapping[str, str] = MappingProxyType(
    {"monai": "monai", "torch": "torch", "numpy": "numpy", "np": "numpy", "math": "math", "copy": "copy"}
)
"""Names that an expression may begin with, and the package that they mean."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


MENTIONED = _names(
    "glob json os pathlib Path pandas pd re scripts setattr print logging itertools datetime ignite matplotlib plt "
    "torchvision PIL"
)
"""Names that the zoo's bundles use to find data, write results and train. They may stand in parts that are never
evaluated; an expression that is evaluated may not use them."""

IMPORTS = MENTIONED | _names("copy math monai numpy torch typing functools collections")
"""What an entry under `imports` may name. Nothing is imported for it all the same."""

FILE_STEPS = frozenset(
    {"LoadImaged", "LoadImage", "SaveImaged", "SaveImage", "DeleteItemsd", "CopyItemsd", "SaveClassificationd"}
    | {f"monai.transforms.{name}" for name in ("LoadImaged", "SaveImaged", "LoadImage", "SaveImage")}
)
"""Steps that read or write files, or clear up: an image is handed in and taken out instead."""

METHODS = _names(
    "to cpu cuda float half double long int bool type detach clone numpy item shape size ndim dtype device meta affine "
    "squeeze unsqueeze permute transpose reshape flatten argmax max min sum mean any all items keys values get split "
    "strip lower upper replace startswith endswith index count copy state_dict load_state_dict load_old_state_dict "
    "eval set_timesteps set_target_keys set_box_selector_parameters set_sliding_window_inferer"
)
"""Attributes of values that an expression may use."""

_ARRAYS = _names(
    "float16 float32 float64 int8 int16 int32 int64 uint8 zeros ones full arange linspace stack where round clip abs "
    "exp log sqrt max min sum mean any all argmax"
)
"""What torch and numpy both call so."""
_TORCH = _ARRAYS | _names(
    "device float half double long bool bfloat16 tensor as_tensor from_numpy cat nan_to_num softmax sigmoid clamp "
    "squeeze unsqueeze logical_and logical_or logical_not isnan isfinite cuda.is_available cuda.device_count "
    "nn.functional.softmax nn.functional.sigmoid nn.functional.relu nn.functional.interpolate nn.Identity "
    "nn.Sequential nn.ReLU nn.Softmax nn.Sigmoid nn.Conv3d nn.Conv2d"
)
_NUMPY = _ARRAYS | _names("uint16 uint32 bool_ array asarray concatenate unique prod ceil floor inf")
_MATH = _names("ceil floor sqrt log log2 pi inf isnan prod")
_MONAI_VALUES: Mapping[str, str] = MappingProxyType(
    {f"monai.utils.CommonKeys.{name}": name.lower() for name in ("IMAGE", "LABEL", "PRED", "LOSS")}
)
_MONAI_FUNCTIONS = frozenset({"monai.networks.utils.copy_model_state"})
_MONAI_PACKAGES = (
    "monai.transforms", "monai.networks.nets", "monai.networks.blocks", "monai.networks.layers",
    "monai.networks.schedulers", "monai.inferers", "monai.apps.detection", "monai.apps.vista3d",
    "monai.apps.generation",
)  # fmt: skip
_MONAI_CLOSED = ("monai.transforms.io", "monai.transforms.utils_create_transform_ims", "monai.apps.detection.metrics")
_MONAI_CLOSED_NAMES = (
    "TorchVision",
    "TorchIO",
    "LoadImage",
    "SaveImage",
    "WriteFileMapping",
    "Transchex",
    "from_pretrained",
)
_SHORT_NAMES = (
    "monai.transforms", "monai.networks.nets", "monai.inferers",
    "monai.apps.detection.networks.retinanet_network", "monai.apps.detection.networks.retinanet_detector",
    "monai.apps.detection.utils.anchor_utils", "monai.apps.vista3d.transforms",
)  # fmt: skip


_COUNTERPARTS: Mapping[str, str] = MappingProxyType(
    {
        "monai.apps.detection.networks.retinanet_network.resnet_fpn_feature_extractor": (
            "tools.models.runtimes.bundle_fpn:resnet_fpn_feature_extractor"
        ),
    }
)
"""Functions of MONAI that need a package which is not here, and ours in their place."""


@dataclass(frozen=True)
class Dotted:
    """A name with dots that is not looked up yet."""

    path: str


def _range(*bounds: int) -> range:
    made = range(*bounds)
    if len(made) > MAX_RANGE:
        raise UnsupportedError(f"a range of {len(made)} is too long")
    return made


_PLAIN = (
    "list tuple set dict len sorted sum min max int float bool str abs round zip enumerate all any reversed isinstance"
)
BUILTINS: Mapping[str, Any] = MappingProxyType(
    {name: getattr(builtins, name) for name in _PLAIN.split()} | {"range": _range}
)
"""Python's own functions that an expression may call."""


def resolve_dotted(path: str) -> Any:
    """Return the object of a dotted name.

    Raises:
        UnsupportedError: it is not on the allow-list.
    """
    root, _, rest = path.partition(".")
    for package, allowed in (("torch", _TORCH), ("numpy", _NUMPY), ("math", _MATH), ("copy", frozenset({"deepcopy"}))):
        if root == package and rest in allowed:
            value: Any = import_module(package)
            for name in rest.split("."):
                value = getattr(value, name)
            return value
    if root == "monai":
        return _of_monai(path)
    raise UnsupportedError("it is not on the allow-list")


def resolve_target(name: str) -> Any:
    """Return the class or function that a `_target_` names, by full path or, as MONAI allows, by its last name.

    Raises:
        UnsupportedError: it is not on the allow-list.
    """
    if "." in name:
        return resolve_dotted(name)
    for package in _SHORT_NAMES:
        if hasattr(import_module(package), name):
            return _of_monai(f"{package}.{name}")
    raise UnsupportedError("it is not on the allow-list")


def _of_monai(path: str) -> Any:
    if path in _MONAI_VALUES:
        return _MONAI_VALUES[path]
    if path in _COUNTERPARTS:
        ours, _, function = _COUNTERPARTS[path].partition(":")
        return getattr(import_module(ours), function)
    module_name, _, name = path.rpartition(".")
    closed = any(part in name for part in _MONAI_CLOSED_NAMES) or name.startswith("_")
    if path not in _MONAI_FUNCTIONS and (closed or not _open(module_name)):
        raise UnsupportedError("it is not on the allow-list")
    try:
        found = getattr(import_module(module_name), name)
    except (ImportError, AttributeError):
        raise UnsupportedError("this version of MONAI does not have it") from None
    if not (inspect.isclass(found) or inspect.isfunction(found)):
        raise UnsupportedError("it is not on the allow-list")
    if path not in _MONAI_FUNCTIONS and not _open(found.__module__):
        raise UnsupportedError("it is not on the allow-list")
    return found


def _open(module: str) -> bool:
    def within(packages: tuple[str, ...]) -> bool:
        return any(module == package or module.startswith(f"{package}.") for package in packages)

    return within(_MONAI_PACKAGES) and not within(_MONAI_CLOSED)


def forbid_downloads(named: Mapping[str, Any], where: str) -> None:
    """Refuse arguments by which MONAI's networks fetch weights from elsewhere.

    Raises:
        UnsupportedError: one is set.
    """
    for key, value in named.items():
        if key.startswith("pretrained") and value:
            raise UnsupportedError(f"{where!r} sets {key}: weights come from the bundle's own folder")


_DROPPED: Mapping[str, frozenset[str]] = MappingProxyType({"SwinUNETR": frozenset({"img_size"})})
"""Arguments that MONAI took away since a bundle was written, and that changed nothing in the network."""


def as_taken_here(make: Any, named: dict[str, Any]) -> dict[str, Any]:
    """Return arguments as the present version of a network takes them on this machine.

    Flash attention exists on a GPU alone; plain attention has the same weights and gives the same answer.
    """
    import torch

    if named.get("use_flash_attention") and not torch.cuda.is_available():
        named = {**named, "use_flash_attention": False}
    gone = _DROPPED.get(getattr(make, "__name__", ""), frozenset()) - set(inspect.signature(make).parameters)
    return {key: value for key, value in named.items() if key not in gone}
