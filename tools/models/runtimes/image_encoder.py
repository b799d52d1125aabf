"""Image encoders for find_similar: CLIP-type and vision-only models in transformers format, and MONAI bundles.

The weights are a folder that a person brings. Pictures are resized and normalised as its preprocessor_config.json says,
by our own few lines on floats: transformers' image processors take 8-bit pictures.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from knowledge.embed import Vectors, normalise
from knowledge.images import Picture
from tools.errors import BadInputError, UnavailableError
from tools.models.runtimes.base import Loading
from tools.models.runtimes.transformers_folder import folder_of, load_model

_BATCH = 16
BICUBIC = 3  # Pillow's number for it, which the files carry
_WEIGHT_FILES = (".safetensors", ".bin", ".pt", ".pth", ".ts")


@dataclass(frozen=True)
class Preparation:
    """How a picture becomes the model's input: (height, width) in pixels, then (value - mean) / deviation a channel."""

    size: tuple[int, int]
    """Of the input, (height, width) in pixels."""
    shorter_side: int | None
    """What the picture's shorter side is brought to before its middle is cut; None: both sides become `size`."""
    mode: Literal["bilinear", "bicubic"]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def batch(self, pictures: Sequence[Picture]) -> Any:
        """Return a float32 tensor (n, channels, height, width)."""
        import torch

        resized = torch.cat([self._resized(_checked(picture)) for picture in pictures])
        channels = resized.expand(-1, len(self.mean), -1, -1)
        mean = torch.tensor(self.mean)[None, :, None, None]
        return (channels - mean) / torch.tensor(self.deviation)[None, :, None, None]

    def _resized(self, picture: Picture) -> Any:
        import torch

        tensor = torch.from_numpy(np.ascontiguousarray(picture)).float()[None, None]
        height, width = self.size
        if self.shorter_side is not None:
            height, width = (int(self.shorter_side * side / min(picture.shape)) for side in picture.shape)
        resized = torch.nn.functional.interpolate(
            tensor, (height, width), mode=self.mode, align_corners=False, antialias=True
        )
        return self._middle(resized.clamp(tensor.min(), tensor.max()))  # bicubic overshoots at edges

    def _middle(self, resized: Any) -> Any:
        """Cut the middle out, as transformers does; what is too small is padded with black."""
        import torch

        (height, width), (tall, wide) = self.size, resized.shape[2:]
        pads = (0, max(width - wide, 0), 0, max(height - tall, 0))
        padded = torch.nn.functional.pad(resized, pads) if any(pads) else resized
        upper, left = (padded.shape[2] - height) // 2, (padded.shape[3] - width) // 2
        return padded[..., upper : upper + height, left : left + width]


class TorchImageEncoder:
    """A torch model as an image encoder.

    Args:
        name: of the model.
        folder: of its weights, for the hash.
        preparation: of pictures.
        encode: tensor (n, channels, height, width) → tensor (n, dimension).
        encode_texts: texts → tensor (n, dimension) in the same space; None: the model reads no text.
        device: torch device.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        preparation: Preparation,
        encode: Callable[[Any], Any],
        encode_texts: Callable[[Sequence[str]], Any] | None,
        device: str,
    ) -> None:
        self.name = name
        self.hash = folder_hash(folder)
        self._preparation = preparation
        self._encode = encode
        self._encode_texts = encode_texts
        self._device = device
        self.dimension = self.embed_pictures([np.zeros((8, 8), dtype=np.float32)]).shape[1]

    @property
    def reads_text(self) -> bool:
        """Return whether `embed_texts` works."""
        return self._encode_texts is not None

    def embed_pictures(self, pictures: Sequence[Picture]) -> Vectors:
        """Return one unit vector a picture, float32 (n, dimension)."""
        import torch

        parts = []
        with torch.inference_mode():
            for start in range(0, len(pictures), _BATCH):
                inputs = self._preparation.batch(pictures[start : start + _BATCH]).to(self._device)
                parts.append(self._encode(inputs).float().cpu().numpy())
        return normalise(np.concatenate(parts))

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text, in the pictures' space."""
        import torch

        if self._encode_texts is None:
            raise BadInputError(f"image encoder {self.name!r} reads no text; ask with an image")
        with torch.inference_mode():
            return normalise(self._encode_texts(texts).float().cpu().numpy())


def load_clip(loading: Loading) -> TorchImageEncoder:
    """Load a CLIP-type model (CLIP and its like, saved by transformers) with its text side."""
    folder, device = folder_of(loading.weights), loading.device
    model = load_model(loading, "CLIPModel")
    texts = _clip_texts(model, folder, device)
    return TorchImageEncoder(
        folder.name,
        folder,
        read_preparation(folder),
        lambda inputs: _features(model.get_image_features(pixel_values=inputs)),
        texts,
        device,
    )


def load_vision(loading: Loading) -> TorchImageEncoder:
    """Load a vision-only model such as RAD-DINO (Dinov2 in transformers format); the vector is its class token."""
    folder, device = folder_of(loading.weights), loading.device
    model = load_model(loading, "AutoModel")
    return TorchImageEncoder(
        folder.name,
        folder,
        read_preparation(folder),
        lambda inputs: _class_token(model(pixel_values=inputs)),
        None,
        device,
    )


def load_monai(loading: Loading) -> TorchImageEncoder:
    """Load the network of a MONAI bundle under the allow-list of bundles; a feature map is averaged."""
    from tools.models.runtimes.monai_bundle import Bundle

    bundle = Bundle(loading)
    network, folder = bundle.network, bundle.files.path
    return TorchImageEncoder(
        folder.name, folder, read_preparation(folder), lambda inputs: _pooled(network(inputs)), None, loading.device
    )


def read_preparation(folder: Path) -> Preparation:
    """Return how a model wants its pictures, from preprocessor_config.json.

    Raises:
        UnavailableError: the file is missing or says no size.
    """
    path = folder / "preprocessor_config.json"
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        cuts = bool(said.get("do_center_crop", True) and said.get("crop_size"))
        pixels = _pixels(said["crop_size"] if cuts else said["size"])
        size = said.get("size", pixels[0])
        shorter = size.get("shortest_edge") if isinstance(size, dict) else size if cuts else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnavailableError(f"{path} must say the input's size, such as {{'size': 224}} ({error!r})") from error
    mean = tuple(said.get("image_mean") or (0.5, 0.5, 0.5))
    deviation = tuple(said.get("image_std") or (0.5,) * len(mean))
    return Preparation(pixels, shorter, "bicubic" if said.get("resample") == BICUBIC else "bilinear", mean, deviation)


def folder_hash(folder: Path) -> str:
    """Return 16 hex digits of all weight files and configurations in a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in _WEIGHT_FILES or path.suffix == ".json":
            digest.update(path.name.encode())
            with path.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def _pixels(size: Any) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    edge = size.get("shortest_edge")
    return (int(edge), int(edge)) if edge else (int(size["height"]), int(size["width"]))


def _checked(picture: Picture) -> Picture:
    if picture.ndim != 2 or 0 in picture.shape or not np.isfinite(picture).all():
        raise BadInputError(f"picture must be finite with axes (rows, columns), got shape {picture.shape}")
    return picture


def _clip_texts(model: Any, folder: Path, device: str) -> Callable[[Sequence[str]], Any] | None:
    path = folder / "tokenizer.json"
    if not path.is_file():
        return None
    import torch
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    longest = int(model.config.text_config.max_position_embeddings)
    tokenizer.enable_truncation(longest)
    padding = int(model.config.text_config.pad_token_id or 0)

    def encode(texts: Sequence[str]) -> Any:
        found = tokenizer.encode_batch(list(texts))
        width = max(len(row.ids) for row in found)
        ids = torch.full((len(found), width), padding)
        mask = torch.zeros((len(found), width), dtype=torch.long)
        for place, row in enumerate(found):
            ids[place, : len(row.ids)] = torch.tensor(row.ids)
            mask[place, : len(row.ids)] = 1
        return _features(model.get_text_features(input_ids=ids.to(device), attention_mask=mask.to(device)))

    return encode


def _features(output: Any) -> Any:
    """Return the projected features; transformers 5 wraps them, 4 does not."""
    return getattr(output, "pooler_output", output)


def _class_token(output: Any) -> Any:
    pooled = getattr(output, "pooler_output", None)
    return pooled if pooled is not None else output.last_hidden_state[:, 0]


def _pooled(output: Any) -> Any:
    features = output[0] if isinstance(output, (tuple, list)) else output
    return features.flatten(2).mean(dim=2) if features.ndim > 2 else features
