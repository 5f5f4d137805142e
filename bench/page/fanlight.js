/* Fanlight as a user of the package has it. */
import { load } from "/fanlight/index.js";
import { measureAnswer, randomPrompt } from "/measure.js";

export async function open(config) {
  const began = performance.now();
  const phases = {};
  const engine = await load(new URL(config.model, location.href), {
    contextLength: config.context,
    onProgress: ({ phase }) => (phases[phase] ??= Math.round(performance.now() - began)),
  });
  return {
    facts: { phases, planned_mib: engine.info.memory.total / 2 ** 20, engine_adapter: engine.info.adapter },
    generate: (length, count) => measureAnswer(engine, randomPrompt(length), count),
    generateWhole: (length, count) => measureAnswer(engine, randomPrompt(length), count, false),
    embed: async (input) => (await engine.embeddings.create({ input })).usage.total_tokens,
    close: () => engine.close(),
  };
}
