"""What a shader is said to need, against Chromium's judgement and sizes worked out by hand."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from fanlight.compiler.program import Limits
from fanlight.compiler.verify import excess
from fanlight.kernels import cases as kernel_cases
from fanlight.kernels.gemm_matrix import MATRICES
from fanlight.kernels.spec import Kernel
from fanlight.kernels.wgsl import needs_of

TOO_LARGE = """
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
var<workgroup> a: array<vec4<f32>, 1025>;
@compute @workgroup_size(1) fn main() { a[0] = vec4<f32>(1.0); y[0] = a[1].x; }
"""
MAIN = "@compute @workgroup_size(N, 2) fn main() {}"


@pytest.mark.parametrize(
    ("text", "num_bytes"),
    [
        ("var<workgroup> a: f32;", 16),
        ("var<workgroup> a: array<f32, N>;", 64),
        ("var<workgroup> a: array<vec3<f32>, 2>;", 32),
        ("var<workgroup> a: array<vec4<f32>, N * 2u - 1u>;", 31 * 16),
        ("const M = (N + 1u) / 2u; var<workgroup> a: array<vec2<f16>, M>;", 32),
        ("var<workgroup> a: array<atomic<u32>, 8>; var<workgroup> b: vec2f;", 48),
        ("struct S { a: f32, b: vec4<f32>, c: u32 } var<workgroup> s: array<S, 2>;", 96),
        ("alias T = vec4<u32>; const B = 3u * A; const A = N; var<workgroup> a: array<T, B>;", 48 * 16),
        ("// var<workgroup> a: f32;\nvar<workgroup> m: mat4x4<f32>;", 64),
        ("var<workgroup> a: buffer<16u * max(N, 3u)>;", 256),
        ("const W = select(1u, 4u, N > 8u); var<workgroup> a: array<array<f32, W>, 4>;", 64),
    ],
)
def test_sizes_by_hand(text, num_bytes):
    needs = needs_of("\n".join(["const N: u32 = 16u;", *(part + ";" for part in text.split(";") if part.strip()), MAIN]))
    assert needs.workgroup_bytes == num_bytes and needs.workgroup_size == (16, 2, 1)


COMPILE = """
async (kernels) => {
  const adapter = await navigator.gpu.requestAdapter();
  const gpu = await adapter.requestDevice(); // with no more than WebGPU promises
  const results = [];
  for (const { wgsl, access } of kernels) {
    const entries = access.map((kind, binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: kind === "read" ? "read-only-storage" : "storage" },
    }));
    gpu.pushErrorScope("validation");
    const layout = gpu.createPipelineLayout({ bindGroupLayouts: [gpu.createBindGroupLayout({ entries })] });
    gpu.createComputePipeline({ layout, compute: { module: gpu.createShaderModule({ code: wgsl }), entryPoint: "main" } });
    results.push((await gpu.popErrorScope())?.message ?? "");
  }
  gpu.destroy();
  return results;
}
"""


def plain_kernels(stem: str) -> list[Kernel]:
    return [case.kernel for case in kernel_cases.cases_of(stem) if not case.kernel.features]


@pytest.mark.browser
def test_what_fits_compiles_and_what_does_not_is_refused(page):
    """On a device that has no more than WebGPU promises, in Chromium (wgpu does not count workgroup memory): of every kernel
    the case that takes most of it."""
    plain = filter(None, map(plain_kernels, kernel_cases.stems()))
    kernels = [max(made, key=lambda k: needs_of(k.wgsl()).workgroup_bytes) for made in plain]
    asked = [{"wgsl": k.wgsl(), "access": [b.access for b in k.bindings]} for k in kernels]
    asked += [{"wgsl": TOO_LARGE, "access": ["read_write"]}]
    found = page.evaluate(COMPILE, asked)
    for one, message in zip(asked, found, strict=True):
        words = excess(one["wgsl"], len(one["access"]), (), Limits())
        assert bool(words) == bool(message), (words, message, one["wgsl"])


DAWN = """
import { readFileSync } from "node:fs";
import { create, globals } from "webgpu";
Object.assign(globalThis, globals);
const gpu = create(["backend=null", "enable-dawn-features=allow_unsafe_apis"]); // must outlive its adapter
const adapter = await gpu.requestAdapter();
const device = await adapter.requestDevice({ requiredFeatures: ["shader-f16", "subgroups", MATRICES] });
const found = [];
for (const code of JSON.parse(readFileSync(0, "utf8"))) {
  device.pushErrorScope("validation");
  device.createShaderModule({ code });
  found.push((await device.popErrorScope())?.message ?? "");
}
console.log(JSON.stringify(found));
process.exit(0);
"""
ENABLE = {"subgroups": "enable subgroups;", MATRICES: "requires buffer_view;\nenable chromium_experimental_subgroup_matrix;"}


def test_chromes_compiler_takes_what_no_chromium_here_can_run():
    """Dawn for node, on no GPU: kernels of features that SwiftShader does not have."""
    web = Path(__file__).parents[2] / "web"
    if not shutil.which("node") or not (web / "node_modules" / "webgpu").exists():
        pytest.skip("needs node and web/node_modules: npm ci in web/")
    kernels = [case.kernel for stem in kernel_cases.stems() for case in kernel_cases.cases_of(stem) if case.kernel.features]
    assert {"gemm_f16", "gemm_matrix"} <= {kernel.stem for kernel in kernels}
    texts = ["\n".join([*(ENABLE.get(f, "") for f in kernel.features), kernel.wgsl()]) for kernel in kernels]
    node = ["node", "--input-type=module", "-e", DAWN.replace("MATRICES", json.dumps(MATRICES))]
    answer = subprocess.run(node, cwd=web, input=json.dumps([*texts, "fn broken("]), capture_output=True, text=True, check=True)
    *found, broken = json.loads(answer.stdout)
    assert broken
    assert not [(kernel.stem, message) for kernel, message in zip(kernels, found, strict=True) if message]
