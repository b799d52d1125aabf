"""CLIP-type models in the format of open_clip: an image transformer of timm beside a BERT, as BiomedCLIP's files are.

Both networks are built of torch's own layers, and their sizes are read from the weights: neither open_clip nor timm is
needed, which want torchvision, and nothing is downloaded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tools.errors import UnavailableError
from tools.models.memory import is_out_of_memory
from tools.models.runtimes.base import Loading
from tools.models.runtimes.clip import ZeroShot
from tools.models.runtimes.transformers_folder import folder_of

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    State = dict[str, Tensor]

CONFIG, TOKENIZER = "open_clip_config.json", "tokenizer.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
HEAD_WIDTH = 64  # of every head in BERT base and large, and in timm's vit_tiny to vit_large
VIT_EPSILON, BERT_EPSILON = 1e-6, 1e-12
OPENAI_MEAN, OPENAI_DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""What open_clip normalises with where the file does not say: the values of OpenAI's CLIP."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Vision(_Part):
    timm_model_name: str = Field(pattern=r"^vit_")
    timm_pool: str = Field(default="", pattern="^(|token)$")
    timm_proj: str = Field(pattern="^linear$")
    image_size: int = 224


class _Text(_Part):
    hf_model_name: str
    hf_proj_type: str = Field(default="mlp", pattern="^mlp$")
    hf_pooler_type: str = Field(pattern="^cls_last_hidden_state_pooler$")
    context_length: int = Field(default=77, ge=2)


class _Model(_Part):
    vision_cfg: _Vision
    text_cfg: _Text


class _Pictures(_Part):
    mean: tuple[float, float, float] = OPENAI_MEAN
    std: tuple[float, float, float] = OPENAI_DEVIATION


class OpenClipConfig(_Part):
    """What is read of open_clip_config.json: other kinds of towers, poolers and heads are refused."""

    model_cfg: _Model
    preprocess_cfg: _Pictures = _Pictures()


@dataclass(frozen=True)
class OpenClipModel:
    """Both towers; answers as a CLIP model of transformers does."""

    image_tower: Callable[[Tensor], Tensor]
    text_tower: Callable[[Tensor, Tensor], Tensor]
    logit_scale: Tensor
    config: Any

    def get_image_features(self, pixel_values: Tensor) -> Tensor:
        """Return one vector a picture: (n, dimension)."""
        return self.image_tower(pixel_values)

    def get_text_features(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return one vector a text: (n, dimension)."""
        return self.text_tower(input_ids, attention_mask)


class PictureAndWords:
    """Turns pictures and words into the model's input, as open_clip does: shorter side, central square, normalised.

    Args:
        config: the folder's.
        tokenizer: of the package tokenizers; cuts at the model's length.
    """

    def __init__(self, config: OpenClipConfig, tokenizer: Any) -> None:
        self._pictures, self._side = config.preprocess_cfg, config.model_cfg.vision_cfg.image_size
        self._tokenizer = tokenizer

    def __call__(
        self, *, images: Image | None = None, text: Sequence[str] = (), **_settings: object
    ) -> dict[str, Tensor]:
        """Return pixel_values of a picture, or input_ids and attention_mask of texts."""
        return self._words(text) if images is None else {"pixel_values": self._square(images)}

    def _square(self, picture: Image) -> Tensor:
        import torch
        from PIL.Image import Resampling

        shorter = min(picture.size)
        width, height = (int(self._side * length / shorter) for length in picture.size)
        left, upper = round((width - self._side) / 2), round((height - self._side) / 2)
        resized = picture.convert("RGB").resize((width, height), Resampling.BICUBIC)
        cut = np.asarray(resized.crop((left, upper, left + self._side, upper + self._side)), np.float32) / 255
        normal = (cut - np.array(self._pictures.mean, np.float32)) / np.array(self._pictures.std, np.float32)
        return torch.from_numpy(np.ascontiguousarray(normal.transpose(2, 0, 1)))[None]

    def _words(self, texts: Sequence[str]) -> dict[str, Tensor]:
        import torch

        found = self._tokenizer.encode_batch(list(texts))
        ids = torch.tensor([row.ids for row in found])
        return {"input_ids": ids, "attention_mask": torch.tensor([row.attention_mask for row in found])}


def load(loading: Loading) -> ZeroShot:
    """Load a zero-shot classifier from a folder with open_clip_config.json, weights and tokenizer.json.

    Raises:
        UnavailableError: a file is missing or damaged, the towers are of another kind, or the weights do not fit.
    """
    folder = folder_of(loading.weights)
    config = _config(folder, loading.card.name)
    tokenizer = _tokenizer(folder, config.model_cfg.text_cfg.context_length, loading.card.name)
    state = _state(folder, loading.card.name)
    try:
        model = _model(state, config, loading.device)
    except (KeyError, RuntimeError, StopIteration) as error:
        if is_out_of_memory(error):
            raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UnavailableError(
            f"model {loading.card.name!r} in {folder}: the weights do not fit the network that {CONFIG} describes "
            f"({reason}): bring the folder whole, as its publisher ships it"
        ) from error
    return ZeroShot(loading, model, PictureAndWords(config, tokenizer))


def _config(folder: Path, model: str) -> OpenClipConfig:
    try:
        return OpenClipConfig.model_validate(json.loads((folder / CONFIG).read_text(encoding="utf-8")))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise UnavailableError(
            f"{CONFIG} of model {model!r}: {key} {problem['msg']}, got {problem['input']!r:.80}: this runtime reads an "
            "image transformer of timm beside a BERT; run other kinds as a remote tool"
        ) from None
    except (OSError, ValueError) as error:
        raise UnavailableError(f"{folder / CONFIG} of model {model!r} could not be read: {error}") from error


def _tokenizer(folder: Path, length: int, model: str) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    except Exception as error:  # tokenizers raises a bare Exception
        raise UnavailableError(f"{folder / TOKENIZER} of model {model!r} could not be read: {error}") from error
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id("[PAD]") or 0)
    return tokenizer


def _state(folder: Path, model: str) -> State:
    import torch
    from safetensors.torch import load_file

    for name in WEIGHTS:
        path = folder / name
        if path.is_file():
            if path.suffix == ".safetensors":
                return load_file(path)
            found: State = torch.load(path, map_location="cpu", weights_only=True)
            return found
    raise UnavailableError(f"model {model!r}: {folder} holds none of {', '.join(WEIGHTS)}")


def _model(state: State, config: OpenClipConfig, device: str) -> OpenClipModel:
    from types import SimpleNamespace

    return OpenClipModel(
        _image_tower(_below(state, "visual."), config.model_cfg.vision_cfg.image_size, device),
        _text_tower(_below(state, "text."), device),
        state["logit_scale"].to(device),
        SimpleNamespace(model_type="open_clip"),
    )


def _below(state: Mapping[str, Tensor], prefix: str) -> State:
    return {name.removeprefix(prefix): value.float() for name, value in state.items() if name.startswith(prefix)}


def _image_tower(state: State, side: int, device: str) -> Any:
    """Return timm's vision transformer: patches and a class token, normalised layers, one projection."""
    import torch
    from torch import nn

    patch_weight = state["trunk.patch_embed.proj.weight"]
    width, _, patch, _ = patch_weight.shape

    class ImageTower(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, width, patch, stride=patch)
            self.class_token = nn.Parameter(torch.zeros(1, 1, width))
            self.positions = nn.Parameter(torch.zeros(1, (side // patch) ** 2 + 1, width))
            inner = state["trunk.blocks.0.mlp.fc1.weight"].shape[0]
            self.layers = _layers(_count(state, r"trunk\.blocks\.(\d+)\."), width, inner, VIT_EPSILON, norm_first=True)
            self.norm = nn.LayerNorm(width, VIT_EPSILON)
            self.head = nn.Linear(width, state["head.proj.weight"].shape[0], bias=False)

        def forward(self, pixels: Tensor) -> Tensor:
            tokens = self.patches(pixels).flatten(2).transpose(1, 2)
            tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], 1) + self.positions
            for layer in self.layers:
                tokens = layer(tokens)
            found: Tensor = self.head(self.norm(tokens)[:, 0])
            return found

    names = {
        "trunk.patch_embed.proj": "patches", "trunk.cls_token": "class_token", "trunk.pos_embed": "positions",
        "trunk.norm": "norm", "head.proj": "head",
        r"trunk.blocks.(\d+).attn.qkv.": r"layers.\1.self_attn.in_proj_",
        r"trunk.blocks.(\d+).attn.proj": r"layers.\1.self_attn.out_proj",
        r"trunk.blocks.(\d+).mlp.fc(\d)": r"layers.\1.linear\2",
        r"trunk.blocks.(\d+).norm(\d)": r"layers.\1.norm\2",
    }  # fmt: skip
    return _filled(ImageTower(), _renamed(state, names), device)


def _text_tower(state: State, device: str) -> Any:
    """Return a BERT whose first token's vector goes through two projections."""
    import torch
    from torch import nn

    words = state["transformer.embeddings.word_embeddings.weight"]
    width = words.shape[1]

    class TextTower(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(*words.shape)
            self.positions = nn.Embedding(*state["transformer.embeddings.position_embeddings.weight"].shape)
            self.kinds = nn.Embedding(*state["transformer.embeddings.token_type_embeddings.weight"].shape)
            self.norm = nn.LayerNorm(width, BERT_EPSILON)
            count = _count(state, r"transformer\.encoder\.layer\.(\d+)\.")
            inner = state["transformer.encoder.layer.0.intermediate.dense.weight"].shape[0]
            self.layers = _layers(count, width, inner, BERT_EPSILON, norm_first=False)
            first, second = (state[f"proj.{n}.weight"] for n in (0, 2))
            self.head = nn.Sequential(
                nn.Linear(width, first.shape[0], bias=False),
                nn.GELU(),
                nn.Linear(first.shape[0], second.shape[0], bias=False),
            )

        def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
            places = torch.arange(ids.shape[1], device=ids.device)
            tokens = self.norm(self.words(ids) + self.positions(places) + self.kinds.weight[0])
            for layer in self.layers:
                tokens = layer(tokens, src_key_padding_mask=mask == 0)
            found: Tensor = self.head(tokens[:, 0])
            return found

    names = {
        "transformer.embeddings.word_embeddings": "words", "transformer.embeddings.position_embeddings": "positions",
        "transformer.embeddings.token_type_embeddings": "kinds", "transformer.embeddings.LayerNorm": "norm",
        r"transformer.encoder.layer.(\d+).attention.output.dense": r"layers.\1.self_attn.out_proj",
        r"transformer.encoder.layer.(\d+).attention.output.LayerNorm": r"layers.\1.norm1",
        r"transformer.encoder.layer.(\d+).attention.self.qkv.": r"layers.\1.self_attn.in_proj_",
        r"transformer.encoder.layer.(\d+).intermediate.dense": r"layers.\1.linear1",
        r"transformer.encoder.layer.(\d+).output.dense": r"layers.\1.linear2",
        r"transformer.encoder.layer.(\d+).output.LayerNorm": r"layers.\1.norm2", "proj": "head",
    }  # fmt: skip
    return _filled(TextTower(), _renamed(_joined(state), names), device)


def _layers(count: int, width: int, inner: int, epsilon: float, *, norm_first: bool) -> Any:
    from torch import nn

    heads = width // HEAD_WIDTH
    options: dict[str, Any] = {"dropout": 0.0, "activation": "gelu", "layer_norm_eps": epsilon, "batch_first": True}
    return nn.ModuleList(
        nn.TransformerEncoderLayer(width, heads, inner, norm_first=norm_first, **options) for _ in range(count)
    )


def _count(state: State, pattern: str) -> int:
    return 1 + max(int(found[1]) for name in state if (found := re.match(pattern, name)))


def _joined(state: State) -> State:
    """Return a BERT's weights with query, key and value of each layer in one matrix, as torch keeps them."""
    import torch

    joined = {name: value for name, value in state.items() if ".attention.self." not in name}
    for name in state:
        if ".attention.self.query." in name:
            parts = [state[name.replace(".query.", f".{part}.")] for part in ("query", "key", "value")]
            joined[name.replace(".query.", ".qkv.")] = torch.cat(parts)
    joined.pop("transformer.embeddings.position_ids", None)  # older files keep this list of numbers
    return joined


def _renamed(state: State, names: Mapping[str, str]) -> State:
    """Return weights under our names; a name that no pattern begins stays, and will be refused as unknown."""
    patterns = [(re.compile(old.replace(".", r"\.") if "(" not in old else old), new) for old, new in names.items()]
    renamed = {}
    for name, value in state.items():
        new = next((pattern.sub(to, name, count=1) for pattern, to in patterns if pattern.match(name)), name)
        renamed[new] = value
    return renamed


def _filled(network: Any, state: State, device: str) -> Any:
    network.load_state_dict(state)
    return network.to(device).eval()
