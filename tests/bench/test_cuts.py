"""Other cuts of a step's kernels, side by side in one program: each computes what the usual one does."""

from bench import cuts
from bench.make import make_gguf
from fanlight.api.load import LoadOptions
from fanlight.compiler.program import Row, Sample, pack_inputs
from fanlight.compiler.tuning import UNTUNED
from fanlight.driver import run
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.source import FileSource
from fanlight.models import open_model
from fanlight.runtime import open_device


def test_every_cut_computes_the_same_token(tmp_path):
    checkpoint = run(open_checkpoint([FileSource(make_gguf("tiny-experts", "Q4_K_M", tmp_path))]))
    device = open_device("native")
    everything = list(cuts.variants_of(run(open_model(checkpoint)), device.limits, LoadOptions(128, max_num_seqs=1), UNTUNED))
    assert {"as usual", "attention"} < {variant.what for variant in everything}
    variants = everything[:1] + everything[1::9]
    assert len({variant.what for variant in variants}) > 4
    cuts.prepare(device, checkpoint, variants)
    inputs = pack_inputs([Row(5, 0, 0)], [Sample(0, 0)], 1)
    tokens = [run(device.result(device.submit(str(number), inputs))) for number in range(len(variants))]
    assert all(token == tokens[0] for token in tokens)
    found = cuts.times(device, variants[:2], 1, 1)
    device.close()
    assert all(us > 0 for us in found)
    assert cuts.table(variants[:2], found, 1).count(variants[1].what) == 1
