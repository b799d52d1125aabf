"""Images beside the reports: vectors of an encoder, asked by an image or, where the encoder reads text, by words."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from knowledge.embed import Encoder, Vectors
from knowledge.errors import BadInputError
from knowledge.store import IMAGES, Encoding, VectorStore

Picture = NDArray[np.float32]
"""float32 (rows, columns), 0 black to 1 white, as a reader would see it."""


@runtime_checkable
class ImageEncoder(Encoder, Protocol):
    """Turns pictures into unit vectors."""

    @property
    def reads_text(self) -> bool:
        """Return whether `embed_texts` works: texts and pictures then share one space."""

    def embed_pictures(self, pictures: Sequence[Picture]) -> Vectors:
        """Return one unit vector a picture, float32 (n, dimension)."""

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text, in the pictures' space.

        Raises:
            BadInputError: the encoder reads no text.
        """


@dataclass(frozen=True)
class SimilarImage:
    """A stored image. `similarity` is the cosine, -1 to 1; what counts as alike depends on the encoder."""

    image_id: str
    report_id: str
    similarity: float


class ImageIndex:
    """The images of one encoder. Images of another encoder are never compared with them.

    Args:
        location: folder of Chroma, or a server's address.
        encoder: makes the vectors.
    """

    def __init__(self, location: Path | str, encoder: ImageEncoder) -> None:
        self._encoder = encoder
        encoding = Encoding(encoder.name, encoder.hash, encoder.dimension)
        self._vectors = VectorStore(location, f"{IMAGES}_{encoder.hash}", encoding)

    def put(self, images: Sequence[tuple[str, str, Picture]]) -> None:
        """Store (image id, report id, picture), replacing images of the same id."""
        if not images:
            return
        vectors = self._encoder.embed_pictures([picture for _, _, picture in images])
        self._vectors.put([image for image, _, _ in images], vectors, [report for _, report, _ in images])

    def like_picture(self, picture: Picture, k: int = 5) -> list[SimilarImage]:
        """Return the k stored images most like a picture, best first."""
        return self._nearest(self._encoder.embed_pictures([picture]), k)

    def like_text(self, text: str, k: int = 5) -> list[SimilarImage]:
        """Return the k stored images that a text describes best.

        Raises:
            BadInputError: the encoder reads no text.
        """
        if not self._encoder.reads_text:
            raise BadInputError(
                f"image encoder {self._encoder.name!r} reads no text; ask with an image, or use a CLIP-type one"
            )
        return self._nearest(self._encoder.embed_texts([text]), k)

    def _nearest(self, vectors: Vectors, k: int) -> list[SimilarImage]:
        if k < 1:
            raise BadInputError(f"k must be at least 1, got {k}")
        found = self._vectors.nearest(vectors[0], k) if self._vectors.count() else []
        reports = self._vectors.reports_of([name for name, _ in found]) if found else {}
        return [SimilarImage(name, reports[name], round(similarity, 6)) for name, similarity in found]

    def count(self) -> int:
        """Return how many images are stored."""
        return self._vectors.count()

    def close(self) -> None:
        """Release the connection."""
        self._vectors.close()
