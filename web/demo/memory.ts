/** The memory plan as a bar and its legend.  Knows no engine. */

import type { MemoryPlan } from "fanlight";
import { h } from "./dom.js";
import * as strings from "./strings.js";

export function memoryFigure(plan: MemoryPlan): HTMLElement {
  const { total, ...named } = plan;
  const parts = Object.entries(named).filter(([, size]) => size > 0);
  const sum = total ?? parts.reduce((all, [, size]) => all + size, 0);
  return h(
    "figure",
    { class: "memory" },
    h("figcaption", {}, strings.memory.heading),
    h("div", { class: "memory-bar", "aria-hidden": "true" }, ...parts.map(([part, size]) => segment(part, size))),
    h(
      "dl",
      {},
      ...parts.map(([part, size]) => row(strings.memory.parts[part] ?? part, size, part)),
      row(strings.memory.total, sum, "total"),
    ),
  );
}

function segment(part: string, size: number): HTMLElement {
  const node = h("div", { "data-part": part });
  node.style.flexGrow = String(size);
  return node;
}

function row(label: string, size: number, part: string): HTMLElement {
  return h("div", { "data-part": part }, h("dt", {}, label), h("dd", {}, strings.memory.bytes(size)));
}
