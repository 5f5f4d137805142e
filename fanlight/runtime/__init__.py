"""Adapters, and the devices on them that run Programs.  A device is asked for by name, never fallen back to."""

import importlib
import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from fanlight.compiler.program import Limits
from fanlight.errors import FormatError, UnsupportedModel
from fanlight.runtime.adapter import Adapter
from fanlight.runtime.device import Device

ADAPTERS = {"native": "NativeAdapter", "reference": "ReferenceAdapter", "null": "NullAdapter"}


def open_adapter(name: str = "native", limits: Limits | None = None, memory_bytes: int | None = None) -> Adapter:
    """limits: pretend to be an adapter with these. memory_bytes: what all Programs on it may take together, where that is less
    than the limits say. Raises NoAdapter."""
    if name not in ADAPTERS:
        raise UnsupportedModel(f"unknown device {name!r}; known are {', '.join(ADAPTERS)}")
    make: Callable[[Limits | None], Adapter] = getattr(importlib.import_module(f"{__package__}.{name}"), ADAPTERS[name])
    adapter = make(limits)
    adapter.allow(memory_bytes)
    return adapter


def open_device(name: str = "native", limits: Limits | None = None, check: int = 0) -> Device:
    """On an adapter of its own. check: see settings.py. Raises NoAdapter."""
    return checking(open_adapter(name, limits).device(), check)


def checking(device: Device, check: int) -> Device:
    """The device, or with check 2 one that compares all that it does with NumPy."""
    if not check or getattr(device, "is_checked", False):
        return device
    from fanlight.runtime.checked import CheckedDevice

    try:
        return CheckedDevice(device)
    except BaseException:
        device.close()
        raise


def read_limits(path: str) -> Limits:
    """From a JSON file with WebGPU's names in snake case, as `fanlight doctor --json` writes under `limits`."""
    try:
        values = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise FormatError(f"cannot read limits: {error}", where=path) from None
    values = values.get("limits", values)
    unknown = set(values) - {f.name for f in fields(Limits)}
    if unknown:
        raise FormatError(f"unknown limits {', '.join(sorted(unknown))}", where=path)
    return Limits(**{**values, "features": frozenset(values.get("features", ()))})
