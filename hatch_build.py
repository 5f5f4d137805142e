"""Builds the web assets into a wheel or an sdist, when they are not there yet: `fanlight serve` needs them, and no Node."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SKIP = "FANLIGHT_WITHOUT_WEB"


class WebAssets(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        assets = root / "fanlight" / "assets"
        if version == "editable" or (assets / "fanlight" / "index.js").is_file():
            return
        if os.environ.get(SKIP):
            self.app.display_warning(f"{SKIP} is set: this build has no chat page and no browser engine")
            return
        if shutil.which("npm") is None:
            raise SystemExit(
                "The web assets are not built, and building them needs Node >= 20 with npm, which is not installed.\n"
                f"Try: apt-get install nodejs npm    or set {SKIP}=1 to build without the chat page."
            )
        subprocess.run([sys.executable, str(root / "scripts" / "build_web.py")], check=True)
