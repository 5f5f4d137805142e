/** One message on the page: a question or an answer, what can be done with it, and the branches beside it. */

import { answerBody } from "./answer-body.js";
import type { Copy } from "./code.js";
import { canContinue, type Message } from "./conversation.js";
import { button, h } from "./dom.js";
import { icon, type Icon } from "./icons.js";
import { documentNode } from "./sources.js";
import * as strings from "./strings.js";

const DRAW_MS = 33; // by the clock: a graphics card that is busy with the model may let no frame through

export interface MessageActions {
  readonly copy: Copy;
  /** As a new branch, with another text. */
  edit(message: Message, text: string): void;
  /** Another answer beside this one, or to this question. */
  again(message: Message): void;
  /** The model goes on with this answer. */
  goOn(message: Message): void;
  /** The branch of a message that stands beside. */
  choose(message: Message): void;
}

/** Where a message stands, as far as it shows. */
export interface Place {
  /** With it, the branches' messages that stand in its place. */
  readonly beside: readonly Message[];
  readonly isRunning: boolean;
  /** Another tab is writing it. */
  readonly isElsewhere: boolean;
  readonly isLast: boolean;
  /** Whether a model is there to answer, and free. */
  readonly canAsk: boolean;
  /** Whether it is worth telling which model wrote it. */
  readonly namesModel: boolean;
}

export interface MessageView {
  readonly node: HTMLElement;
  /** Draws soon, and not too often, while it grows. */
  show(message: Message, place: Place): void;
  /** As it reads on the page. */
  spoken(): string;
}

interface Body {
  readonly node: HTMLElement;
  show(message: Message, isRunning: boolean): void;
  spoken(): string;
}

export function messageView(first: Message, actions: MessageActions, drawn: () => void): MessageView {
  const words = strings.chat;
  const isQuestion = first.role === "user";
  const name = isQuestion ? words.you : words.answer;
  const body = isQuestion ? questionBody() : answerBody(actions.copy);
  const note = h("p", { class: "note", hidden: true });
  const stats = h("span", { class: "stats" });
  const tools = h("div", { class: "message-tools" });
  const foot = h("footer", {}, stats, tools);
  const attributes = { class: isQuestion ? "question" : "answer", "aria-label": name };
  // With the heading a screen reader's user goes from message to message.
  const node = h("article", attributes, h("h2", { class: "visually-hidden" }, name), body.node, note, foot);
  let [message, place]: [Message, Place | null] = [first, null];
  let timer = 0;
  let shownTools = "";

  const edit = (): void => {
    const form = editForm(message, isQuestion, (text) => {
      form.remove();
      node.classList.remove("is-edited");
      if (text === null) return tools.querySelector<HTMLElement>("[data-tool=edit]")?.focus();
      if (text !== message.content) actions.edit(message, text);
    });
    node.classList.add("is-edited");
    body.node.after(form);
    form.querySelector("textarea")?.focus();
  };
  const draw = (): void => {
    timer = 0;
    if (!place) return;
    const { isRunning } = place;
    if (isRunning) node.setAttribute("aria-busy", "true");
    else node.removeAttribute("aria-busy");
    body.show(message, isRunning);
    note.textContent = isRunning ? "" : place.isElsewhere ? words.elsewhere : endingNote(message);
    note.hidden = !note.textContent;
    stats.textContent = isQuestion ? "" : statsOf(message, place.namesModel);
    // Only where they change: a button that has the focus stays.
    const [key, make] = toolsOf(message, place, actions, edit);
    if (key !== shownTools) {
      const focused = (document.activeElement as HTMLElement | null)?.dataset["tool"];
      const hadFocus = tools.contains(document.activeElement);
      tools.replaceChildren(...make());
      if (hadFocus) (tools.querySelector<HTMLElement>(`[data-tool=${focused}]:not(:disabled)`) ?? tools.querySelector("button"))?.focus();
      shownTools = key;
    }
    drawn();
  };
  return {
    node,
    show(newer, where) {
      [message, place] = [newer, where];
      if (where.isRunning && node.hasAttribute("aria-busy")) {
        timer ||= setTimeout(draw, DRAW_MS);
        return;
      }
      clearTimeout(timer);
      draw();
    },
    spoken: () => body.spoken(),
  };
}

function questionBody(): Body {
  const text = h("p", { dir: "auto" });
  const given = h("div", { class: "documents" });
  let shown: Message["documents"];
  return {
    node: h("div", {}, given, text),
    show({ content, documents }) {
      text.textContent = content;
      if (documents !== shown) given.replaceChildren(...(documents ?? []).map(documentNode));
      shown = documents;
    },
    spoken: () => text.textContent,
  };
}

/** What can be done with the message now; the key tells whether that changed. */
function toolsOf(message: Message, place: Place, actions: MessageActions, edit: () => void): [string, () => HTMLElement[]] {
  const words = strings.chat;
  const { beside, isRunning, isLast, canAsk } = place;
  const index = beside.findIndex(({ id }) => id === message.id);
  const isQuestion = message.role === "user";
  const has = {
    branches: beside.length > 1,
    copy: !isRunning && message.content !== "",
    edit: !isRunning,
    again: canAsk && (isQuestion ? isLast : true),
    goOn: canAsk && isLast && !place.isElsewhere && canContinue(message),
  };
  const key = JSON.stringify([has, index, beside.length, message.content !== "", isRunning]);
  const copyName = isQuestion ? words.copyQuestion : words.copyAnswer;
  const make = (): HTMLElement[] => {
    const copied: HTMLButtonElement = tool("copy", "copy", copyName, () => {
      void actions.copy(message.content).then(() => {
        copied.classList.add("is-done");
        setTimeout(() => copied.classList.remove("is-done"), 1500);
      });
    });
    const parts: (HTMLElement | false)[] = [
      has.branches && branches(beside, index, actions.choose),
      has.goOn && labelled("onward", words.goOn, () => actions.goOn(message)),
      has.copy && copied,
      has.edit && tool("edit", "edit", isQuestion ? words.edit : words.editAnswer, edit),
      has.again && (isQuestion ? labelled("again", words.answerAgain, () => actions.again(message)) : tool("again", "again", words.again, () => actions.again(message))),
    ];
    return parts.filter((part) => part !== false);
  };
  return [key, make];
}

function tool(name: string, sign: Icon, label: string, act: () => void): HTMLButtonElement {
  return h("button", { type: "button", class: "quiet tool", "aria-label": label, title: label, "data-tool": name, onclick: act }, icon(sign));
}

/** Where it is what one most likely wants. */
function labelled(sign: Icon, label: string, act: () => void): HTMLButtonElement {
  return h("button", { type: "button", class: "small", "data-tool": sign, onclick: act }, icon(sign), label);
}

function branches(beside: readonly Message[], index: number, choose: (message: Message) => void): HTMLElement {
  const words = strings.chat;
  const step = (name: string, sign: Icon, label: string, to: number): HTMLElement => {
    const target = beside[to];
    const press = tool(name, sign, label, () => target && choose(target));
    press.disabled = !target;
    return press;
  };
  return h(
    "span",
    { class: "branches", role: "group", "aria-label": words.branches },
    step("before", "before", words.branchBefore, index - 1),
    h("span", {}, words.branch(index + 1, beside.length)),
    step("after", "after", words.branchAfter, index + 1),
  );
}

/** Enter sends a question, as where it was written; Escape leaves it as it was. `done` gets null then. */
function editForm(message: Message, isQuestion: boolean, done: (text: string | null) => void): HTMLElement {
  const words = strings.chat;
  const input = h("textarea", { dir: "auto", "aria-label": isQuestion ? words.editQuestionField : words.editAnswerField, rows: 1 });
  input.value = message.content;
  const send = (): void => void (input.value.trim() ? done(input.value.trim()) : input.focus());
  const fit = (): void => {
    input.style.height = "auto";
    input.style.height = `${input.scrollHeight + 2}px`;
  };
  input.addEventListener("input", fit);
  input.addEventListener("focus", fit);
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Escape") done(null);
    else if (event.key === "Enter" && !event.shiftKey && isQuestion) send();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const row = h(
    "div",
    { class: "row" },
    button(isQuestion ? words.send : words.keep, send, { class: "primary small" }),
    button(words.cancelEdit, () => done(null), { class: "quiet small" }),
  );
  return h("div", { class: "edit-form" }, input, h("p", { class: "note" }, isQuestion ? words.editNote : words.editAnswerNote), row);
}

/** How it ended, where that is not plainly by its own end. */
function endingNote({ role, ending, content, calls, numTokens = 0 }: Message): string {
  const words = strings.chat;
  if (role === "user") return "";
  if (ending === undefined) return words.interrupted;
  if (ending === "length") return words.limit(numTokens);
  if (ending === "full") return words.full;
  if (ending === "stopped") return words.stopped;
  if (ending === "failed") return words.failed;
  if (ending === "edited") return words.edited;
  return content || calls ? "" : words.empty;
}

function statsOf({ model, numTokens, perSecond, firstMs }: Message, namesModel: boolean): string {
  const measured = numTokens ? strings.chat.stats(numTokens, perSecond ?? null, firstMs ?? null) : "";
  return [namesModel && model, measured].filter(Boolean).join(" · ");
}
