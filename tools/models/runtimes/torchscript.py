"""TorchScript networks: an archive of tensors and TorchScript code, which runs in torch's own interpreter."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, BinaryIO

from tools.errors import UnavailableError
from tools.models.runtimes.array_network import ArrayNetwork, ArrayOptions, FloatArray, file_of
from tools.models.runtimes.base import Loading


def load_script(source: Path | BinaryIO, what: str, device: str) -> Any:
    """Load a TorchScript network for inference.

    Args:
        source: the file, or its content.
        what: how an error names it.
        device: where to put it.

    Raises:
        UnavailableError: the file is damaged or is no TorchScript archive.
    """
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch announces the end of TorchScript on every load
        try:
            network: Any = torch.jit.load(source, map_location=device)  # type: ignore[no-untyped-call]  # no stubs
        except (RuntimeError, ValueError, OSError) as error:
            reason = str(error).splitlines()[0][:200]
            raise UnavailableError(f"{what} is no TorchScript archive or is damaged: {reason}") from None
    return network.eval()


def load(loading: Loading) -> ArrayNetwork:
    """Load a network for pictures or volumes; the card's [options] say what it takes.

    Raises:
        UnavailableError: the file is damaged or is no TorchScript archive.
    """
    path = file_of(loading, (".ts", ".pt", ".pth"))
    network = load_script(path, path.name, loading.device)

    def run(batch: FloatArray) -> FloatArray:
        import torch

        with loading.inference():
            answer = network(torch.from_numpy(batch).to(loading.device))
        found: FloatArray = (answer[0] if isinstance(answer, tuple | list) else answer).float().cpu().numpy()
        return found

    return ArrayNetwork(run, loading, loading.options(ArrayOptions), loading.device)
