"""Device memory as it is measured: what a model takes, what is left, and whether an error means that it ran out.

On a GPU the figures come from the driver and from torch's own statistics. On the CPU they are the bytes of a model's
tensors, or, for models without tensors of torch, how much the process grew while it was loaded.
"""

from __future__ import annotations

import ctypes
import gc
import re
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

CPU_SHARE = 0.8  # of the machine's memory, for models: the images and everything else need some too
CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_MAX_DEPTH = 6
"""How deep a model may be nested in its runtime's attributes; our runtimes hold it at depth one to three."""
_OUT_OF_MEMORY = re.compile(
    r"out of memory|can't allocate memory|failed to allocate memory|_STATUS_ALLOC_FAILED|not enough memory|bad_alloc",
    re.IGNORECASE,
)


class MemoryMeter(Protocol):
    """Measures one device. Tests bring their own."""

    @property
    def source(self) -> str:
        """Where the figures come from, in words."""
        ...

    def now_bytes(self) -> int:
        """Return what is in use now, as far as the device can tell; read before and after a load."""
        ...

    def used_bytes(self, models: Sequence[int]) -> int:
        """Return what counts against the budget.

        Args:
            models: bytes of each loaded model as measured, with what its runs under way may still ask for.
        """
        ...

    def budget_bytes(self) -> int:
        """Return what models may take when no budget is set."""
        ...

    def size_bytes(self, runtime: object, grown: int) -> int:
        """Return what a loaded model takes.

        Args:
            runtime: the model.
            grown: how much `now_bytes` grew while it was loaded.
        """
        ...

    def release(self) -> None:
        """Give what nobody holds back to the device."""
        ...


class ProcessMemory:
    """The CPU: bytes of tensors, or growth of this process's resident memory."""

    source = "bytes of the models' tensors, or growth of the process where there are none"

    def now_bytes(self) -> int:
        """Return the resident memory of this process."""
        import psutil

        return int(psutil.Process().memory_info().rss)

    def used_bytes(self, models: Sequence[int]) -> int:
        """Return the sum of the models: the process also holds images, which no eviction would free."""
        return sum(models)

    def budget_bytes(self) -> int:
        """Return a share of the machine's memory, or of what its container may take."""
        return int(CPU_SHARE * machine_memory_bytes())

    def size_bytes(self, runtime: object, grown: int) -> int:
        """Return the bytes of the model's tensors; without any, how much the process grew."""
        return tensor_bytes(runtime) or max(0, grown)

    def release(self) -> None:
        """Collect what nobody holds, and hand freed heap back to the system where the C library can."""
        gc.collect()
        if sys.platform == "linux":
            trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl does not
            if trim is not None:
                trim(0)


class CudaMemory:
    """One CUDA device.

    Args:
        device: "cuda" or "cuda:1".
    """

    source = "CUDA driver and torch's statistics"

    def __init__(self, device: str) -> None:
        self._device = device

    def now_bytes(self) -> int:
        """Return what the driver says is taken on the device, by every process."""
        import torch

        free, total = torch.cuda.mem_get_info(self._device)
        return total - free

    def used_bytes(self, models: Sequence[int]) -> int:
        """Return what torch has allocated, or the sum of the models where that is more: not all use torch's memory."""
        import torch

        return max(torch.cuda.memory_allocated(self._device), sum(models))

    def budget_bytes(self) -> int:
        """Return what is free on the device, and what torch holds of it already."""
        import torch

        free, _total = torch.cuda.mem_get_info(self._device)
        return int(free) + torch.cuda.memory_reserved(self._device)

    def size_bytes(self, runtime: object, grown: int) -> int:
        """Return the bytes of the model's tensors, or what was taken on the device meanwhile, where that is more."""
        return max(tensor_bytes(runtime, on=self._device), grown)

    def release(self) -> None:
        """Collect what nobody holds, and give torch's cached blocks back to the driver."""
        import torch

        gc.collect()
        torch.cuda.empty_cache()


@cache
def computes_in_half(device: str) -> bool:
    """Return whether half precision is worth while on a device: on a GPU, and on a CPU with instructions for bfloat16.

    On a CPU without them it is emulated, and slower than full precision.
    """
    if device != "cpu":
        return device.startswith("cuda")
    try:
        import torch

        able = torch.cpu.get_capabilities()
    except (ImportError, AttributeError):  # no torch, or one before 2.12, which does not tell
        return False
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def meter_for(device: str) -> MemoryMeter:
    """Return the meter of a device; other accelerators than CUDA are metered as the process they share memory with."""
    return CudaMemory(device) if device.startswith("cuda") else ProcessMemory()


def machine_memory_bytes() -> int:
    """Return the memory of this machine, or the limit of its container where that is less."""
    import psutil

    read = [path.read_text().strip() for path in CGROUP_LIMITS if path.is_file()]
    return min([int(psutil.virtual_memory().total), *(int(text) for text in read if text.isdigit())])


def tensor_bytes(runtime: object, on: str = "") -> int:
    """Return the bytes of all torch tensors that an object holds in its attributes, each counted once.

    Args:
        runtime: a model, or what holds one.
        on: only tensors on this device; empty: on any.
    """
    if "torch" not in sys.modules:
        return 0
    import torch

    wanted = torch.device(on).type if on else ""
    storages: dict[int, int] = {}
    for tensor in _tensors(runtime, set(), 0):
        if not wanted or tensor.device.type == wanted:
            storage = tensor.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def _tensors(held: object, seen: set[int], depth: int) -> Iterable[Any]:
    import torch

    if id(held) in seen or depth > _MAX_DEPTH:
        return
    seen.add(id(held))
    if isinstance(held, torch.Tensor):
        yield held
        return
    if isinstance(held, torch.nn.Module | torch.jit.ScriptModule):
        yield from held.parameters()
        yield from held.buffers()
        return
    for part in _parts(held):
        yield from _tensors(part, seen, depth + 1)


def _parts(held: object) -> Iterable[object]:
    """Yield what an object holds: items of containers, attributes, and what a function closes over."""
    if isinstance(held, str | bytes | int | float | type):
        return ()
    if isinstance(held, dict):
        return tuple(held.values())
    if isinstance(held, list | tuple | set):
        return tuple(held)
    cells = getattr(held, "__closure__", None)
    if cells:
        return tuple(cell.cell_contents for cell in cells if _is_filled(cell))
    return tuple(getattr(held, "__dict__", {}).values()) if _is_plain(held) else ()


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018  an empty cell raises
    except ValueError:
        return False
    return True


def _is_plain(held: object) -> bool:
    """Whether an object's attributes are worth looking at: a module of Python would lead everywhere."""
    return type(held).__name__ not in {"module", "function", "builtin_function_or_method"}


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out: Python's, torch's, ONNX Runtime's, or of a CUDA library."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    # ONNX Runtime derives its errors from Exception alone, torch's CPU allocator raises a plain RuntimeError.
    ours = isinstance(error, RuntimeError) or type(error).__module__.startswith("onnxruntime")
    return ours and bool(_OUT_OF_MEMORY.search(str(error)))
