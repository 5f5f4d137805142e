"""The replayer against numbers worked out in Python, from JavaScript and from Python under Pyodide."""

import json
import struct
from dataclasses import replace

import pytest

from fanlight.compiler.program import BufferSpec, KernelSpec
from tests.web.browser import run_program, run_python
from tests.web.programs import tiny_program

pytestmark = pytest.mark.browser


def inputs_bytes(*indices: int) -> bytes:
    return struct.pack("<80I", *([0] * 64), *indices, *([0] * (16 - len(indices))))


def test_run_program_gives_the_numbers(page):
    program = tiny_program()
    weight = struct.pack("<256I", *(i * i for i in range(256)))
    writes = [("weight", 0, weight), ("sampled", 0, struct.pack("<4I", 1, 2, 3, 4))]
    (sampled, part) = run_program(
        page, program.to_json(), writes, "decode", inputs_bytes(1, 10, 100, 255), [("sampled", 0, 16), ("weight", 8, 8)]
    )
    assert struct.unpack("<4I", sampled) == (3 * 1 + 1, 3 * 100 + 2, 3 * 10000 + 3, 3 * 255 * 255 + 4)
    assert struct.unpack("<2I", part) == (4, 9)


def test_a_kernel_that_does_not_compile_says_where(page):
    program = tiny_program()
    broken = KernelSpec("scale", program.kernels[1].wgsl.replace("* factor[0]", "* factr[0]"), program.kernels[1].access)
    text = replace(program, kernels=(program.kernels[0], broken, program.kernels[2])).to_json()
    with pytest.raises(Exception, match=r"factr") as caught:
        run_program(page, text, [], "decode", None, [])
    assert "KernelFailed" in str(caught.value)


DEVICE = """
import asyncio, struct
from fanlight.compiler.program import Program, Slice, pack_records
from fanlight.runtime.browser import BrowserDevice

device = BrowserDevice(replayer)
await device.prepare(Program.from_json(PROGRAM))
device.write("weight", 0, struct.pack("<256I", *(i * i for i in range(256))))
records = [struct.pack("<80I", *([0] * 64), i, 10, 100, 255, *([0] * 12)) for i in range(4)]
tickets = [device.submit("decode", record) for record in records]
tickets.append(device.submit("decode", pack_records(records[1:]), 3))
first = device.result(tickets[0])
async def wait():
    return await first
cancelled = asyncio.ensure_future(wait())
await asyncio.sleep(0)
cancelled.cancel()
results = [await first] + [await device.result(ticket) for ticket in tickets[1:]]
together = results.pop()
device.copy([(Slice("weight", 16, 8), Slice("sampled", 8, 8)), (Slice("weight", 24, 4), Slice("sampled", 12, 4))])
copied = list(struct.unpack("<4I", await device.read("weight", 12, 16)))
device.clear("sampled", 0, 8)
after = list(struct.unpack("<4I", await device.read("sampled", 0, 16)))
times = await device.timings("decode", bytes(320))
import json
json.dumps([results, together, after, copied, [[t.kernel, t.where, t.microseconds >= 0] for t in times],
            device.limits.max_buffer_size, sorted(device.limits.features)])
"""


def test_python_runs_a_program_through_the_replayer(page):
    """Four steps in flight, each adding to what was left; then three in one submit, each with a record of its own. Who waits
    first is cancelled, which costs who waits next nothing."""
    code = DEVICE.replace("PROGRAM", repr(tiny_program().to_json()))
    done = run_python(page, code, gpu=True)
    results, together, after, copied, times, max_buffer_size, features = json.loads(done["result"])
    steps = [(3 * i * i, 300, 30000, 3 * 255 * 255) for i in (0, 1, 2, 3, 1)]
    sums = [[sum(column[: n + 1]) for column in zip(*steps, strict=True)] for n in range(5)]
    assert results == sums[:4]
    assert together == [*sums[4], *steps[2], *steps[3]]
    assert after == [0, 0, *sums[-1][2:]]
    assert copied == [9, *sums[-1][2:], sums[-1][3]]
    assert times == [["scale", "the only layer", True]]
    assert max_buffer_size >= 256 << 20
    print(f"boot {done['bootMs']:.0f} ms; features {features}")


SHARED = """async ({ program }) => {
  const { openGpu, Replayer } = await import("/fanlight/replay.js");
  const caught = (promise) => promise.then(() => null, ({ name }) => name);
  const inputs = (...indices) => {
    const words = new Uint32Array(80);
    words.set(indices, 64);
    return new Uint8Array(words.buffer);
  };
  const gpu = await openGpu();
  const replayers = [1, 2, 3].map(() => new Replayer(gpu));
  for (const [i, replayer] of replayers.entries()) {
    await replayer.prepare(program);
    replayer.write("weight", 0, new Uint8Array(Uint32Array.from({ length: 256 }, (_, n) => n * (i + 1)).buffer));
  }
  const steps = replayers.map((r) => [r.submit("decode", inputs(1, 2, 3, 4)), r.submit("decode", inputs(5, 6, 7, 8))]);
  const out = { results: [] };
  for (const turn of [1, 0]) {
    for (const [i, replayer] of replayers.entries()) out.results.push(Array.from(await replayer.result(steps[i][turn])));
  }
  const [first, second, third] = replayers;
  const tickets = Array.from({ length: 4 }, () => first.submit("decode", inputs(0, 0, 0, 0)));
  const pending = tickets.slice(1).map((ticket) => caught(first.result(ticket)));
  const preparing = caught(third.prepare(program));
  first.close();
  third.close();
  first.close();
  out.pending = [...(await Promise.all(pending)), await caught(first.result(tickets[0])), await preparing];
  out.closed = [await caught(first.read("sampled", 0, 16)), await caught(third.prepare(program))];
  out.left = Array.from(await second.result(second.submit("decode", inputs(0, 0, 0, 1))));
  const fourth = new Replayer(gpu);
  await fourth.prepare(program);
  second.close();
  out.alive = Array.from(await fourth.read("sampled", 0, 16));
  const fifth = new Replayer(gpu);
  gpu.device.destroy(); // as if the adapter went away
  await gpu.device.lost;
  out.lost = [await caught(fourth.read("sampled", 0, 16)), await caught(fifth.prepare(program))];
  return out;
}"""


def test_several_programs_share_a_gpu(page):
    out = page.evaluate(SHARED, {"program": tiny_program().to_json()})
    first = [[3 * i * n for n in (1, 2, 3, 4)] for i in (1, 2, 3)]
    both = [[3 * i * (n + n + 4) for n in (1, 2, 3, 4)] for i in (1, 2, 3)]
    assert out["results"] == [*both, *first]
    assert set(out["pending"]) == {"EngineClosed"}
    assert out["closed"] == ["EngineClosed", "EngineClosed"]
    assert out["left"] == [a + b for a, b in zip(both[1], [0, 0, 0, 6], strict=True)]
    assert out["alive"] == [0] * 16
    assert out["lost"] == ["DeviceLost", "DeviceLost"]


NO_ROOM = """async ({ program, wanted }) => {
  const { openGpu, Replayer } = await import("/fanlight/replay.js");
  const caught = (promise) => promise.then(() => null, ({ name, where }) => [name, where]);
  const gpu = await openGpu();
  const first = new Replayer(gpu);
  await first.prepare(program);
  const { createBuffer } = GPUDevice.prototype;
  const source = { name: "a", size: 1 << 20, read: async (_, size) => new Uint8Array(size) };
  const out = [];
  for (const label of wanted) {
    GPUDevice.prototype.createBuffer = function (given) {
      return createBuffer.call(this, given.label === label ? { ...given, size: 2 ** 40 } : given);
    };
    const replayer = new Replayer(gpu);
    out.push(await caught(replayer.prepare(program).then(() => replayer.load([source], () => undefined))));
    GPUDevice.prototype.createBuffer = createBuffer;
    replayer.close();
    const left = new Replayer(gpu);
    out.push(await caught(left.prepare(program).then(() => left.load([source], () => undefined))));
    left.close();
  }
  return [out, Array.from(await first.read("sampled", 0, 16))];
}"""


def test_no_room_for_one_is_not_told_to_the_others(page):
    """Of none of the buffers that a Program takes: on a device that several share, one error would end them all."""
    wanted = ["weight", "sampled 3", "weights 0"]
    program = tiny_program(1000, piece_words=10)
    out, alive = page.evaluate(NO_ROOM, {"program": program.to_json(), "wanted": wanted})
    assert out[::2] == [["DoesNotFit", f"buffer '{label}'"] for label in wanted]
    assert out[1::2] == [None] * 3 and alive == [0] * 16


FAILURES = """async ({ program, tooLarge }) => {
  const { openGpu, Replayer } = await import("/fanlight/replay.js");
  const caught = async (promise) => {
    try {
      await promise;
      return null;
    } catch ({ name, message, where }) {
      return { name, message, where };
    }
  };
  const gpu = await openGpu();
  const out = { tooLarge: await caught(new Replayer(gpu).prepare(tooLarge)) };
  const replayer = new Replayer(gpu);
  await replayer.prepare(program);
  const tickets = Array.from({ length: 16 }, () => replayer.submit("decode", new Uint8Array(320)));
  out.oneMore = await caught((async () => replayer.submit("decode", new Uint8Array(320)))());
  out.first = Array.from(await replayer.result(tickets[0]));
  out.twice = await caught(replayer.result(tickets[0]));
  gpu.device.destroy(); // as if the adapter went away
  const pending = await Promise.all(tickets.slice(1).map((ticket) => caught(replayer.result(ticket))));
  out.pending = pending.filter((error) => error !== null);
  await gpu.device.lost;
  out.later = await caught(replayer.read("sampled", 0, 16));
  replayer.close();
  out.closed = await caught(replayer.read("sampled", 0, 16));
  return out;
}"""


def test_failures_are_typed(page):
    program = tiny_program()
    too_large = replace(program, buffers=(*program.buffers, BufferSpec("huge", 1 << 40, "weight")))
    out = page.evaluate(FAILURES, {"program": program.to_json(), "tooLarge": too_large.to_json()})
    assert (out["tooLarge"]["name"], out["tooLarge"]["where"]) == ("DoesNotFit", "buffer 'huge'")
    assert out["oneMore"]["name"] == "DeviceError" and "in flight" in out["oneMore"]["message"]
    assert out["first"] == [0, 0, 0, 0]
    assert out["twice"]["name"] == "DeviceError"
    assert {error["name"] for error in out["pending"]} <= {"DeviceLost"}
    assert out["later"]["name"] == "DeviceLost"
