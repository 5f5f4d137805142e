/**
 * The bench page: measures one model on the visitor's own machine, and shows a table that can be copied as JSON.  Sends nothing: its
 * Content-Security-Policy allows connections to its own server only, and it makes none but for files.
 * ?prompts=64,512&decode=128&repeats=3 measures something else than usual.
 */

import { languagePicker } from "./language.js"; // first: it brings the words
import { type Engine, load } from "fanlight";
import { builtIn, type Choice, fileChoice } from "./choice.js";
import { announcer, button, h, newId } from "./dom.js";
import { failureBox, isAbort } from "./failures.js";
import { logo } from "./logo.js";
import { measureAnswer, median, randomPrompt, streamBandwidth } from "./measure.js";
import { BUILT_IN_LAYERS, keepMeasure } from "./speeds.js";
import * as strings from "./strings.js";

const SPARE = 16; // tokens of context beyond prompt and answer
const words = strings.bench;
const query = new URLSearchParams(location.search);
const prompts = (query.get("prompts") ?? "64,512,2048").split(",").map(Number);
const decode = Number(query.get("decode") ?? 128);
const repeats = Number(query.get("repeats") ?? 3);

interface Row {
  readonly prompt: number;
  readonly ttft_ms: number;
  readonly prefill_tps: number;
  readonly decode_tps: number;
}

/** Field names are those of the rows that bench/ in the repository writes. */
interface Result {
  readonly engine: "fanlight";
  readonly date: string;
  readonly user_agent: string;
  readonly model: string;
  readonly adapter: Engine["info"]["adapter"];
  readonly context: number;
  readonly decode: number;
  readonly repeats: number;
  readonly load_ms: number;
  readonly first_token_ms: number;
  readonly planned_mib: number;
  readonly stream_gbps: number | null;
  readonly stream_share: number | null;
  readonly rows: readonly Row[];
}

const { node: announcements, announce } = announcer();
const notice = h("div");
const status = h("p", { class: "phase", role: "status" });
const cancel = button(words.cancel, () => canceller?.abort());
const running = h("section", { class: "card stack", hidden: true }, status, h("progress", { "aria-label": words.progress }), cancel);
const results = h("div", { class: "stack" });
const choose = chooser();
let canceller: AbortController | null = null;

async function start(choice: Choice): Promise<void> {
  if (canceller) return;
  canceller = new AbortController();
  notice.replaceChildren();
  choose.toggleAttribute("inert", true);
  running.hidden = false;
  try {
    const result = await measure(choice, canceller.signal);
    results.prepend(resultCard(result));
    announce(words.done);
  } catch (error) {
    if (!isAbort(error)) notice.replaceChildren(failureBox(error, { retry: () => void start(choice), dismiss: () => notice.replaceChildren() }));
  } finally {
    canceller = null;
    running.hidden = true;
    choose.toggleAttribute("inert", false);
  }
}

async function measure(choice: Choice, signal: AbortSignal): Promise<Result> {
  status.textContent = words.loading(choice.name);
  const began = performance.now();
  const engine = await load(choice.model, { signal });
  try {
    const loadMs = performance.now() - began;
    const context = engine.info.context_length;
    const fitting = prompts.filter((count) => count + decode + SPARE <= context);
    const first = await measureAnswer(engine, randomPrompt(fitting[0] ?? 1), 2);
    const rows: Row[] = [];
    for (const count of fitting) {
      status.textContent = words.measuring(count);
      rows.push(await measureRow(engine, count, signal));
    }
    const { model, adapter } = engine.info;
    await engine.close();
    status.textContent = words.streaming;
    const bandwidth = await streamBandwidth();
    const fastest = Math.max(...rows.map((row) => row.decode_tps));
    const weightBytes = engine.memoryPlan["weight"] ?? 0;
    const layers = choice.isBuiltIn ? BUILT_IN_LAYERS : null;
    if (rows.length) keepMeasure({ ...adapter, stream: bandwidth, tokensPerSecond: fastest, weightBytes, layers });
    return {
      engine: "fanlight",
      date: new Date().toISOString(),
      user_agent: navigator.userAgent,
      ...{ model, adapter, context, decode, repeats },
      load_ms: rounded(loadMs),
      first_token_ms: rounded(loadMs + first.ttftMs),
      planned_mib: rounded(engine.memoryPlan.total / 2 ** 20),
      stream_gbps: bandwidth && rounded(bandwidth),
      stream_share: bandwidth && rows.length ? (fastest * weightBytes) / 1e9 / bandwidth : null,
      rows,
    };
  } finally {
    await engine.close();
  }
}

/** Medians, after one answer to warm up. */
async function measureRow(engine: Engine, count: number, signal: AbortSignal): Promise<Row> {
  const answers = [];
  for (let i = 0; i <= repeats; i++) {
    signal.throwIfAborted();
    const answer = await measureAnswer(engine, randomPrompt(count), decode);
    if (i) answers.push(answer);
  }
  return {
    prompt: count,
    ttft_ms: rounded(median(answers.map((answer) => answer.ttftMs))),
    prefill_tps: rounded(median(answers.map((answer) => answer.prefillTps))),
    decode_tps: rounded(median(answers.map((answer) => answer.decodeTps ?? 0))),
  };
}

const rounded = (value: number): number => Math.round(value * 100) / 100;

function resultCard(result: Result): HTMLElement {
  const head = words.columns.map((text) => h("th", { scope: "col" }, text));
  const body = result.rows.map((row) =>
    h("tr", {}, ...[row.prompt, row.ttft_ms, row.prefill_tps, row.decode_tps].map((value) => h("td", {}, strings.rounded(value)))),
  );
  const facts = words.facts(result).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
  const copied = h("span", { role: "status" });
  const copy = button(words.copy, () => {
    void navigator.clipboard.writeText(JSON.stringify(result, null, 1)).then(() => (copied.textContent = words.copied));
  });
  return h(
    "section",
    { class: "card stack result" },
    h("h2", {}, result.model),
    h("table", { class: "measures" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...body)),
    h("dl", { class: "facts" }, ...facts),
    h("details", {}, h("summary", {}, words.json), h("pre", { tabindex: 0 }, JSON.stringify(result, null, 1))),
    h("p", {}, copy, " ", copied),
  );
}

function chooser(): HTMLElement {
  const input = h("input", { type: "file", multiple: true, id: newId(), class: "visually-hidden" });
  input.addEventListener("change", () => {
    const files = [...(input.files ?? [])];
    input.value = "";
    if (files.length) void start(fileChoice(files));
  });
  return h(
    "section",
    { class: "card stack" },
    h("p", {}, words.lead(prompts, decode, repeats)),
    h("div", { class: "row" }, button(words.builtIn, () => void start(builtIn), { class: "primary" }), input, h("label", { for: input.id, class: "button" }, words.file)),
  );
}

document.querySelector("#app")?.replaceChildren(
  h("header", { class: "head" }, h("div", { class: "brand" }, logo(), h("span", {}, strings.app.name)), h("a", { href: "index.html" }, words.chat)),
  h("main", {}, h("div", { class: "choose stack" }, h("header", { class: "hero" }, h("h1", {}, words.heading)), notice, choose, running, results)),
  h("footer", { class: "foot" }, h("p", { class: "note" }, words.privacy), languagePicker()),
  announcements,
);
