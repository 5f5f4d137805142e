"""`fanlight doctor`: what this machine offers, and whether its GPU computes as NumPy does; --json is for issues."""

import argparse
import importlib.metadata
import json
import platform
from dataclasses import asdict
from typing import Any

from fanlight import __version__, driver
from fanlight.cli.kernel import NOT_RUN, OK, check
from fanlight.cli.model import output, steps, table
from fanlight.errors import DeviceError
from fanlight.runtime import open_device
from fanlight.runtime.adapter_notes import open_notes
from fanlight.runtime.device import Device
from fanlight.runtime.notes import FileNotes
from fanlight.settings import settings

PACKAGES = ("wgpu", "numpy", "jinja2", "tokenizers", "huggingface_hub", "starlette", "uvicorn", "rich")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="one object; its limits can be given to --limits and FANLIGHT_ADAPTER"
    )


def run(options: argparse.Namespace) -> int:
    found = examine()
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        show(found)
    return 0 if found["ok"] else 1


def examine() -> dict[str, Any]:
    chosen = settings()
    facts: dict[str, Any] = {
        "fanlight": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "settings": asdict(chosen),
        "ok": False,
    }
    try:
        device = open_device(chosen.device)
    except DeviceError as error:
        return facts | {"problem": str(error)}
    try:
        facts["adapter"] = asdict(device.info)
        facts["limits"] = asdict(device.limits) | {"features": sorted(device.limits.features)}
        facts["kernels"] = check_kernels(device)
        if notes := driver.run(open_notes(FileNotes(chosen.notes), device)):
            facts["loads"] = notes.summary()
    finally:
        device.close()
    return facts | {"ok": all(result.startswith((OK, NOT_RUN)) for result in facts["kernels"].values())}


def check_kernels(device: Device) -> dict[str, str]:
    """The first case of every kernel; without NumPy nothing can be compared."""
    try:
        from fanlight.kernels import cases

        first = {stem: next(iter(cases.cases_of(stem))) for stem in cases.stems()}
    except ImportError as error:
        return {"all": f"{NOT_RUN}: {error}"}
    results: dict[str, str] = {}
    with steps("checking kernels", len(first)) as advance:
        for stem, case in first.items():
            results[stem] = check(device, case)
            advance()
    return results


def show(found: dict[str, Any]) -> None:
    console = output()
    facts = table("", "", title="this machine")
    for name in ("fanlight", "python", "system"):
        facts.add_row(name, str(found[name]))
    facts.add_row("packages", ", ".join(f"{name} {version}" for name, version in found["packages"].items()))
    for name, value in found.get("adapter", {}).items():
        facts.add_row(f"adapter {name}", str(value))
    console.print(facts)
    for title in ("limits", "kernels", "loads"):
        if title in found:
            made = table("", "", title=f"\n{title}")
            for name, value in found[title].items():
                made.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
            console.print(made)
    if "problem" in found:
        console.print(f"\n{found['problem']}", markup=False)
    console.print("\nAll is well." if found["ok"] else "\nSomething is wrong, see above.")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"
