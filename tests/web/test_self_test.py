"""Self-test and tuning in Chromium: the built-in model's kernels are checked at the first load, remembered at the second."""

import json

import pytest

from tests.web.browser import run_python

pytestmark = pytest.mark.browser

LOAD = """async () => {
  const { load } = await import("/fanlight/index.js");
  const told = [];
  const onProgress = ({ text }) => told.push([text, performance.now()]);
  const engine = await load("built-in", { contextLength: 256, onProgress });
  const { kernels } = engine.info;
  await engine.close();
  const at = told.findIndex(([text]) => text.startsWith("Checking"));
  return { kernels, checkMs: told[at + 1][1] - told[at][1] };
}"""

KEPT = """async () => {
  const { deleteModel, listModels } = await import("/fanlight/index.js");
  const store = await (await navigator.storage.getDirectory()).getDirectoryHandle("fanlight");
  const programs = async () => (await Array.fromAsync(store.keys())).filter((name) => name.startsWith("program-")).length;
  const before = await programs();
  for (const { url } of await listModels()) await deleteModel(url);
  return [before, await programs()];
}"""


@pytest.mark.timeout(300)
def test_kernels_are_checked_once(page):
    first, second = page.evaluate(LOAD), page.evaluate(LOAD)
    assert first["kernels"]["checked"] >= 30 and not first["kernels"]["wrong"]
    assert second["kernels"] == first["kernels"]
    assert page.evaluate(KEPT) == [1, 0]  # its Program is deleted with the model
    print(f"checks: {first['checkMs']:.0f} ms, then {second['checkMs']:.0f} ms")


TUNE = """
import json
from fanlight.compiler.tuning import UNTUNED
from fanlight.kernels.linear import Linear
from fanlight.runtime import autotune
from fanlight.runtime.browser import BrowserDevice

device = BrowserDevice(replayer)
products = [Linear("Q4_0", 256, 512, 1, 512, 256, norm_eps=1e-5), Linear("Q8_0", 96, 512, 16, 512, 96)]
contests = [autotune._contest(p, UNTUNED, device.limits, 1) for p in products]
found = await autotune.autotune(contests, device, 60.0)
json.dumps([found, autotune.is_software(device.info), [len(c.candidates) for c in contests]])
"""


@pytest.mark.timeout(300)
def test_tuning_runs_on_the_pages_device(page):
    """What wins is not the question here: that each contest ends, and that this adapter is known for what it is."""
    found, is_software, num_candidates = json.loads(run_python(page, TUNE, gpu=True)["result"])
    assert is_software and set(found) == {"gemv_int8 Q4_0 256x512 norm", "gemm_int8 Q8_0"}
    assert min(num_candidates) > 2
