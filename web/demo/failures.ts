/** An error as a person should meet it: what happened, what it means, what to press.  Knows the errors by their class names. */

import { FanlightError } from "fanlight";
import { button, h } from "./dom.js";
import * as strings from "./strings.js";

/** What can be offered; an action without a function here is not shown. */
export interface Remedies {
  readonly retry?: () => void;
  readonly reload?: () => void;
  readonly context?: (tokens: number) => void;
  readonly fresh?: () => void;
  /** What was loaded before. */
  readonly back?: { readonly name: string; act(): void };
  readonly dismiss?: () => void;
}

type Remedy = Exclude<keyof Remedies, "back">;

/** Beside `back` and `dismiss`, which every failure has. */
const REMEDIES: Readonly<Record<string, readonly Remedy[]>> = {
  DoesNotFit: ["context"],
  DeviceLost: ["reload"],
  KernelFailed: ["reload"],
  DeviceError: ["reload", "retry"],
  EngineClosed: ["reload"],
  SourceError: ["retry"],
  NoAdapter: ["retry"],
  ContextOverflow: ["fresh"],
  FanlightError: ["reload", "retry"],
};

const TERMINAL = /\bfanlight [a-z]|FANLIGHT_|\bpip |\bpython\b/;
/** An exception that nobody foresaw, under its class's name. */
const INNER = /^\w*(Error|Exception|Iteration)\b(: |$)/;

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** An alert; screen readers read it when it is inserted. */
export function failureBox(error: unknown, remedies: Remedies): HTMLElement {
  const name = error instanceof FanlightError ? error.name : "FanlightError";
  const { title, words } = explain(error, name);
  const isInner = !(error instanceof FanlightError) || INNER.test(error.message);
  const [said, advice, place] = isInner ? ["", "", ""] : [described(error), forVisitors(hint(error)), where(error)];
  const offered = [...(REMEDIES[name] ?? [])].map((remedy) => remedyButton(remedy, remedies, error));
  const { back, dismiss } = remedies;
  if (back) offered.push(button(strings.failures.back(back.name), () => back.act()));
  if (dismiss) offered.push(button(strings.failures.dismiss, dismiss, { class: "quiet" }));
  return h(
    "div",
    { class: "failure", role: "alert" },
    h("h2", {}, title),
    said && h("p", {}, said),
    isInner ? h("p", {}, strings.failures.inner) : words && h("p", {}, words),
    advice && h("p", {}, strings.failures.hint(advice)),
    place && h("p", { class: "note" }, place),
    (isInner || advice !== hint(error)) && details(error, name),
    h("div", { class: "row" }, ...offered),
  );
}

/** Advice is for who sits at a page: not where it is a command of a terminal. */
function forVisitors(text: string): string {
  return TERMINAL.test(text) ? "" : text;
}

/** All that there is, for who reports it. */
function details(error: unknown, name: string): HTMLElement {
  const lines = [`${name}: ${message(error)}`, where(error), hint(error)].filter(Boolean);
  return h("details", {}, h("summary", {}, strings.failures.details), h("pre", { tabindex: 0 }, lines.join("\n")));
}

function explain(error: unknown, name: string): { title: string; words: string } {
  const { titles, words, outOfMemory, outOfMemoryWords, offline } = strings.failures;
  if (/out of memory/i.test(message(error))) return { title: outOfMemory, words: outOfMemoryWords };
  const title = titles[name] ?? titles.FanlightError ?? "";
  if (name === "SourceError" && !navigator.onLine) return { title, words: offline };
  return { title, words: words[name] ?? "" };
}

function remedyButton(remedy: Remedy, remedies: Remedies, error: unknown): HTMLElement | null {
  const words = strings.failures;
  if (remedy === "context") {
    const tokens = proposedContext(error);
    const load = remedies.context;
    return tokens && load ? button(words.context(tokens), () => load(tokens), { class: "primary" }) : null;
  }
  const act = remedies[remedy];
  return act ? button(words[remedy], act, { class: "primary" }) : null;
}

/** The largest context that fits, as the error proposes it. */
function proposedContext(error: unknown): number | null {
  const found = /context of (\d+)/.exec(hint(error));
  return found ? Number(found[1]) : null;
}

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));
const hint = (error: unknown): string => (error instanceof FanlightError ? error.hint : "");
const where = (error: unknown): string => (error instanceof FanlightError ? error.where : "");

/** As a sentence: errors begin in lower case, since they may follow the name of a file. */
function described(error: unknown): string {
  const text = message(error).trim();
  return text && text[0]?.toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}
