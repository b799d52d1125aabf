"""Image encoders, tried with tiny models of random weights that the test makes itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from knowledge.images import ImageEncoder, Picture
from tests.bundles import convolution
from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.models.card import ModelCard
from tools.models.runtimes.base import Loading
from tools.models.runtimes.image_encoder import load_clip, load_monai, load_vision, read_preparation


@pytest.fixture(autouse=True)
def _seed() -> None:
    import torch

    torch.manual_seed(3)


def prepare(folder: Path, size: int = 32) -> None:
    said = {"size": {"shortest_edge": size}, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import CLIPConfig, CLIPModel

    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {
        **small,
        "vocab_size": 20,
        "max_position_embeddings": 8,
        "eos_token_id": 19,
        "bos_token_id": 18,
        "pad_token_id": 0,
    }
    config = CLIPConfig(text_config=text, vision_config={**small, "image_size": 32, "patch_size": 8}, projection_dim=12)
    folder = tmp_path / "tiny-clip"
    CLIPModel(config).save_pretrained(folder)
    words = ["[PAD]", "heart", "large", "lung", "clear", "[UNK]"]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)} | {"</s>": 19}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    prepare(folder)
    return folder


@pytest.fixture
def dino(tmp_path: Path) -> Path:
    from transformers import Dinov2Config, Dinov2Model

    folder = tmp_path / "tiny-dino"
    config = Dinov2Config(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14)
    Dinov2Model(config).save_pretrained(folder)
    prepare(folder, 28)
    return folder


def loading(folder: Path) -> Loading:
    card = ModelCard(
        name="tiny", title="Tiny", verb="find_similar", runtime="image_encoder", version="1", seconds=1,
        licence="own", source="made here",
    )  # fmt: skip
    return Loading(card, {"tiny": folder}, "cpu")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    import torch

    folder = tmp_path / "tiny-bundle"
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    network = convolution(3, 6, 3) | {"spatial_dims": 2}
    (folder / "configs" / "inference.json").write_text(json.dumps({"network_def": network}))
    (folder / "configs" / "metadata.json").write_text("{}")
    weights = {f"conv.{name}": value for name, value in torch.nn.Conv2d(3, 6, 3).state_dict().items()}
    torch.save(weights, folder / "models" / "model.pt")
    prepare(folder)
    return folder


def pictures() -> list[Picture]:
    rows, columns = np.mgrid[0:40, 0:60].astype(np.float32)
    ramp, disc = columns / 60, ((rows - 20) ** 2 + (columns - 30) ** 2 < 150).astype(np.float32)
    return [ramp, disc, 1 - ramp[::-1]]


def check(encoder: ImageEncoder) -> None:
    vectors = encoder.embed_pictures(pictures())

    assert isinstance(encoder, ImageEncoder)
    assert vectors.shape == (3, encoder.dimension)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    one = encoder.embed_pictures([pictures()[1]])[0]
    assert one == pytest.approx(vectors[1], abs=1e-5)  # a batch changes nothing
    similar = encoder.embed_pictures([np.clip(pictures()[1] + 0.02, 0, 1)])[0] @ vectors.T
    assert int(similar.argmax()) == 1


def test_clip_puts_pictures_and_words_into_one_space(clip: Path) -> None:
    encoder = load_clip(loading(clip))

    check(encoder)
    assert encoder.reads_text
    texts = encoder.embed_texts(["heart large", "lung clear lung clear lung clear lung clear lung"])
    assert texts.shape == (2, 12)
    assert np.linalg.norm(texts, axis=1) == pytest.approx(1, abs=1e-5)
    assert encoder.embed_texts(["heart large"])[0] == pytest.approx(texts[0], abs=1e-5)


def test_clip_gives_what_transformers_gives(clip: Path) -> None:
    import torch
    from transformers import CLIPModel

    encoder, model = load_clip(loading(clip)), CLIPModel.from_pretrained(clip).eval()
    picture = np.full((32, 32), 0.75, dtype=np.float32)
    with torch.inference_mode():
        output = model.get_image_features(pixel_values=torch.full((1, 3, 32, 32), (0.75 - 0.5) / 0.25))
    expected = getattr(output, "pooler_output", output)[0].numpy()

    assert encoder.embed_pictures([picture])[0] == pytest.approx(expected / np.linalg.norm(expected), abs=1e-5)


def test_dino_reads_no_text(dino: Path) -> None:
    encoder = load_vision(loading(dino))

    check(encoder)
    assert encoder.dimension == 16
    with pytest.raises(BadInputError, match="'tiny-dino' reads no text; ask with an image"):
        encoder.embed_texts(["heart"])


def test_a_monai_bundle_averages_its_feature_map(bundle: Path) -> None:
    encoder = load_monai(loading(bundle))

    check(encoder)
    assert encoder.dimension == 6


def test_the_hash_follows_the_weights(dino: Path) -> None:
    before = load_vision(loading(dino)).hash
    weights = next(dino.glob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)

    assert load_vision(loading(dino)).hash != before


def test_what_is_missing_is_named(dino: Path, bundle: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (dino / "preprocessor_config.json").unlink()
    with pytest.raises(UnavailableError, match=r"preprocessor_config\.json must say the input's size"):
        load_vision(loading(dino))
    (bundle / "models" / "model.pt").unlink()
    with pytest.raises(UnavailableError, match=r"has no file 'models/model\.pt'"):
        load_monai(loading(bundle))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UnavailableError, match=r"transformers is needed .*pip install 'readingroom\[encoders\]'"):
        load_clip(loading(clip))


@pytest.mark.parametrize("picture", [np.zeros((2, 2, 2), np.float32), np.full((4, 4), np.nan, np.float32)])
def test_a_picture_must_be_finite_and_flat(dino: Path, picture: Picture) -> None:
    with pytest.raises(BadInputError, match="picture must be finite with axes"):
        load_vision(loading(dino)).embed_pictures([picture])


def test_a_bundle_of_an_encoder_runs_no_code(bundle: Path, tmp_path: Path) -> None:
    witness = tmp_path / "it-ran"
    config = {"network_def": f"$__import__('pathlib').Path({str(witness)!r}).touch()"}
    (bundle / "configs" / "inference.json").write_text(json.dumps(config))
    with pytest.raises(UnsupportedError, match=r"inference\.json, line 1: refused, .*__import__"):
        load_monai(loading(bundle))
    assert not witness.exists()


def test_weights_that_lack_a_part_are_refused(dino: Path) -> None:
    from safetensors.torch import load_file, save_file

    (weights,) = dino.glob("*.safetensors")
    state = load_file(weights)
    save_file({name: value for name, value in state.items() if "layer.1." not in name}, weights, {"format": "pt"})
    with pytest.raises(UnavailableError, match=r"the weights do not fit the network \(.*layer\.1\."):
        load_vision(loading(dino))


def test_a_film_keeps_its_proportions(tmp_path: Path) -> None:
    """As RAD-DINO's file says it: the shorter side to 20 pixels, then the middle 20 by 20, by bicubic interpolation."""
    from transformers import BitImageProcessorPil

    said = {
        "size": {"shortest_edge": 20}, "crop_size": {"height": 20, "width": 20}, "do_center_crop": True, "resample": 3,
        "image_mean": [0.5307] * 3, "image_std": [0.2583] * 3,
    }  # fmt: skip
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    rows, columns = np.mgrid[0:40, 0:80].astype(np.float32)
    picture = np.round(255 * (columns / 110 + rows / 160) * 0.99) / 255
    eight_bit = np.repeat(np.uint8(np.round(picture * 255))[..., None], 3, axis=2)
    expected = BitImageProcessorPil(**said)(images=eight_bit, return_tensors="np")["pixel_values"]
    found = read_preparation(tmp_path).batch([picture.astype(np.float32)]).numpy()
    assert found.shape == expected.shape == (1, 3, 20, 20)
    assert np.abs(found - expected).max() < 0.02
