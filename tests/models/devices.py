"""On which devices cases are computed. An adapter compiles for seconds what NumPy reads in a tenth of one, and its kernels are
compared with NumPy's one by one (tests/kernels): so NumPy computes all cases, the adapter some, and the rest with minutes."""

from collections.abc import Collection
from typing import Any

import pytest


def on_devices(names: Collection[str], natively: Collection[str], minutes: Collection[str] = ()) -> list[Any]:
    """Cases by device, for `parametrize(("name", "device"), ..., indirect=["device"])`. minutes: on any device."""
    quick = {"reference": set(names) - set(minutes), "native": set(natively) - set(minutes)}
    return [
        pytest.param(name, device, marks=[] if name in quick[device] else [pytest.mark.minutes])
        for device in quick
        for name in names
    ]
