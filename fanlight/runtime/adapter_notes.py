"""What is known of an adapter: which kernels it computes rightly (self_test.py), and how it wants them cut (tuning.py).

Found out at the first load, kept between loads under a name that changes with adapter, driver and browser; a kernel's verdict
is of its very text."""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from hashlib import sha256

from fanlight.compiler.program import Limits
from fanlight.kernels.gemm_int8 import Tile
from fanlight.kernels.gemv_int8 import Shape
from fanlight.kernels.spec import read_wgsl
from fanlight.runtime.device import AdapterInfo, Device
from fanlight.runtime.notes import Notes

NOT_GPUS = frozenset({"null", ""})  # backends that run no kernels


@dataclass(slots=True)
class AdapterNotes:
    store: Notes
    name: str
    verdicts: dict[str, str] = field(default_factory=dict)  # by kernel_hash: '' or what is wrong
    cuts: dict[str, tuple[int, ...]] = field(default_factory=dict)  # by product_key: fields of a Shape or a Tile
    code: str = ""  # the version of ours, where it is known
    without: frozenset[str] = frozenset()  # what this load's Program does without

    def summary(self) -> dict[str, object]:
        """For whoever loaded a model, and for issues."""
        wrong = sorted(words for words in self.verdicts.values() if words)
        return {
            "checked": len(self.verdicts),
            "wrong": wrong,
            "without": sorted(self.without),
            "tuned": {key: list(cut) for key, cut in self.cuts.items()},
        }

    async def save(self) -> None:
        await self.store.write(self.name, json.dumps({"verdicts": self.verdicts, "cuts": self.cuts, "cuts_of": cuts_version()}))


async def open_notes(store: Notes, device: Device, version: str = "", code: str = "") -> AdapterNotes | None:
    """version: of what compiles the kernels, where the adapter's description does not say it. code: the build of Fanlight;
    without it no Program is kept, nor for a device that is checked: it knows references only of what it saw compiled. None
    where no GPU is."""
    if device.info.backend in NOT_GPUS:
        return None
    code = "" if getattr(device, "is_checked", False) else code
    notes = AdapterNotes(store, note_name(device.info, device.limits, version), code=code)
    try:
        found = json.loads(await store.read(notes.name) or "{}")
        notes.verdicts = {str(key): str(words) for key, words in found.get("verdicts", {}).items()}
        if found.get("cuts_of") == cuts_version():
            notes.cuts = {str(key): tuple(cut) for key, cut in found["cuts"].items()}
    except (ValueError, TypeError, AttributeError, KeyError):
        pass  # written by something else: find out again
    return notes


def cuts_version() -> str:
    """Changes with the kernels that are cut, and with what a cut is."""
    texts = [read_wgsl(file) for file in ("gemv_int8.wgsl", "lib/stage_float.wgsl", "gemm_int8.wgsl", "gemm_f16.wgsl")]
    texts += [field.name for cut in (Shape, Tile) for field in fields(cut)]
    return sha256("".join(texts).encode()).hexdigest()[:16]


def note_name(info: AdapterInfo, limits: Limits, version: str) -> str:
    limits = replace(limits, memory_bytes=None)  # which changes with what else runs there
    facts = [asdict(info), asdict(limits) | {"features": sorted(limits.features)}, version]
    return f"adapter-{sha256(json.dumps(facts).encode()).hexdigest()[:16]}.json"
