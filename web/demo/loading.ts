/** The second view: how far loading is, in words and bytes.  Knows no engine; it is told the progress. */

import type { Progress } from "fanlight";
import { button, h } from "./dom.js";
import * as strings from "./strings.js";

export interface LoadingView {
  readonly node: HTMLElement;
  start(name: string): void;
  update(progress: Progress): void;
}

const WINDOW_MS = 3000; // over which speed is measured

/** Bytes per second over the last few seconds. */
export class SpeedMeter {
  #samples: { readonly time: number; readonly bytes: number }[] = [];

  add(bytes: number, time: number): number | null {
    this.#samples.push({ time, bytes });
    while (this.#samples.length > 2 && time - (this.#samples[1]?.time ?? time) > WINDOW_MS) this.#samples.shift();
    const [first] = this.#samples;
    if (!first || time - first.time < 300) return null;
    return ((bytes - first.bytes) / (time - first.time)) * 1000;
  }
}

export function loadingView(cancel: () => void): LoadingView {
  const words = strings.loading;
  const heading = h("h1", { tabindex: -1 });
  const phase = h("p", { class: "phase", role: "status" });
  const bar = h("progress", { "aria-label": words.progress, max: 1 });
  const amount = h("p", { class: "note amount" });
  const stop = button(words.cancel, cancel);
  const node = h("section", { class: "loading stack" }, heading, phase, bar, amount, stop);
  let meter = new SpeedMeter();
  let shownPhase = "";

  return {
    node,
    start(name) {
      heading.textContent = words.heading(name);
      meter = new SpeedMeter();
      shownPhase = "";
      this.update({ phase: "runtime", loadedBytes: 0, totalBytes: 0, text: "" });
    },
    update(progress) {
      if (progress.phase !== shownPhase) {
        shownPhase = progress.phase;
        phase.textContent = words.phases[progress.phase] ?? progress.text; // announced, so only when it changes
      }
      const { loadedBytes, totalBytes } = progress;
      if (progress.phase !== "weights" || !totalBytes) {
        bar.removeAttribute("value");
        amount.textContent = "";
        return;
      }
      bar.value = loadedBytes / totalBytes;
      const speed = meter.add(loadedBytes, performance.now());
      const rest = speed ? (totalBytes - loadedBytes) / speed : null;
      const parts = [words.amount(loadedBytes, totalBytes), speed && words.speed(speed), rest && rest >= 1 && words.left(rest)];
      amount.textContent = parts.filter(Boolean).join(" · ");
    },
  };
}
