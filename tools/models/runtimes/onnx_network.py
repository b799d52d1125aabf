"""ONNX networks, run with ONNX Runtime."""

from __future__ import annotations

from typing import Any

from tools.errors import UnavailableError
from tools.models.runtimes.array_network import ArrayNetwork, ArrayOptions, FloatArray, file_of
from tools.models.runtimes.base import Loading


def load(loading: Loading) -> ArrayNetwork:
    """Load a network with one input and read its first output.

    Raises:
        UnavailableError: the file is damaged, is no ONNX model, or takes several inputs.
    """
    import onnxruntime

    path = file_of(loading, (".onnx",))
    wanted = ["CUDAExecutionProvider"] if loading.device.startswith("cuda") else []
    there = onnxruntime.get_available_providers()
    providers = [*(name for name in wanted if name in there), "CPUExecutionProvider"]
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3
    try:
        session: Any = onnxruntime.InferenceSession(str(path), sess_options=quiet, providers=providers)
    except Exception as error:
        if not type(error).__module__.startswith("onnxruntime"):
            raise
        reason = str(error).splitlines()[0][:200]
        raise UnavailableError(f"{path.name} is no ONNX model or is damaged: {reason}") from None
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise UnavailableError(f"{path.name} takes {len(inputs)} inputs; networks with one are supported")

    def run(batch: FloatArray) -> FloatArray:
        try:
            answer: FloatArray = session.run(None, {inputs[0].name: batch})[0]
        except Exception as error:
            if type(error).__module__.startswith("onnxruntime") and "memory" not in str(error).lower():
                raise ValueError(str(error)) from error
            raise
        return answer

    device = loading.device if "CUDAExecutionProvider" in session.get_providers() else "cpu"
    return ArrayNetwork(run, loading, loading.options(ArrayOptions), device)
