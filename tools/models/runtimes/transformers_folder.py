"""Models in transformers format, from a folder that a person brings: nothing in it is run, nothing is downloaded.

Image processors are the ones that work with Pillow: torchvision is not needed. A weight that the network lacks, or that
has another shape, is an error: transformers would fill it with random numbers.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools.errors import UnavailableError
from tools.models.memory import is_out_of_memory
from tools.models.runtimes.base import Loading

INSTALL = "pip install 'readingroom[encoders]'"
CONFIG = "config.json"


def folder_of(weights: Mapping[str, Path]) -> Path:
    """Return the folder that a card's weights lie in."""
    path = next(iter(weights.values()))
    return path if path.is_dir() else path.parent


def transformers() -> Any:
    """Import transformers.

    Raises:
        UnavailableError: it is not installed; says what to install.
    """
    try:
        import transformers as module
    except ImportError as error:
        raise UnavailableError(f'transformers is needed for this model ({error}); run "{INSTALL}"') from error
    return module


def load_model(loading: Loading, kind: str, ignored: tuple[str, ...] = ()) -> Any:
    """Load a network in evaluation mode on the device.

    Args:
        loading: the card, where its folder lies, and the device.
        kind: class of transformers, such as "AutoModelForImageClassification".
        ignored: beginnings of names of weights that may be missing because they are not used.

    Raises:
        UnavailableError: no transformers, no such model in it, a damaged folder, or weights that do not fit.
    """
    import torch

    folder = folder_of(loading.weights)
    require_native(folder, loading.card.name)
    try:
        with _quiet():
            model, said = getattr(transformers(), kind).from_pretrained(
                str(folder),
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                dtype=torch.float32,  # half precision is the hub's: Loading.inference
            )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, ImportError) as error:
        if is_out_of_memory(error):
            raise
        raise UnavailableError(
            f"model {loading.card.name!r} in {folder} could not be loaded: {_first(error)}"
        ) from error
    missing = sorted(name for name in said["missing_keys"] if not name.startswith(ignored or ("\0",)))
    if missing or said["mismatched_keys"]:
        odd = ", ".join([*missing, *(str(key) for key in said["mismatched_keys"])][:3])
        raise UnavailableError(
            f"model {loading.card.name!r} in {folder}: the weights do not fit the network ({odd}): it is another model "
            "or a part of one; save the whole model again"
        )
    return model.to(loading.device).eval()


def load_processor(loading: Loading, kind: str = "AutoProcessor") -> Any:
    """Load what turns pictures and words into a network's input, in its Pillow variant.

    Raises:
        UnavailableError: a file is missing or damaged, or the processor cannot do without torchvision.
    """
    folder = folder_of(loading.weights)
    try:
        with _quiet():
            return getattr(transformers(), kind).from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=False, backend="pil"
            )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, ImportError) as error:
        is_video = "orchvision" in str(error) or "pil backend" in str(error)
        mend = "; it needs torchvision of the same release as torch" if is_video else ""
        raise UnavailableError(
            f"the processor of model {loading.card.name!r} in {folder} could not be loaded: {_first(error)}{mend}"
        ) from error


def require_native(folder: Path, model: str) -> None:
    """Refuse a model whose code comes with its weights: it would have to be run to load them.

    Raises:
        UnavailableError: no readable config.json, or an architecture that transformers does not have.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        kind = str(config["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnavailableError(
            f"{folder / CONFIG} of model {model!r} must name a model_type ({error!r}): save the model with "
            "save_pretrained of transformers"
        ) from error
    if kind not in transformers().models.auto.configuration_auto.CONFIG_MAPPING:
        own = " and brings its own code, which is not run" if config.get("auto_map") else ""
        raise UnavailableError(
            f"model {model!r} is of type {kind!r}, which this transformers {transformers().__version__} does not have"
            f"{own}: install a release that has it, or run the model in its own process as a remote tool"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' progress bars and load reports off the person's screen; what matters becomes an error."""
    logger = logging.getLogger("transformers")
    before = logger.level
    utils = transformers().utils.logging
    bars = utils.is_progress_bar_enabled()
    logger.setLevel(logging.CRITICAL)
    utils.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(before)
        if bars:
            utils.enable_progress_bar()


def _first(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:300]
