"""The steps of the main job on the real CT, with everything cached: seconds of each, and the whole against its limits.

    python benchmarks/demo.py

Limits: 60 s and 4 GB on two cores. Needs the samples ('make samples') and stores all reports in a folder of its own
first, which is not counted.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

from agent.assistant import Assistant
from agent.events import Planned, StepFinished
from agent.settings import Settings
from knowledge.readers.openi import read_openi

REQUEST = (
    "Segment the lungs in this CT, measure their volume and mean density, find similar reports "
    "and draft findings and impression."
)
LIMIT_S = 60.0
LIMIT_GB = 4.0


def main() -> int:
    """Print seconds, memory and ratios; return 1 where a limit is passed."""
    with tempfile.TemporaryDirectory() as folder:
        data, readings = Path(folder) / "data", Path(folder) / "readings"
        first = Assistant(settings=Settings(data_dir=data, readings_dir=readings))
        began = time.perf_counter()
        first.open_knowledge().ingest(read_openi(first.assets.path("openi-reports", "reports.tgz")))
        print(f"reports stored (not counted)  {time.perf_counter() - began:7.1f} s")
        first.open_knowledge().close()

        began = time.perf_counter()
        assistant = Assistant(settings=Settings(data_dir=data, readings_dir=readings))
        in_steps = 0.0
        for event in assistant.stream(REQUEST, [assistant.assets.path("chest-ct", "cxr.nii.gz")]):
            if isinstance(event, Planned):
                print(f"plan                          {event.seconds:7.2f} s")
            if isinstance(event, StepFinished):
                in_steps += event.seconds
                print(f"{event.step} {event.tool:26} {event.seconds:7.2f} s")
        seconds = time.perf_counter() - began
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"whole job                     {seconds:7.2f} s    ratio to the limit {seconds / LIMIT_S:.2f}")
    print(f"peak memory, storing included {gigabytes:7.2f} GB   ratio to the limit {gigabytes / LIMIT_GB:.2f}")
    return int(seconds > LIMIT_S or gigabytes > LIMIT_GB)


if __name__ == "__main__":
    raise SystemExit(main())
