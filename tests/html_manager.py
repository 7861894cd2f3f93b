"""Make sure that tests of saved pages can show widgets: ``python tests/html_manager.py``.

It is the bundle that nbconvert's pages load from a CDN. As a dependency of ``js/`` it would bring
120 packages that are already in it.
"""

import base64
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "@jupyter-widgets/html-manager"
VERSION = "1.0.15"
SHA512 = "5thBIV6ymNgmPVOHvzx+gGy8ZSKmSazhtGw4/c4xJDVzRhG9PTeQsRjF3FUTopvFi//SABeNz1yp47bCrJ3CQA=="
PLACE = Path(__file__).parents[1] / ".hosts" / f"html-manager-{VERSION}"


def find() -> Path:
    """The folder of its JavaScript."""
    if not PLACE.exists():
        raise FileNotFoundError(f"{PLACE} is missing: run `{sys.executable} tests/html_manager.py`")
    return PLACE / "package" / "dist"


def install() -> None:
    PLACE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PLACE.parent) as folder:
        subprocess.run(
            ["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}", "--pack-destination", folder],
            check=True,
            stdin=subprocess.DEVNULL,
        )
        (archive,) = Path(folder).glob("*.tgz")
        digest = hashlib.sha512(archive.read_bytes()).digest()
        if base64.b64encode(digest).decode() != SHA512:
            raise RuntimeError(f"{archive.name} is not what it was when the tests were written")
        unpacked = Path(folder, "unpacked")
        with tarfile.open(archive) as tar:
            tar.extractall(unpacked, filter="data")
        unpacked.rename(PLACE)


if __name__ == "__main__" and not PLACE.exists():
    install()
