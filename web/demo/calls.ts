/** The tools that a model calls in an answer: each one's name, and its arguments as JSON that a person can read. */

import type { ToolCall } from "./answer.js";
import { type CodeView, codeView, type Copy } from "./code.js";
import { h } from "./dom.js";
import * as strings from "./strings.js";

export interface CallsView {
  readonly node: HTMLElement;
  show(calls: readonly ToolCall[], isRunning: boolean): void;
}

interface Shown {
  readonly node: HTMLElement;
  readonly label: HTMLElement;
  readonly code: CodeView;
}

export function callsView(copy: Copy): CallsView {
  const node = h("div", { class: "calls", hidden: true });
  const shown: Shown[] = [];
  return {
    node,
    show(calls, isRunning) {
      node.hidden = calls.length === 0;
      for (const one of shown.splice(calls.length)) one.node.remove();
      calls.forEach((call, i) => {
        const isOpen = isRunning && i === calls.length - 1;
        const text = isOpen ? call.arguments : spread(call.arguments);
        const one = (shown[i] ??= callNode(node, text, isOpen, copy));
        one.label.textContent = strings.answers.call(call.name);
        one.code.update(text, "json", isOpen);
      });
    },
  };
}

function callNode(parent: HTMLElement, text: string, isOpen: boolean, copy: Copy): Shown {
  const label = h("summary", {});
  const code = codeView(text, "json", isOpen, copy);
  const node = h("details", { class: "call", open: true }, label, code.node);
  parent.append(node);
  return { node, label, code };
}

/** What is no JSON stays as the model wrote it. */
function spread(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}
