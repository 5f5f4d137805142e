/** What an answer says, as it grows: the thoughts before it, folded away, and the text.  Knows nothing of what stands around it. */

import type { Message } from "./conversation.js";
import { h } from "./dom.js";
import { markdownView } from "./markdown.js";
import * as strings from "./strings.js";

export type Copy = (text: string) => Promise<void>;

export interface AnswerBody {
  readonly node: HTMLElement;
  show(message: Message, isRunning: boolean): void;
  /** As it reads on the page. */
  spoken(): string;
}

export function answerBody(copy: Copy): AnswerBody {
  const words = strings.chat;
  const body = markdownView(copy);
  const thoughts = markdownView(copy);
  const thoughtLabel = h("summary", {}, words.thinking);
  const thought = h("details", { class: "thought", hidden: true }, thoughtLabel, thoughts.node);
  const waiting = h("p", { class: "waiting" }, words.waiting);
  return {
    node: h("div", { class: "answer-body" }, thought, waiting, body.node),
    show(message, isRunning) {
      waiting.hidden = !isRunning || Boolean(message.thought || message.content);
      thought.hidden = !message.thought;
      thoughtLabel.textContent = message.content || !isRunning ? words.thought : words.thinking;
      if (message.thought) thoughts.update(message.thought);
      body.update(message.content);
    },
    spoken: () => body.spoken(),
  };
}
