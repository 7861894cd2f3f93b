"""What the notebooks find where the tests run them: their data, a kernel that is their own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

TESTS = Path(__file__).parent
QUICK = os.environ.get("LRFINDER_QUICK", "1")
"""Small shares and few steps; ``LRFINDER_QUICK=0 make test`` runs all of it."""
SOURCES = ["given", "stand-in"] if "LRFINDER_DATA" in os.environ else ["stand-in"]
"""Where the data is from: the folder that the variable names, or none, and no network either."""


def environment(home: Path, source: str = SOURCES[0]) -> dict[str, str]:
    """Return what to set for a server or a kernel, whose IPython lives in `home`."""
    startup = home / "profile_default" / "startup"
    startup.mkdir(parents=True)
    shutil.copy(TESTS / "torchvision_on_cpu.py", startup)
    # Nothing is ever downloaded: nobody listens at this port.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    # On a busy machine, two threads that wait for each other take five times as long as one.
    calm = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    data = os.environ["LRFINDER_DATA"] if source == "given" else str(home / "nothing")
    return {
        "IPYTHONDIR": str(home),
        "LRFINDER_DATA": data,
        "LRFINDER_QUICK": QUICK,
        **nowhere,
        **calm,
    }
