"""In place of a device that was lost another one, which holds the same Program and the same weights.  What the lost one held of
sequences, the engine computes again (engine.py, embedder.py)."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from fanlight.compiler.program import Limits, Program
from fanlight.errors import DeviceLost, EngineClosed, FanlightError
from fanlight.formats.source import Source
from fanlight.runtime.device import Device

Reopen = Callable[[], AbstractAsyncContextManager[tuple[Device, Sequence[Source]]]]  # one more device, and the model's files
Renew = Callable[[Device], Awaitable[Device]]  # in place of a lost one
MOST_LOSSES = 3  # of devices, between which whoever asks gains nothing
AGAIN = "load the model again; if it happens again, close other programs that use the graphics card"


async def renewed(
    program: Program, lost: Device, reopen: Reopen, has_same_weights: Callable[[Device], Awaitable[bool]]
) -> Device:
    """Raises DeviceLost where there is no such device, be it for now, where the files are not to be had or are others, or where
    one device after the other is lost before it is ready."""
    lost.close()
    try:
        for left in reversed(range(MOST_LOSSES)):
            async with reopen() as (device, sources):
                try:
                    _check_same(device, lost)
                    if (is_same := await _filled(device, program, sources, has_same_weights, left)) is None:
                        continue
                    if not is_same:
                        raise DeviceLost("the graphics adapter went away, and the model's files are others now", hint=AGAIN)
                    return device
                except BaseException:
                    device.close()
                    raise
    except (EngineClosed, DeviceLost):
        raise
    except FanlightError as error:
        what = f"the graphics adapter went away, and the model could not be loaded once more: {error.message}"
        raise DeviceLost(what, where=error.where, hint=AGAIN) from error
    raise AssertionError("the last loss is raised")


async def _filled(
    device: Device,
    program: Program,
    sources: Sequence[Source],
    has_same_weights: Callable[[Device], Awaitable[bool]],
    left: int,
) -> bool | None:
    """Whether it holds the same weights; None where it is lost meanwhile, as it may be so many times more."""
    try:
        await device.prepare(program, wait=False)
        await device.load(sources, _ignore)
        return await has_same_weights(device)
    except DeviceLost:
        if not left:
            raise
        device.close()
        return None


def _check_same(device: Device, lost: Device) -> None:
    """A Program is compiled for one adapter. A browser whose adapter failed may offer another."""
    if (device.info, _facts(device.limits)) != (lost.info, _facts(lost.limits)):
        was, now = (d.info.description or d.info.device or d.info.vendor or "unknown" for d in (lost, device))
        raise DeviceLost(f"the graphics adapter went away: {was}, and another one is here: {now}", hint=AGAIN)


def _facts(limits: Limits) -> Limits:
    """Without what depends on who else is there."""
    return replace(limits, memory_bytes=None)


def _ignore(done: int, total: int) -> None:
    """Nobody wants to know."""
