"""A Program small enough to check by hand: one step that scales what was uploaded and counts its rows."""

from fanlight.compiler.program import (
    BufferSpec,
    Constant,
    KernelSpec,
    Launch,
    Program,
    Slice,
    Step,
    Upload,
    inputs_size,
    sampled_size,
)

COPY = """
@group(0) @binding(0) var<storage, read> staging: array<u32>;
@group(0) @binding(1) var<storage, read> params: array<u32>;
@group(0) @binding(2) var<storage, read_write> weight: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < params[1]) { weight[params[0] + id.x] = staging[id.x]; }
}
"""

SCALE = """
@group(0) @binding(0) var<storage, read> inputs: array<u32>;
@group(0) @binding(1) var<storage, read> weight: array<u32>;
@group(0) @binding(2) var<storage, read> factor: array<u32>;
@group(0) @binding(3) var<storage, read_write> sampled: array<u32>;
@compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < 4u) { sampled[id.x] = weight[inputs[64u + id.x]] * factor[0] + sampled[id.x]; }
}
"""

# A hash of the uploaded words that depends on their order: h = h * 31 + word, over the words of weight.
HASH = """
@group(0) @binding(0) var<storage, read> weight: array<u32>;
@group(0) @binding(1) var<storage, read_write> hash: array<u32>;
@compute @workgroup_size(1) fn main() {
  var h = 0u;
  for (var i = 0u; i < arrayLength(&weight); i++) { h = h * 31u + weight[i]; }
  hash[0] = h;
}
"""

SEQS = 4
INPUTS, SAMPLED = inputs_size(SEQS, SEQS), sampled_size(SEQS)


def hash_words(words: list[int]) -> int:
    h = 0
    for word in words:
        h = (h * 31 + word) & 0xFFFF_FFFF
    return h


def tiny_program(num_words: int = 256, piece_words: int = 100, first_byte: int = 0, factor: int = 3) -> Program:
    """Uploads `num_words` u32 of file 0 from `first_byte` on, in pieces, into `weight`. Step 'decode': sampled += factor *
    weight[inputs[64..68]]. Step 'hash': `hash` of `weight`."""
    weight = Slice("weight", 0, 4 * num_words)

    def upload(first: int) -> Upload:
        count = min(piece_words, num_words - first)
        bindings = (Slice("staging", 0, 4 * piece_words), Slice("upload_params", 0, 16), weight)
        launch = Launch("copy", bindings, (-(-count // 64), 1, 1), f"upload {first}")
        return Upload(0, first_byte + 4 * first, 4 * count, (first, count, 0, 0), launch)

    scale = Launch(
        "scale",
        (Slice("inputs", 0, INPUTS), weight, Slice("factor", 0, 16), Slice("sampled", 0, SAMPLED)),
        (1, 1, 1),
        "the only layer",
    )
    return Program(
        name="tiny",
        context_length=16,
        vocab_size=4,
        max_num_seqs=SEQS,
        block_size=16,
        num_blocks=4,
        max_rows=4,
        buffers=(
            BufferSpec("inputs", INPUTS, "io"),
            BufferSpec("sampled", SAMPLED, "io"),
            BufferSpec("factor", 16, "io"),
            BufferSpec("hash", 16, "io"),
            BufferSpec("weight", 4 * num_words, "weight"),
            BufferSpec("staging", 4 * piece_words, "staging"),
            BufferSpec("upload_params", 64, "staging"),
        ),
        kernels=(
            KernelSpec("copy", COPY, ("read", "read", "read_write")),
            KernelSpec("scale", SCALE, ("read", "read", "read", "read_write")),
            KernelSpec("hash", HASH, ("read", "read_write")),
        ),
        steps=(
            Step("decode", 4, 4, (scale,)),
            Step("hash", 0, 0, (Launch("hash", (weight, Slice("hash", 0, 16)), (1, 1, 1), "hash"),)),
        ),
        uploads=tuple(upload(first) for first in range(0, num_words, piece_words)),
        constants=(Constant("factor", 0, factor.to_bytes(4, "little")),),
    )
