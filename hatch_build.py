"""Builds the web assets into a wheel or an sdist, when they are not there yet: `fanlight serve` needs them, and no Node.

FANLIGHT_WHEEL=browser makes the wheel of a Python that runs in a page (Pyodide): without the chat page, and without the Pyodide
and the snapshot that the page boots from, which are half of it. The other wheel runs there as well.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SKIP = "FANLIGHT_WITHOUT_WEB"
WHEEL = "FANLIGHT_WHEEL"
ASSETS = "/fanlight/assets"
IN_PAGES = ("python-replay.js", "version.txt", "licenses", "NOTICE")
TAG = "py3-none-pyemscripten_2026_0_wasm32"  # Pyodide 314's: PEP 783


class WebAssets(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        kind = os.environ.get(WHEEL, "")
        if kind not in ("", "browser"):
            raise SystemExit(f"{WHEEL}={kind}: expected browser, or nothing")
        if version == "editable":
            return
        if os.environ.get(SKIP):
            self.app.display_warning(f"{SKIP} is set: this build has no chat page and runs in no browser")
            return
        self.build_assets()
        if kind == "browser" and self.target_name == "wheel":
            build_data["tag"] = TAG
            build_data["artifacts"] += [f"{ASSETS}/fanlight/{name}" for name in IN_PAGES]
        else:
            # The built-in model is in the package already, where the chat page finds it too.
            build_data["artifacts"] += [f"{ASSETS}/**", f"!{ASSETS}/fanlight/built-in.gguf"]

    def build_assets(self) -> None:
        root = Path(self.root)
        if (root / "fanlight" / "assets" / "fanlight" / "index.js").is_file():
            return
        if shutil.which("npm") is None:
            raise SystemExit(
                "The web assets are not built, and building them needs Node >= 20 with npm, which is not installed.\n"
                f"Try: apt-get install nodejs npm    or set {SKIP}=1 to build without the chat page."
            )
        subprocess.run([sys.executable, str(root / "scripts" / "build_web.py")], check=True)
