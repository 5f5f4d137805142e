/* Runs the commands of bench/page_device.py on this page's GPU: POST /command brings an answer and gets the next command. */
import { openGpu, Replayer } from "/fanlight/replay.js";
import { streamBandwidth } from "/measure.js";

const replayer = new Replayer(await openGpu());

const toBytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const toText = async (bytes) => {
  const url = await new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(new Blob([bytes]));
  });
  return url.slice(url.indexOf(",") + 1);
};

const source = ({ name, url, size }) => ({
  name,
  size,
  async read(offset, count) {
    const response = await fetch(url, { headers: { Range: `bytes=${offset}-${offset + count - 1}` } });
    return new Uint8Array(await response.arrayBuffer());
  },
});

async function steps({ step, inputs, together, count, most }) {
  const bytes = toBytes(inputs);
  const start = performance.now();
  const tickets = [];
  for (let i = 0; i < count; i += together) {
    if (tickets.length === most) await replayer.result(tickets.shift());
    tickets.push(replayer.submit(step, bytes, together));
  }
  for (const ticket of tickets) await replayer.result(ticket);
  return ((performance.now() - start) * 1000) / count;
}

const COMMANDS = {
  prepare: ({ program }) => replayer.prepare(program),
  load: ({ files }) => replayer.load(files.map(source), () => undefined),
  write: ({ buffer, offset, data }) => replayer.write(buffer, offset, toBytes(data)),
  clear: ({ buffer, offset, size }) => replayer.clear(buffer, offset, size),
  submit: ({ step, inputs, count }) => replayer.submit(step, toBytes(inputs), count),
  result: async ({ ticket }) => [...(await replayer.result(ticket))],
  read: async ({ buffer, offset, size }) => toText(await replayer.read(buffer, offset, size)),
  timings: ({ step, inputs }) => replayer.timings(step, toBytes(inputs)),
  stream: () => streamBandwidth(),
  steps,
};

const exchange = async (answer) => (await fetch("/command", { method: "POST", body: JSON.stringify(answer) })).json();

let command = await exchange({ value: JSON.parse(replayer.describe()) });
while (command.kind !== "close") {
  let answer;
  try {
    answer = { value: (await COMMANDS[command.kind](command)) ?? null };
  } catch (error) {
    answer = { error: [error?.name, error?.message ?? error, error?.where].filter(Boolean).join(": ") };
  }
  command = await exchange(answer);
}
