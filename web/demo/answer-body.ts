/** What an answer says, as it grows: the thoughts before it, folded away, the text, calls of tools, and what it was made from. */

import { callsView } from "./calls.js";
import type { Copy } from "./code.js";
import type { Message } from "./conversation.js";
import { h } from "./dom.js";
import { markdownView } from "./markdown.js";
import { sourcesView } from "./sources.js";
import * as strings from "./strings.js";

export interface AnswerBody {
  readonly node: HTMLElement;
  show(message: Message, isRunning: boolean): void;
  /** As it reads on the page. */
  spoken(): string;
}

export function answerBody(copy: Copy): AnswerBody {
  const body = markdownView(copy);
  const thoughts = markdownView(copy);
  const thoughtLabel = h("summary", {});
  const thought = h("details", { class: "thought", hidden: true }, thoughtLabel, thoughts.node);
  const waiting = h("p", { class: "waiting" });
  const calls = callsView(copy);
  const sources = sourcesView();
  return {
    node: h("div", { class: "answer-body" }, thought, waiting, body.node, calls.node, sources.node),
    show(message, isRunning) {
      const isThinking = isRunning && !message.content;
      waiting.hidden = !isRunning || Boolean(message.thought || message.content || message.calls);
      waiting.textContent = message.progress ?? strings.chat.waiting;
      thought.hidden = !message.thought;
      thoughtLabel.textContent = thoughtWords(message, isThinking);
      if (message.thought) thoughts.update(message.thought, !isThinking);
      body.update(message.content, !isRunning);
      calls.show(message.calls ?? [], isRunning);
      sources.show(message.sources);
    },
    spoken: () => body.spoken(),
  };
}

function thoughtWords({ thoughtMs }: Message, isThinking: boolean): string {
  if (!thoughtMs || thoughtMs < 1000) return isThinking ? strings.chat.thinking : strings.chat.thought;
  return (isThinking ? strings.answers.thinkingFor : strings.answers.thoughtFor)(thoughtMs / 1000);
}
