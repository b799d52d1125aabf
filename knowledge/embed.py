"""Sentence embedding: MiniLM by onnxruntime and tokenizers, and a tiny deterministic embedder for tests."""

import hashlib
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from knowledge.assets import Assets
from knowledge.errors import UnavailableError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

logger = logging.getLogger(f"readingroom.{__name__}")

Vectors: TypeAlias = NDArray[np.float32]
"""float32 (n, dimension), each row of length 1 (a row of zeros: the text has no token)."""

_BATCH_TOKENS = 4096  # a batch is filled up to this many padded tokens: short sentences go by the hundred
_MAX_TOKENS = 256  # what the model was trained for
_DEFAULT_THREADS = 4


class Encoder(Protocol):
    """What turns something into unit vectors; `hash` changes whenever the same could get another vector."""

    @property
    def name(self) -> str:
        """Return the model's name."""

    @property
    def hash(self) -> str:
        """Return 16 hex digits of the weights' content."""

    @property
    def dimension(self) -> int:
        """Return the length of a vector."""


@runtime_checkable
class Embedder(Encoder, Protocol):
    """Turns texts into unit vectors."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text, float32 (n, dimension)."""


def load_embedder(assets: Assets, threads: int = _DEFAULT_THREADS) -> Embedder:
    """Return the default embedder from the cache.

    Args:
        assets: the cache of fetched assets.
        threads: upper bound of the threads it may use.

    Raises:
        UnavailableError: its weights were not fetched, or onnxruntime can't load them.
    """
    asset = assets.get("minilm")
    return OnnxEmbedder(
        model=assets.path("minilm", "model.onnx"),
        tokenizer=assets.path("minilm", "tokenizer.json"),
        weights_hash=asset.members["model.onnx"].sha256[:16],
        threads=threads,
    )


class OnnxEmbedder:
    """all-MiniLM-L6-v2 exported to ONNX; on a GPU where onnxruntime has one.

    Args:
        model: the ONNX file; inputs input_ids, attention_mask, token_type_ids.
        tokenizer: tokenizer.json of the same model.
        weights_hash: 16 hex digits of the model file's sha256.
        threads: upper bound of the threads it may use.
    """

    name = "all-MiniLM-L6-v2-int8"
    dimension = 384

    def __init__(self, model: Path, tokenizer: Path, weights_hash: str, threads: int = _DEFAULT_THREADS) -> None:
        self.hash = weights_hash
        self._session = _open_session(model, threads)
        self._tokenizer = _open_tokenizer(tokenizer)

    @property
    def device(self) -> str:
        """Return "gpu" or "cpu"."""
        return "gpu" if "CUDAExecutionProvider" in self._session.get_providers() else "cpu"

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text: mean over its tokens, L2-normalised."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        if not texts:
            return vectors
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        order = sorted(range(len(texts)), key=lambda index: len(encodings[index].ids))
        for batch in _batches(order, encodings):
            vectors[batch] = self._embed_batch([encodings[index] for index in batch])
        return vectors

    def _embed_batch(self, encodings: Sequence["Encoding"]) -> Vectors:
        width = max(len(encoding.ids) for encoding in encodings)
        ids = np.zeros((len(encodings), width), dtype=np.int64)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = encoding.ids
        lengths = np.array([len(encoding.ids) for encoding in encodings])
        mask = (np.arange(width)[None, :] < lengths[:, None]).astype(np.int64)
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = self._session.run(None, inputs)[0]
        weights = mask[:, :, None].astype(np.float32)
        return normalise((hidden * weights).sum(axis=1) / weights.sum(axis=1))


class HashEmbedder:
    """For tests only: hashes words into buckets, so that texts sharing words lie close. Knows no meaning."""

    name = "test-hash"
    hash = "0000000000000001"

    def __init__(self, dimension: int = 64) -> None:
        self.dimension = dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text: the sum of its words' pseudo-random signs."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                digest = hashlib.sha256(word.encode()).digest()
                generator = np.random.default_rng(int.from_bytes(digest[:8], "little"))
                vectors[row] += generator.standard_normal(self.dimension, dtype=np.float32)
        return normalise(vectors)


def normalise(vectors: NDArray[Any]) -> Vectors:
    """Return float32 rows of length 1; rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32)


def _batches(order: Sequence[int], encodings: Sequence["Encoding"]) -> list[list[int]]:
    batches: list[list[int]] = [[]]
    for index in order:
        width = len(encodings[index].ids)
        if batches[-1] and width * (len(batches[-1]) + 1) > _BATCH_TOKENS:
            batches.append([])
        batches[-1].append(index)
    return batches


def _open_session(model: Path, threads: int) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise UnavailableError(
            f"onnxruntime is needed to embed text ({error}); run 'pip install onnxruntime'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    wanted = [
        name
        for name in ("CUDAExecutionProvider", "CPUExecutionProvider")
        if name in onnxruntime.get_available_providers()
    ]
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=wanted)
    except Exception as error:  # onnxruntime's errors share no public base
        raise UnavailableError(
            f"embedding model {model.name} could not be loaded ({error}); "
            "fetch it again: 'readingroom samples get minilm'"
        ) from error


def _open_tokenizer(path: Path) -> "Tokenizer":
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises a bare Exception
        raise UnavailableError(
            f"tokenizer {path.name} could not be read ({error}); fetch it again: 'readingroom samples get minilm'"
        ) from error
    tokenizer.enable_truncation(max_length=_MAX_TOKENS)
    tokenizer.no_padding()
    return tokenizer
