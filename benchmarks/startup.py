"""How long the command line takes to say its help, against Python itself and against the limit; what it imported.

python benchmarks/startup.py [--json]
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

LIMIT_S = 0.5
RUNS = 7
HEAVY = ("torch", "gradio", "monai", "chromadb", "openai", "langgraph", "onnxruntime", "pydantic", "scipy", "skimage")
IMPORTED = f"import sys, ui.cli; print(*sorted(set(sys.modules) & {set(HEAVY)!r}))"


def median_seconds(code: str) -> float:
    """Return the median wall time of a fresh Python that runs `code`; the first run only warms the disk's cache."""
    seconds = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def main() -> int:
    """Print times and ratios; 1 when the limit is broken."""
    bare = median_seconds("pass")
    help_s = median_seconds("from ui.cli import main; main(['--help'])")
    found = subprocess.run([sys.executable, "-c", IMPORTED], check=True, capture_output=True, text=True).stdout.split()
    figures = {
        "python_s": round(bare, 4),
        "help_s": round(help_s, 4),
        "help_to_python": round(help_s / bare, 1),
        "limit_s": LIMIT_S,
        "help_to_limit": round(help_s / LIMIT_S, 3),
        "heavy_imports": found,
    }
    if "--json" in sys.argv:
        print(json.dumps(figures))
    else:
        print(f"readingroom --help  {help_s:.3f} s, {help_s / LIMIT_S:.0%} of the limit of {LIMIT_S} s")
        print(f"python alone        {bare:.3f} s, a ratio of {help_s / bare:.1f}")
        print(f"heavy imports       {', '.join(found) or 'none'}")
    return 0 if help_s <= LIMIT_S and not found else 1


if __name__ == "__main__":
    raise SystemExit(main())
