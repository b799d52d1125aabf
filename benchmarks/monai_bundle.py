"""A MONAI bundle through our runtime against MONAI's own workflow, and our sliding window against MONAI's.

    python benchmarks/monai_bundle.py [--forms]

The bundle has the structure of the model zoo's and a small network, made here. Both ways run it on the same synthetic
CT and must give the same mask. Limits: the runtime takes at most 10 % longer than MONAI's own transforms, inferer and
evaluator; the sliding window takes at most 10 % longer than MONAI's inferer and no more memory. The two ways take
turns; medians are judged by the processor's time, which says something on a busy machine too, and the clock's stands
beside it.

`--forms` measures instead what channels-last memory, bfloat16 and torch.compile make of one patch of two networks.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

LIMIT = 1.10
ROUNDS = 7
PEAKS = 3
SHAPE = (96, 96, 64)
SPACING_MM = (1.6, 1.6, 2.5)
PATCH = (48, 48, 48)


def scan() -> Any:
    from tools.imaging.volume import Volume

    array = np.random.default_rng(0).normal(0, 30, SHAPE).astype(np.int16)
    array[24:60, 18:54, 12:40] += 120
    affine = np.diag([*SPACING_MM, 1.0])
    return Volume(array, affine, spacing_source="NIfTI header", modality="CT", units="HU")


def network_config() -> dict[str, Any]:
    return {
        "_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [8, 16],
        "strides": [2], "num_res_units": 1, "norm": "batch",
    }  # fmt: skip


def bundle(folder: Path) -> Path:
    """Write a bundle with the zoo's structure and a U-Net with random weights."""
    import torch
    from monai.networks.nets import UNet

    from tests.bundles import spleen_config, write_bundle

    torch.manual_seed(0)
    config = spleen_config() | {"network_def": network_config()}
    config["inferer"] |= {"roi_size": list(PATCH), "sw_batch_size": 2}
    named = {key: value for key, value in network_config().items() if key != "_target_"}
    return write_bundle(folder / "spleen", config, UNet(**named).state_dict())


def monai_workflow(path: Path, image: Any) -> Callable[[], np.ndarray[Any, Any]]:
    """Return a call of MONAI's own parser, transforms, inferer and SupervisedEvaluator on a bundle."""
    import torch
    from monai.bundle import ConfigParser
    from monai.data import DataLoader, Dataset
    from monai.engines import SupervisedEvaluator

    from tools.models.runtimes.monai_bundle import meta_tensor

    config = json.loads((path / "configs" / "inference.json").read_text())
    config |= {"bundle_root": str(path), "device": torch.device("cpu")}
    config["preprocessing"]["transforms"] = config["preprocessing"]["transforms"][1:]
    config["postprocessing"]["transforms"] = config["postprocessing"]["transforms"][:-1]
    parser = ConfigParser(config)
    parts = {
        name: parser.get_parsed_content(name) for name in ("preprocessing", "postprocessing", "inferer", "network")
    }
    parts["network"].load_state_dict(torch.load(path / "models" / "model.pt", weights_only=True))

    def run() -> np.ndarray[Any, Any]:
        data = Dataset([{"image": meta_tensor((image,))}], parts["preprocessing"])
        evaluator = SupervisedEvaluator(
            device=torch.device("cpu"), val_data_loader=DataLoader(data, batch_size=1), network=parts["network"],
            inferer=parts["inferer"], postprocessing=parts["postprocessing"],
        )  # fmt: skip
        evaluator.run()
        return np.asarray(evaluator.state.output[0]["pred"][0]) > 0

    return run


class Spent(NamedTuple):
    """Median seconds of one way."""

    clock: float
    processor: float


def seconds(call: Callable[[], Any], other: Callable[[], Any]) -> tuple[Spent, Spent]:
    """Return what two calls take, in turns so that the machine's other work meets both."""
    times: tuple[list[Spent], list[Spent]] = ([], [])
    for _ in range(ROUNDS):
        for kept, each in zip(times, (call, other), strict=True):
            clock, processor = time.perf_counter(), time.process_time()
            each()
            kept.append(Spent(time.perf_counter() - clock, time.process_time() - processor))
    first, second = (Spent(*(statistics.median(each) for each in zip(*kept, strict=True))) for kept in times)
    return first, second


def told(name: str, ours: Spent, theirs: Spent) -> str:
    """Return both ways' seconds and their ratios."""
    return (
        f"{name}: ours {ours.processor:.2f} s of processor ({ours.clock:.2f} s by the clock), MONAI's "
        f"{theirs.processor:.2f} s ({theirs.clock:.2f} s), ratio {ours.processor / theirs.processor:.2f} "
        f"({ours.clock / theirs.clock:.2f}), limit {LIMIT}"
    )


def peak_mb(call: Callable[[], Any]) -> float:
    """Return by how much a call raises the process's peak memory, in a child process."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        import resource

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        call()
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        os.write(write, str((after - before) / 1024).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as stream:
        return float(stream.read())


def compare_bundle(folder: Path) -> bool:
    from tests.bundles import loading
    from tools.models.runtimes.monai_bundle import load

    image, path = scan(), bundle(folder)
    runtime, theirs = load(loading(path)), monai_workflow(path, image)

    def ours() -> np.ndarray[Any, Any]:
        mask: np.ndarray[Any, Any] = runtime.segment(image, ["spleen"], lambda done, what: None).masks["spleen"]
        return mask

    same = float(np.mean(ours() == theirs()))
    mine, its = seconds(ours, theirs)
    print(f"{told('bundle against its evaluator', mine, its)}; {100 * same:.3f} % of voxels alike")
    return mine.processor <= LIMIT * its.processor and same > 0.9999


def compare_windows() -> bool:
    import torch
    from monai.inferers import SlidingWindowInferer
    from monai.networks.nets import UNet

    from tools.models.inference import SlidingWindow

    torch.set_num_threads(1)  # a forked child must not wait for threads that it does not have
    named = {key: value for key, value in network_config().items() if key != "_target_"}
    network = UNet(**(named | {"out_channels": 16})).eval()
    image = torch.randn(1, 1, *SHAPE)
    theirs = SlidingWindowInferer(PATCH, sw_batch_size=2, overlap=0.5, mode="gaussian")
    window = SlidingWindow.of_monai(theirs)

    def ours() -> torch.Tensor:
        with torch.inference_mode():
            return window.run(image, network, "cpu")

    def its() -> torch.Tensor:
        with torch.inference_mode():
            found: torch.Tensor = theirs(image, network)
            return found

    memory, their_memory = (statistics.median(peak_mb(call) for _ in range(PEAKS)) for call in (ours, its))
    difference = float((ours() - its()).abs().max())
    mine, other = seconds(ours, its)
    patches = len(window._windows(image))  # noqa: SLF001  to say how many there were
    print(f"{told(f'sliding window, {patches} patches', mine, other)}; peak memory {memory:.0f} MB against ", end="")
    print(f"{their_memory:.0f} MB; largest difference {difference:.1e}")
    return mine.processor <= LIMIT * other.processor and memory <= LIMIT * their_memory and difference < 1e-4


def compare_forms() -> None:
    """Print what other layouts, precisions and compilation make of a patch; there is no limit to hold."""
    import copy

    import torch
    from monai.networks.nets import SegResNet, UNet

    torch.manual_seed(0)
    networks = {
        "U-Net": UNet(3, 1, 16, channels=(16, 32, 64), strides=(2, 2), num_res_units=2),
        "SegResNet": SegResNet(3, 16, 1, 16),
    }
    patch = torch.randn(1, 1, 64, 64, 64)
    last_patch = patch.to(memory_format=torch.channels_last_3d)

    def run(network: Any, given: Any, *, half: bool = False) -> Any:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            return network(given).float()

    for name, network in networks.items():
        plain = network.eval()
        last = copy.deepcopy(plain).to(memory_format=torch.channels_last_3d)
        forms: dict[str, Callable[[], Any]] = {
            "channels last": partial(run, last, last_patch),
            "bfloat16": partial(run, plain, patch, half=True),
            "bfloat16, channels last": partial(run, last, last_patch, half=True),
        }
        if shutil.which("g++"):
            forms["compiled"] = partial(run, torch.compile(plain), patch)
        expected = run(plain, patch)
        for form, call in forms.items():
            difference = float((call() - expected).abs().max() / expected.abs().max())
            mine, its = seconds(call, partial(run, plain, patch))
            print(
                f"{name}, {form}: {mine.processor:.2f} s of processor ({mine.clock:.2f} s by the clock), plain ", end=""
            )
            print(f"{its.processor:.2f} s ({its.clock:.2f} s), ratio {mine.processor / its.processor:.2f} ", end="")
            print(f"({mine.clock / its.clock:.2f}); largest difference {100 * difference:.2g} %")


def main() -> None:
    warnings.simplefilter("ignore")
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if "--forms" in sys.argv:
        compare_forms()
        return
    with tempfile.TemporaryDirectory() as folder:
        fine = [compare_windows(), compare_bundle(Path(folder))]
    sys.exit(0 if all(fine) else 1)


if __name__ == "__main__":
    main()
