"""The self-test in Chromium: the built-in model's kernels are checked at the first load, and remembered at the second."""

import pytest

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


@pytest.mark.timeout(300)
def test_kernels_are_checked_once(page):
    first, second = page.evaluate(LOAD), page.evaluate(LOAD)
    assert first["kernels"]["checked"] >= 30 and not first["kernels"]["wrong"]
    assert second["kernels"] == first["kernels"]
    print(f"checks: {first['checkMs']:.0f} ms, then {second['checkMs']:.0f} ms")
