from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import psutil
import pytest
import torch

from tools.errors import BadInputError, UnavailableError
from tools.facts import AttachmentFacts
from tools.models import installed
from tools.models.card import ModelCard, Weights
from tools.models.hub import Choice, Hub, Used
from tools.models.memory import (
    CudaMemory,
    ProcessMemory,
    computes_in_half,
    is_out_of_memory,
    machine_memory_bytes,
    tensor_bytes,
)
from tools.models.pool import Pool
from tools.models.runtimes.base import Loading

MB = 1_000_000


class Fake:
    """A device whose memory is what the test says."""

    source = "the test"

    def __init__(self, budget_mb: int = 1000) -> None:
        self.budget_mb, self.releases = budget_mb, 0

    def now_bytes(self) -> int:
        return 0

    def used_bytes(self, models: Sequence[int]) -> int:
        return sum(models)

    def budget_bytes(self) -> int:
        return self.budget_mb * MB

    def size_bytes(self, runtime: object, grown: int) -> int:
        return int(getattr(runtime, "mb", 0)) * MB

    def release(self) -> None:
        self.releases += 1


@dataclass
class Net:
    """A model that takes `mb` of memory and can compute in patches of `patch`."""

    mb: int
    patch: int = 64
    closed: list[str] = field(default_factory=list)

    @property
    def saving(self) -> str:
        return f"patches of {self.patch} voxels"

    def smaller(self) -> Net | None:
        return replace(self, patch=self.patch // 2) if self.patch > 16 else None

    def close(self) -> None:
        self.closed.append("closed")


@pytest.fixture
def lease() -> Callable[..., Any]:
    def once(pool: Pool, name: str, mb: int, needed_mb: int = 0) -> Net:
        with pool.lease(name, lambda: Net(mb), needed_mb * MB) as net:
            return net  # type: ignore[no-any-return]

    return once


def test_the_least_recently_used_model_goes_first(lease: Callable[..., Net]) -> None:
    pool = Pool(Fake(100))
    first = lease(pool, "first", 40)
    lease(pool, "second", 40)
    assert lease(pool, "first", 40) is first
    lease(pool, "third", 40)
    assert list(pool.sizes) == ["first", "third"]
    assert first.closed == []
    lease(pool, "fourth", 90)
    assert dict(pool.sizes) == {"fourth": 90 * MB}
    assert first.closed == ["closed"]


def test_the_card_makes_room_before_a_load_and_the_measure_after_it(lease: Callable[..., Net]) -> None:
    pool = Pool(Fake(100))
    lease(pool, "small", 30)
    lease(pool, "declared", 10, needed_mb=80)
    assert list(pool.sizes) == ["declared"]
    lease(pool, "undeclared", 95)
    assert list(pool.sizes) == ["undeclared"]


def test_a_model_in_use_is_never_evicted(lease: Callable[..., Net]) -> None:
    pool = Pool(Fake(100), patience_s=0.2)
    with pool.lease("busy", lambda: Net(60)) as busy:
        lease(pool, "other", 60)  # the same thread cannot wait for itself
        assert "busy" in pool.sizes
        assert pool.free() == 1
        assert list(pool.sizes) == ["busy"]
        assert busy.closed == []
    assert pool.free() == 1


def test_a_thread_waits_until_a_model_in_use_makes_room() -> None:
    pool, order = Pool(Fake(100)), []
    entered = threading.Event()

    def long() -> None:
        with pool.lease("long", lambda: Net(60)):
            entered.set()
            time.sleep(0.3)
            order.append("long ended")

    thread = threading.Thread(target=long)
    thread.start()
    entered.wait()
    with pool.lease("next", lambda: Net(60), 60 * MB):
        order.append("next began")
        assert list(pool.sizes) == ["next"]
    thread.join()
    assert order == ["long ended", "next began"]


def test_what_a_run_may_still_ask_for_counts() -> None:
    pool = Pool(Fake(100), patience_s=0.3)
    began = time.monotonic()
    with pool.lease("wide", lambda: Net(10), 80 * MB):
        thread = threading.Thread(target=lambda: pool.lease("other", lambda: Net(30), 30 * MB).__enter__())
        thread.start()
        thread.join()
    assert time.monotonic() - began >= 0.3


def test_a_failed_load_leaves_the_pool_usable(lease: Callable[..., Net]) -> None:
    pool = Pool(Fake(100))

    def fail() -> Net:
        raise BadInputError("no model")

    for _again in range(2):
        with pytest.raises(BadInputError), pool.lease("bad", fail):
            pass
    assert lease(pool, "good", 10).mb == 10


# --- the hub, on a simulated GPU


CHEST = AttachmentFacts(id="img1", modality="CT", body_part="CHEST", dims=3)


def card(name: str, **fields: Any) -> ModelCard:
    given: dict[str, Any] = {"weights": Weights(file="net.pt"), "seconds": 1.0}
    return ModelCard(
        name=name, title=name, verb="segment", version="1", licence="MIT", source="test", runtime="fake",
        **(given | fields),
    )  # fmt: skip


@dataclass
class Bench:
    """A hub on "cuda", whose loads and memory the test decides."""

    hub: Hub
    meters: dict[str, Fake]
    loads: list[Loading]

    def use(self, name: str, call: Callable[[Any], Any]) -> Used[Any]:
        return self.hub.use(Choice(self.hub.get(name), "the test"), call)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Callable[..., Bench]:
    (tmp_path / "net.pt").write_bytes(b"weights")
    loads: list[Loading] = []

    def load(loading: Loading) -> Net:
        loads.append(loading)
        return Net(int(loading.card.options.get("mb", 10)))

    monkeypatch.setattr(installed, "RUNTIMES", {"fake": "unused:load"})
    monkeypatch.setattr("tools.models.lending.loader_of", lambda name: load)

    def make(*cards: ModelCard, device: str = "cuda", **given: Any) -> Bench:
        meters: dict[str, Fake] = {}
        hub = Hub(cards, device=device, weights_dir=tmp_path, meter_for=lambda d: meters.setdefault(d, Fake()), **given)
        return Bench(hub, meters, loads)

    return make


def out_of_memory(*patches: int, then: object = "done") -> Callable[[Net], object]:
    """Return a call that runs out of memory at these patch sizes."""

    def call(net: Net) -> object:
        if net.patch in patches:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return (then, net.patch)

    return call


def test_out_of_memory_tries_smaller_patches_and_says_so(bench: Callable[..., Bench]) -> None:
    room = bench(card("net"))
    used = room.use("net", out_of_memory(64))
    assert used.value == ("done", 32)
    assert used.notes == ("the memory of cuda ran out; computed again with patches of 32 voxels",)
    assert (used.model.device, used.model.precision) == ("cuda", "full")
    assert room.use("net", out_of_memory()).notes == ()
    assert len(room.loads) == 1


def test_out_of_memory_first_unloads_what_is_idle(bench: Callable[..., Bench]) -> None:
    room = bench(card("idle"), card("net"))
    room.use("idle", out_of_memory())
    full = [True]

    def call(net: Net) -> int:
        if full.pop() if full else False:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return net.patch

    used = room.use("net", call)
    assert used.value == 64
    assert used.notes == ("the memory of cuda ran out; other models were unloaded",)
    assert list(room.hub.loaded()) == ["net on cuda"]


def test_out_of_memory_ends_on_the_cpu_where_the_card_allows_it(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.models.lending.computes_in_half", lambda device: device == "cuda")
    room = bench(card("net", half_precision=True))
    seen: list[Net] = []

    def call(net: Net) -> str:
        seen.append(net)
        if room.loads[-1].device == "cuda":
            raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")
        return "on the CPU"

    used = room.use("net", call)
    assert used.value == "on the CPU"
    assert [net.patch for net in seen] == [64, 32, 16, 64]
    assert [(x.device, x.half) for x in room.loads] == [("cuda", True), ("cpu", False)]
    assert used.notes == ("the memory of cuda did not suffice; run on the CPU instead",)
    assert (used.model.device, used.model.precision) == ("cpu", "full")


def test_out_of_memory_is_said_in_one_line_where_nothing_helps(bench: Callable[..., Bench]) -> None:
    room = bench(card("net", cpu_fallback=False), card("cpu"))
    everything = out_of_memory(64, 32, 16)
    with pytest.raises(
        UnavailableError, match="'net' ran out of memory on cuda, and its card does not allow the CPU: use"
    ):
        room.use("net", everything)
    with pytest.raises(UnavailableError, match="'cpu' ran out of memory on cuda and cpu: use"):
        room.use("cpu", everything)
    assert room.use("net", out_of_memory()).value == ("done", 64)


def test_running_out_while_loading_unloads_others(bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    room = bench(card("idle"), card("net"))
    room.use("idle", out_of_memory())

    def load(loading: Loading) -> Net:
        if "idle on cuda" in room.hub.loaded():
            raise torch.OutOfMemoryError("CUDA out of memory")
        return Net(10)

    monkeypatch.setattr("tools.models.lending.loader_of", lambda name: load)
    used = room.use("net", lambda net: net.patch)
    assert used.notes == ("the memory of cuda ran out while loading: other models were unloaded",)


def test_a_model_too_large_for_the_budget_runs_on_the_cpu_and_says_so(bench: Callable[..., Bench]) -> None:
    room = bench(card("large", device_memory_mb=9000), device_memory_mb=8000)
    used = room.use("large", out_of_memory())
    assert used.notes == ("run on the CPU: needs 9000 MB, cuda has 8000 MB (READINGROOM_DEVICE_MEMORY_MB)",)
    assert [x.device for x in room.loads] == ["cpu"]


def test_other_errors_pass_untouched(bench: Callable[..., Bench]) -> None:
    room, calls = bench(card("net")), []

    def call(net: Net) -> None:
        calls.append(net)
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        room.use("net", call)
    assert len(calls) == 1
    room.hub._lender.pool("cuda").free()
    assert room.hub.loaded() == {}


def test_a_runtime_says_where_it_computes(bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    room = bench(card("net"))
    net = Net(1)
    net.device = "cpu"  # type: ignore[attr-defined]
    monkeypatch.setattr("tools.models.lending.loader_of", lambda name: lambda loading: net)
    assert room.use("net", lambda runtime: 1).model.device == "cpu"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            True,
        ),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("size mismatch"), False),
        (BadInputError("the image is out of memory of man"), False),
    ],
)
def test_errors_of_memory_are_told_from_others(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_torch_really_raises_such_an_error_on_the_cpu() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


# --- real modules


class Layer:
    """A runtime as ours are: a torch module in an attribute, and a function that closes over it."""

    def __init__(self, mb: int) -> None:
        self.module = module = torch.nn.utils.skip_init(torch.nn.Linear, 1000, mb * 250, bias=False)
        torch.nn.init.zeros_(module.weight)  # mb × 10⁶ bytes in float32

        def total(value: float) -> float:
            with torch.inference_mode():
                return float(module(torch.full((1, 1000), value)).sum())

        self.total = total


def test_the_bytes_of_tensors_are_counted_once() -> None:
    assert tensor_bytes(Layer(8)) == 8 * MB
    assert tensor_bytes({"a": [torch.zeros(10), "text", 3], "b": pytest}) == 40
    assert tensor_bytes(Layer(8).total) == 8 * MB
    shared = torch.zeros(1000)
    assert tensor_bytes([shared, shared[:10]]) == 4000


@pytest.mark.parametrize("budget_mb", [40, 16])
def test_a_hundred_loads_and_evictions_leak_nothing(monkeypatch: pytest.MonkeyPatch, budget_mb: int) -> None:
    """Three models of 24 MB in turn, two of which, or even one, are larger than the budget."""
    monkeypatch.setattr(installed, "RUNTIMES", {"fake": "unused:load"})
    gone: list[weakref.ref[torch.nn.Module]] = []

    def load(loading: Loading) -> Layer:
        layer = Layer(24)
        gone.append(weakref.ref(layer.module))
        return layer

    monkeypatch.setattr("tools.models.lending.loader_of", lambda name: load)
    hub = Hub([card(name, weights=None) for name in "abc"], device_memory_mb=budget_mb)
    resident = []
    gc.freeze()  # or each eviction looks through all that the test session has imported
    for cycle in range(102):
        name = "abc"[cycle % 3]
        used = hub.use(Choice(hub.get(name), "the test"), lambda layer: layer.total(0.0))
        assert used.value == 0.0
        assert hub.loaded() == {f"{name} on cpu": 24 * MB}
        resident.append(psutil.Process().memory_info().rss)
    gc.unfreeze()
    assert len(gone) == 102
    gc.collect()
    assert sum(ref() is not None for ref in gone) == 1
    assert max(resident[-3:]) - max(resident[2:6]) < 24 * MB  # one model


def test_the_process_is_measured() -> None:
    meter = ProcessMemory()
    before = meter.now_bytes()
    block = torch.ones(20 * MB)
    assert meter.now_bytes() - before > 60 * MB
    del block
    meter.release()
    assert meter.now_bytes() - before < 30 * MB
    assert 0 < meter.budget_bytes() < machine_memory_bytes()


def test_half_precision_is_asked_of_torch_only_where_allowed() -> None:
    with Loading(card("net"), {}, "cpu").inference():
        assert not torch.is_autocast_enabled("cpu")
        assert torch.is_inference_mode_enabled()


@pytest.mark.parametrize(("able", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_cpu_computes_in_bfloat16_where_it_has_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, able: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": able}, raising=False)
    computes_in_half.cache_clear()
    hub = Hub([card("net", half_precision=True, weights=None).model_copy(update={"runtime": "hu_threshold"})])
    loadings: list[Loading] = []
    monkeypatch.setattr(
        "tools.models.lending.loader_of", lambda name: lambda loading: loadings.append(loading) or Net(1)
    )
    used = hub.use(Choice(hub.get("net"), "test"), lambda net: net)
    computes_in_half.cache_clear()
    with loadings[0].inference():
        assert torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype == dtype
    assert used.model.precision == ("half" if able else "full")


# --- a real GPU


@contextmanager
def _cuda() -> Iterator[CudaMemory]:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    yield CudaMemory("cuda")


@pytest.mark.gpu
def test_a_gpu_is_measured_and_evicted_for_real() -> None:
    with _cuda() as meter:
        torch.cuda.empty_cache()
        before = torch.cuda.memory_allocated()
        pool = Pool(meter, before + 300 * MB)

        def load() -> torch.nn.Module:
            return torch.nn.Linear(1000, 50_000, bias=False).to("cuda")  # 200 MB

        for name in "abab":
            with pool.lease(name, load, 200 * MB):
                assert torch.cuda.memory_allocated() - before == pytest.approx(200 * MB, rel=0.02)
        pool.free()
        assert torch.cuda.memory_allocated() == before


@pytest.mark.gpu
def test_a_gpu_that_runs_out_hands_over_to_the_cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    with _cuda():
        (tmp_path / "net.pt").write_bytes(b"weights")
        monkeypatch.setattr(installed, "RUNTIMES", {"fake": "unused:load"})
        monkeypatch.setattr("tools.models.lending.loader_of", lambda name: lambda loading: Placed(loading.device))
        hub = Hub([card("net")], device="cuda", weights_dir=tmp_path)
        used = hub.use(Choice(hub.get("net"), "the test"), lambda placed: placed.fill())
        assert used.model.device == "cpu"
        assert "run on the CPU instead" in used.notes[-1]


class Placed:
    """Asks a GPU for a hundred terabytes, a CPU for little."""

    def __init__(self, where: str) -> None:
        self._where = where

    def fill(self) -> int:
        size = 10 if self._where == "cpu" else 100 * 10**12
        return torch.empty(size, dtype=torch.uint8, device=self._where).numel()
