/** One message on the page: what was asked, or an answer that grows. */

import { type Answer, EMPTY } from "./answer.js";
import { h } from "./dom.js";
import { copyButton, markdownView } from "./markdown.js";
import * as strings from "./strings.js";

const DRAW_MS = 33; // by the clock: a graphics card that is busy with the model may let no frame through

export type Copy = (text: string) => Promise<void>;

export function questionNode(text: string): HTMLElement {
  const { you } = strings.chat;
  return h("article", { class: "question", "aria-label": you }, speaker(you), h("p", { dir: "auto" }, text));
}

/** With it a screen reader's user goes from message to message. */
function speaker(name: string): HTMLElement {
  return h("h2", { class: "visually-hidden" }, name);
}

export interface AnswerView {
  readonly node: HTMLElement;
  /** Draws soon, and not too often. */
  update(answer: Answer): void;
  /** Draws at once; `note` says how it ended, if that is worth a word. Gives the text as it reads on the page. */
  finish(answer: Answer, note: string): string;
}

export function answerView(copy: Copy, drawn: () => void): AnswerView {
  const words = strings.chat;
  const body = markdownView(copy);
  const thoughts = markdownView(copy);
  const thoughtLabel = h("summary", {}, words.thinking);
  const thought = h("details", { class: "thought", hidden: true }, thoughtLabel, thoughts.node);
  const waiting = h("p", { class: "waiting" }, words.waiting);
  const stats = h("span", { class: "stats" });
  const note = h("p", { class: "note", hidden: true });
  const press = copyButton(() => latest.text, words.copyAnswer, copy);
  press.hidden = true;
  const foot = h("footer", {}, stats, press);
  const attributes = { class: "answer", "aria-label": words.answer, "aria-busy": "true" };
  const node = h("article", attributes, speaker(words.answer), thought, waiting, body.node, note, foot);
  let latest = EMPTY;
  let timer = 0;

  const draw = (): void => {
    timer = 0;
    waiting.hidden = latest.thought !== "" || latest.text !== "";
    thought.hidden = !latest.thought;
    thoughtLabel.textContent = latest.text ? words.thought : words.thinking;
    if (latest.thought) thoughts.update(latest.thought);
    body.update(latest.text);
    stats.textContent = latest.numTokens ? words.stats(latest.numTokens, latest.perSecond, latest.firstMs) : "";
    drawn();
  };
  return {
    node,
    update(answer) {
      latest = answer;
      timer ||= setTimeout(draw, DRAW_MS);
    },
    finish(answer, text) {
      clearTimeout(timer);
      latest = answer;
      note.textContent = text;
      note.hidden = !text;
      press.hidden = !answer.text;
      draw();
      waiting.hidden = true;
      node.removeAttribute("aria-busy");
      return body.spoken();
    },
  };
}
