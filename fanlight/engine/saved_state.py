"""What the KV cache holds of a conversation, as bytes to keep, and back again: another process, or another day, goes on without
computing its tokens anew.  Whole blocks of the prefix cache, in a file that knows what it was made with:

    magic, u32 size of the header, header (JSON), each layer's keys of all blocks, then values, then scales where elements share
    some (of the blocks that the next token sees, where a layer keeps no more than its window), what layers carry behind the
    last block (snapshots.py), SHA-256 of all of it
"""

import hashlib
import json
from collections.abc import Awaitable, Iterator, Sequence
from typing import Any

from fanlight.compiler.program import KVState, Program
from fanlight.engine.kv_cache import KVCache
from fanlight.errors import DoesNotFit, FormatError, RequestError
from fanlight.runtime.device import Device

MAGIC = b"FANLIGHT-STATE-1"
DIGEST_BYTES = 32


async def save_state(
    program: Program, cache: KVCache, device: Device, token_ids: Sequence[int], made_with: str
) -> tuple[int, list[bytes]]:
    """How many of the tokens are whole blocks of the cache, and the parts of a file of these. made_with: a name for weights and
    kernels."""
    _check_savable(program)
    blocks, hashes = cache.blocks_of(token_ids), cache.hashes_of(token_ids)
    num_there, kept = cache.continued(hashes[: len(blocks)])
    blocks, seen = blocks[:num_there], cache.window.seen_after(hashes[:num_there]) if cache.window is not None else []
    count = len(blocks) * program.block_size
    header = {**_facts(program, made_with), "token_ids": list(token_ids[:count])}
    # All are queued before any is waited for: a step that comes later may take the blocks for something else.
    readings: list[Awaitable[bytes]] = [
        device.read(state.buffer, offset, size)
        for state in program.states
        for offset, size in _places(program, state, seen if state.is_windowed else blocks)
    ]
    if kept is not None:
        readings += [device.read(s.snapshots, kept * s.bytes_per_slot, s.bytes_per_slot) for s in program.slot_states]
    text = json.dumps(header).encode()
    parts = [MAGIC, len(text).to_bytes(4, "little"), text, *[await reading for reading in readings]]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return count, [*parts, digest.digest()]


def restore_state(program: Program, cache: KVCache, device: Device, data: bytes, made_with: str) -> list[int]:
    """The token ids whose blocks are in the cache now. Raises FormatError or DoesNotFit, and then nothing has changed."""
    _check_savable(program)
    header, payload = _opened(data)
    facts = _facts(program, made_with)
    wrong = [f"{name} {header.get(name)!r}, here {value!r}" for name, value in facts.items() if header.get(name) != value]
    if wrong:
        raise FormatError(
            f"this state was made with {'; '.join(wrong)}", hint="ask anew: the model computes the conversation again"
        )
    token_ids = header.get("token_ids")
    if not isinstance(token_ids, list) or not all(type(t) is int and 0 <= t < program.vocab_size for t in token_ids):
        raise FormatError("this state's token ids are none of this model's")
    num_blocks, rest = divmod(len(token_ids), program.block_size)
    carried = sum(state.bytes_per_slot for state in program.slot_states) if token_ids else 0
    num_seen = num_blocks if cache.window is None else num_blocks - cache.window.first_seen(len(token_ids))
    kept = {False: len(token_ids), True: num_seen * program.block_size}
    size = sum(layer.bytes_per_token * kept[layer.is_windowed] for layer in program.states) + carried
    if rest or size != len(payload):
        raise FormatError(f"this state has {len(payload)} bytes for {len(token_ids)} tokens; expected {size}")
    place = cache.snapshots.take() if cache.snapshots is not None and token_ids else None
    blocks = cache.adopt(token_ids) if place is not None or not carried else None
    if blocks is None:
        if place is not None and cache.snapshots is not None:
            cache.snapshots.give_back(place)
        raise DoesNotFit(
            f"this state needs {num_blocks} blocks of the KV cache; {cache.num_free_blocks} are free",
            hint="when fewer answers are running, or with a larger context length",
        )
    at = 0
    seen = cache.window.seen_after(cache.hashes_of(token_ids)) if cache.window is not None else []
    for layer in program.states:
        for offset, size in _places(program, layer, seen if layer.is_windowed else blocks):
            device.write(layer.buffer, offset, bytes(payload[at : at + size]))
            at += size
    if place is not None and cache.snapshots is not None:
        for state in program.slot_states:
            size = state.bytes_per_slot
            device.write(state.snapshots, place * size, bytes(payload[at : at + size]))
            at += size
        cache.snapshots.name(place, cache.hashes_of(token_ids)[-1])
    return token_ids


def _check_savable(program: Program) -> None:
    if program.is_recurrent and not program.num_snapshots:
        carried = program.slot_states[0].name
        raise RequestError(
            f"{program.name} carries a state from token to token ({carried}), and was compiled without snapshots of it",
            param="model",
            hint="ask anew: the model computes the conversation again",
        )


def _opened(data: bytes) -> tuple[dict[str, Any], memoryview]:
    start = len(MAGIC) + 4
    if not data.startswith(MAGIC):
        raise FormatError("is no saved state of this version", hint="one that this version of Fanlight saved")
    end = start + int.from_bytes(data[len(MAGIC) : start], "little")
    view = memoryview(data)  # it may be large: what is read of it is not copied
    if len(data) < end + DIGEST_BYTES or hashlib.sha256(view[:-DIGEST_BYTES]).digest() != data[-DIGEST_BYTES:]:
        raise FormatError("this state is damaged: it is cut off, or its bytes have changed")
    header = json.loads(data[start:end])
    return header, view[end:-DIGEST_BYTES]


def _facts(program: Program, made_with: str) -> dict[str, Any]:
    """What must be the same."""
    layers = [[s.buffer, s.kv_heads, s.head_dim, s.v_head_dim, s.dtype] for s in program.states]
    facts = {"made_with": made_with, "block_size": program.block_size, "layers": layers}
    windowed = [s.buffer for s in program.states if s.is_windowed]
    facts |= {"window": program.window or None, "windowed": windowed or None}  # None: as what is not said
    carried = [[s.buffer, s.bytes_per_slot] for s in program.slot_states]
    return facts | {"carried": carried} if carried else facts


def _places(program: Program, state: KVState, blocks: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Each region (keys, values) of the blocks in order: runs of neighbours as (offset, size) in the layer's buffer."""
    base = 0
    for region in state.regions:
        first, size = 0, state.block_size * region
        for i in range(1, len(blocks) + 1):
            if i == len(blocks) or blocks[i] != blocks[i - 1] + 1:
                yield base + blocks[first] * size, (i - first) * size
                first = i
        base += program.blocks_of(state) * size
