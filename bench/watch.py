"""Peak memory of a program and of the GPU while something runs, read from outside.  Linux; NVIDIA's library where it is."""

import ctypes
import threading
from dataclasses import dataclass, field
from pathlib import Path

NVML = ("libnvidia-ml.so.1", "/usr/local/nvidia/lib64/libnvidia-ml.so.1")
MIB = 1 << 20


class Nvml:
    """The NVIDIA GPUs of this machine; of a machine without, nothing."""

    def __init__(self) -> None:
        self._library = next(filter(None, map(_open, NVML)), None)
        self._handles: list[ctypes.c_void_p] = []
        count = ctypes.c_uint()
        if self._library and self._library.nvmlInit_v2() == 0 and self._library.nvmlDeviceGetCount_v2(ctypes.byref(count)) == 0:
            self._handles = [ctypes.c_void_p() for _ in range(count.value)]
            for i, handle in enumerate(self._handles):
                self._library.nvmlDeviceGetHandleByIndex_v2(i, ctypes.byref(handle))

    def used_mib(self) -> float:
        """Of all GPUs together; 0 without one."""
        memory = (ctypes.c_ulonglong * 3)()  # total, free, used
        used = 0
        for handle in self._handles:
            if self._library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) == 0:
                used += memory[2]
        return used / MIB

    def names(self) -> list[str]:
        return [self._text(lambda text, h=h: self._library.nvmlDeviceGetName(h, text, 96)) for h in self._handles]

    def driver(self) -> str:
        return self._text(lambda text: self._library.nvmlSystemGetDriverVersion(text, 96)) if self._handles else ""

    @staticmethod
    def _text(ask: object) -> str:
        text = ctypes.create_string_buffer(96)
        ask(text)
        return text.value.decode()


def _open(name: str) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None


def host_mib(pid: int) -> float:
    """Proportional set size of a process and all below it: pages that several share count once."""
    total, waiting = 0, [pid]
    while waiting:
        process = Path(f"/proc/{waiting.pop()}")
        try:
            lines = (process / "smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
            tasks = (process / "task").iterdir()
            waiting += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except (OSError, StopIteration):
            continue  # it has ended meanwhile
    return total / 1024


@dataclass(slots=True)
class Watch:
    """Samples while it is entered. `mark(name)` notes the peaks up to then."""

    pid: int
    nvml: Nvml
    gpu_before: float  # MiB in use before the program started
    every_s: float = 0.5  # walking the page tables of large processes is not free
    marks: dict[str, dict[str, float]] = field(default_factory=dict)
    _peak: dict[str, float] = field(default_factory=lambda: {"host_mib": 0.0, "gpu_mib": 0.0})
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> "Watch":
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join()

    def mark(self, name: str) -> None:
        self._sample()
        self.marks[name] = {kind: round(value, 1) for kind, value in self._peak.items()}

    def _run(self) -> None:
        while not self._stop.wait(self.every_s):
            self._sample()

    def _sample(self) -> None:
        self._peak["host_mib"] = max(self._peak["host_mib"], host_mib(self.pid))
        self._peak["gpu_mib"] = max(self._peak["gpu_mib"], self.nvml.used_mib() - self.gpu_before)
