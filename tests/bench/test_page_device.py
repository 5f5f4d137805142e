"""A page as a device: the same program gives the same numbers in Chromium as natively, and a refused command is an error."""

import numpy as np
import pytest

from bench.browser import Browser
from bench.make import make_gguf
from bench.page_device import PageDevice
from bench.profile import profile
from bench.quality import load, variant
from fanlight.driver import run
from fanlight.errors import DeviceError
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.source import FileSource
from fanlight.models import open_model
from fanlight.runtime import open_device
from tests.web.fixtures import CHROMIUM

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_page_computes_what_the_native_device_does(assets, tmp_path):
    checkpoint = run(open_checkpoint([FileSource(make_gguf("tiny", "Q4_0", tmp_path))]))
    model, text = run(open_model(checkpoint)), [5, 99, 250, 7, 31]
    exactly = variant("x:activations=f32,kv_dtype=f32,max_num_seqs=1,max_rows=32")
    here, there = open_device("native"), PageDevice(Browser(CHROMIUM, gpu="swiftshader"))
    try:
        found = [load(checkpoint, model, exactly, 32, device) for device in (here, there)]
        for path in ("prefill", "decode"):
            native, page = (getattr(loaded, path)(text, [2, 4]) for loaded in found)
            assert native.shape == page.shape == (2, 4096)
            np.testing.assert_allclose(page, native, rtol=0, atol=1e-4 * np.abs(native).max())
        one = profile(found[1].program, there, 1, 8, 1)
        assert one.step_us > 0 and sum(group.us for group in one.groups) > 0
        with pytest.raises(DeviceError, match="no-such-buffer"):
            run(there.read("no-such-buffer", 0, 4))
    finally:
        here.close()
        there.close()
