/* Runs before an engine, on its page or in its worker: hides adapter features (BENCH_HIDDEN, set before this file), and counts GPU
   calls from "start" to "stop" on the channel "bench-gpu"; outside of that the calls are the browser's own, untouched. */
(() => {
  const hidden = globalThis.BENCH_HIDDEN ?? [];
  if (typeof GPUAdapter === "undefined") return;
  if (hidden.length) {
    const { get } = Object.getOwnPropertyDescriptor(GPUAdapter.prototype, "features");
    const left = (features) => new Set([...features].filter((name) => !hidden.includes(name)));
    Object.defineProperty(GPUAdapter.prototype, "features", { configurable: true, get() { return left(get.call(this)); } });
  }
  const channel = new BroadcastChannel("bench-gpu");
  const targets = [[GPUComputePassEncoder, "dispatchWorkgroups", "dispatches"], [GPUQueue, "submit", "submits"]];
  let counts = {};
  let restore = [];
  channel.onmessage = ({ data }) => {
    if (data === "start") {
      counts = { dispatches: 0, submits: 0 };
      restore = targets.map(([owner, method, name]) => {
        const original = owner.prototype[method];
        owner.prototype[method] = function (...values) {
          counts[name]++;
          return original.apply(this, values);
        };
        return () => (owner.prototype[method] = original);
      });
    } else if (data === "stop") {
      for (const undo of restore.splice(0)) undo();
      channel.postMessage(counts);
    }
  };
})();
