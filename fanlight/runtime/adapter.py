"""An Adapter is one GPU and its memory; it gives Devices, each of which runs one Program and is closed by itself.

Where it is known how many bytes may be allocated in all, they are one budget: a Device sees in its limits what the Programs of
the others leave, and prepares none that would exceed it."""

from dataclasses import replace
from weakref import WeakKeyDictionary, WeakSet

from fanlight.compiler.memory import memory_plan
from fanlight.compiler.program import Limits, Program
from fanlight.errors import DeviceError, DoesNotFit
from fanlight.runtime.device import AdapterInfo, Device


class Adapter:
    """limits: of the GPU; their memory_bytes is the budget."""

    def __init__(self, info: AdapterInfo, limits: Limits):
        self.info = info
        self._limits = limits
        self._devices: WeakSet[Device] = WeakSet()
        self._taken: WeakKeyDictionary[Device, int] = WeakKeyDictionary()  # bytes, by Device that holds a Program
        self._is_closed = False

    def device(self) -> Device:
        """One more Device on this adapter."""
        raise NotImplementedError

    def allow(self, memory_bytes: int | None) -> None:
        """No more bytes than these for all its Programs together."""
        known = [size for size in (memory_bytes, self._limits.memory_bytes) if size is not None]
        self._limits = replace(self._limits, memory_bytes=min(known, default=None))

    @property
    def limits(self) -> Limits:
        """As a new Device would have them."""
        return self.limits_beside(None)

    def close(self) -> None:
        """Closes all its Devices."""
        self._is_closed = True
        for device in list(self._devices):
            device.close()

    # --- what its Devices ask ----------------------------------------------------------------------------------------
    def add(self, device: Device) -> None:
        if self._is_closed:
            raise DeviceError("this adapter was closed", hint="open it again")
        self._devices.add(device)

    def limits_beside(self, device: Device | None) -> Limits:
        """memory_bytes: what the Programs of the other Devices leave."""
        if self._limits.memory_bytes is None:
            return self._limits
        others = sum(size for other, size in self._taken.items() if other is not device)
        return replace(self._limits, memory_bytes=max(0, self._limits.memory_bytes - others))

    def take(self, device: Device, program: Program) -> None:
        """The Device is about to hold this Program, and nothing else. Raises DoesNotFit."""
        total, left = memory_plan(program.buffers)["total"], self.limits_beside(device).memory_bytes
        if left is not None and total > left:
            raise DoesNotFit(
                f"this Program needs {total >> 20} MiB, and others leave {left >> 20} MiB of this adapter",
                where=program.name,
                hint="close another model, a shorter context, or a smaller quantisation of the model",
            )
        self._taken[device] = total

    def give_back(self, device: Device) -> None:
        """The Device holds nothing any more."""
        self._taken.pop(device, None)
