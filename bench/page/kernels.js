/* Times the kernels of /jobs (bench/kernels.py) one after the other and posts {name: microseconds or an error}. */

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

/** Random, and plausible as f16 scales: no infinities. */
function randomBits(size) {
  const words = new Uint32Array(size / 4);
  let x = 2463534242;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x & 0xb3ffb3ff;
  }
  return words;
}

function fill(device, made, binding) {
  const content = binding.data ? bytes(binding.data) : randomBits(Math.min(binding.size, 1 << 20));
  for (const buffer of made) {
    for (let at = 0; at < (binding.data ? 1 : binding.size); at += content.byteLength) {
      device.queue.writeBuffer(buffer, at, content, 0, Math.min(content.byteLength, binding.size - at) / (binding.data ? 1 : 4));
    }
  }
}

async function measure(device, job) {
  const entries = job.bindings.map(({ access }, binding) => ({
    binding,
    visibility: GPUShaderStage.COMPUTE,
    buffer: { type: access === "read" ? "read-only-storage" : "storage" },
  }));
  const layout = device.createBindGroupLayout({ entries });
  const pipeline = await device.createComputePipelineAsync({
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module: device.createShaderModule({ code: job.features.map((name) => DIRECTIVES[name] ?? "").join("") + job.wgsl }), entryPoint: "main" },
  });
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
  const buffers = job.bindings.map(({ size, copies }) => Array.from({ length: copies }, () => device.createBuffer({ size, usage })));
  job.bindings.forEach((binding, i) => fill(device, buffers[i], binding));
  const groups = Array.from({ length: Math.max(...buffers.map((made) => made.length)) }, (_, i) =>
    device.createBindGroup({
      layout,
      entries: buffers.map((made, binding) => ({ binding, resource: { buffer: made[i % made.length] } })),
    }),
  );
  await device.queue.onSubmittedWorkDone();

  async function once(count) {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    for (let i = 0; i < count; i++) {
      pass.setBindGroup(0, groups[i % groups.length]);
      pass.dispatchWorkgroups(...job.grid);
    }
    pass.end();
    const commands = encoder.finish();
    const began = performance.now();
    device.queue.submit([commands]);
    await device.queue.onSubmittedWorkDone();
    return performance.now() - began;
  }

  const [few, many, rounds] = job.rounds;
  await once(few);
  const times = [];
  for (let i = 0; i < rounds; i++) times.push(((await once(many)) - (await once(few))) / (many - few));
  for (const made of buffers) for (const buffer of made) buffer.destroy();
  return times.sort((a, b) => a - b)[rounds >> 1] * 1000;
}

const found = {};
let stage = "start";
let posted = false;
async function post() {
  if (posted) return;
  posted = true;
  await fetch("/result", { method: "POST", body: JSON.stringify(found) });
}
const deadline = Number(new URLSearchParams(location.search).get("seconds") ?? 200);
setTimeout(() => {
  found.error = `not done in ${deadline} s: ${stage}`;
  post();
}, deadline * 1000);
const DIRECTIVES = {
  subgroups: "enable subgroups;\n",
  "chromium-experimental-subgroup-matrix": "requires buffer_view;\nenable chromium_experimental_subgroup_matrix;\n",
};
try {
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  found.adapter = `${adapter.info.vendor} ${adapter.info.architecture} ${[...adapter.features].join(" ")}`;
  for (const c of adapter.info.subgroupMatrixConfigs ?? []) {
    found.adapter += `, ${c.M}x${c.N}x${c.K} ${c.componentType} to ${c.resultComponentType}`;
  }
  const names = ["maxBufferSize", "maxStorageBufferBindingSize", "maxComputeWorkgroupStorageSize", "maxStorageBuffersPerShaderStage"];
  names.push("maxComputeInvocationsPerWorkgroup", "maxComputeWorkgroupSizeX");
  const wanted = ["subgroups", "shader-f16", "chromium-experimental-subgroup-matrix"].filter((f) => adapter.features.has(f));
  const device = await adapter.requestDevice({
    requiredFeatures: wanted,
    requiredLimits: Object.fromEntries(names.map((name) => [name, adapter.limits[name]])),
  });
  for (const job of await (await fetch("/jobs")).json()) {
    stage = job.name;
    try {
      found[job.name] = await measure(device, job);
    } catch (error) {
      found[job.name] = String(error).slice(0, 600);
    }
  }
} catch (error) {
  found.error = String(error?.stack ?? error);
}
document.querySelector("#out").textContent = JSON.stringify(found, null, 1);
await post();
