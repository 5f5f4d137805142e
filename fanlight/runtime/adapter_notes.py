"""What is known of an adapter: which kernels it computes rightly (self_test.py), and how it wants them cut (tuning.py).

Found out at the first load, kept between loads under a name that changes with adapter, driver and browser; a kernel's verdict
is of its very text."""

import json
from dataclasses import asdict, dataclass, field
from hashlib import sha256

from fanlight.compiler.program import Limits
from fanlight.runtime.device import AdapterInfo, Device
from fanlight.runtime.notes import Notes

NOT_GPUS = frozenset({"null", ""})  # backends that run no kernels


@dataclass(slots=True)
class AdapterNotes:
    store: Notes
    name: str
    verdicts: dict[str, str] = field(default_factory=dict)  # by kernel_hash: '' or what is wrong
    shapes: dict[str, list] = field(default_factory=dict)  # by tuning's keys
    without: frozenset[str] = frozenset()  # what this load's Program does without

    def summary(self) -> dict[str, object]:
        """For whoever loaded a model, and for issues."""
        wrong = sorted(words for words in self.verdicts.values() if words)
        return {"checked": len(self.verdicts), "wrong": wrong, "without": sorted(self.without), "tuned": len(self.shapes)}

    async def save(self) -> None:
        await self.store.write(self.name, json.dumps({"verdicts": self.verdicts, "shapes": self.shapes}))


async def open_notes(store: Notes, device: Device, version: str = "") -> AdapterNotes | None:
    """version: of what compiles the kernels, where the adapter's description does not say it. None where no GPU is."""
    if device.info.backend in NOT_GPUS:
        return None
    notes = AdapterNotes(store, note_name(device.info, device.limits, version))
    try:
        found = json.loads(await store.read(notes.name) or "{}")
        notes.verdicts = {str(key): str(words) for key, words in found.get("verdicts", {}).items()}
        notes.shapes = {str(key): list(shape) for key, shape in found.get("shapes", {}).items()}
    except (ValueError, TypeError, AttributeError):
        pass  # written by something else: find out again
    return notes


def note_name(info: AdapterInfo, limits: Limits, version: str) -> str:
    facts = [asdict(info), asdict(limits) | {"features": sorted(limits.features)}, version]
    return f"adapter-{sha256(json.dumps(facts).encode()).hexdigest()[:16]}.json"
