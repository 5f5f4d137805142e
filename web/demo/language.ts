/**
 * The language of the page: the one that was chosen here, else the first of the browser's that there is.  English is strings.ts itself; each
 * other language is a file of words/, fetched when it is used, whose words take the place of the English ones.
 *
 * An entry imports this file before all others: they are evaluated when the words are there.
 */

import { setLocale } from "./format.js";
import { h } from "./dom.js";
import * as strings from "./strings.js";

type All = typeof strings;

/** Sentences of the same shape: a word for a word, a function of the same for a function. */
type Spoken<T> = T extends string
  ? string
  : T extends (...given: infer Given) => infer Said
    ? (...given: Given) => Spoken<Said>
    : T extends readonly unknown[]
      ? T
      : { readonly [K in keyof T]: Spoken<T[K]> };

/** What a file of words/ has: whatever strings.ts has but for its functions. */
export type Words = { readonly [K in keyof All as All[K] extends (...given: never) => unknown ? never : K]: Spoken<All[K]> };

interface Language {
  readonly name: string;
  /** For `lang`, where it says more than the code. */
  readonly tag?: string;
  readonly words?: () => Promise<{ readonly words: Words }>;
}

const LANGUAGES: Readonly<Record<string, Language>> = {
  en: { name: "English" },
  de: { name: "Deutsch", words: () => import("./words/de.js") },
  es: { name: "Español", words: () => import("./words/es.js") },
  fr: { name: "Français", words: () => import("./words/fr.js") },
  ja: { name: "日本語", words: () => import("./words/ja.js") },
  ko: { name: "한국어", words: () => import("./words/ko.js") },
  pt: { name: "Português", words: () => import("./words/pt.js") },
  zh: { name: "简体中文", tag: "zh-Hans", words: () => import("./words/zh.js") },
};

const KEPT = "fanlight-language";
const code = kept() ?? preferred(navigator.languages);
const language = LANGUAGES[code] ?? { name: code };
document.documentElement.lang = language.tag ?? code;
setLocale(navigator.languages.find((tag) => primary(tag) === code) ?? code); // British dates for British English
await speak();

/** Without its file, as when the network is gone, the page speaks English. */
async function speak(): Promise<void> {
  try {
    const loaded = await language.words?.();
    if (loaded) replace(strings, loaded.words);
  } catch (error) {
    console.error(error);
    document.documentElement.lang = "en";
  }
}

/** Group by group, so that whoever holds a group has the new words. */
function replace(groups: object, words: object): void {
  for (const [name, word] of Object.entries(words)) {
    const old = (groups as Record<string, unknown>)[name];
    if (isGroup(word) && isGroup(old)) replace(old, word);
    else (groups as Record<string, unknown>)[name] = word;
  }
}

function isGroup(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function primary(tag: string): string {
  return tag.split("-")[0]?.toLowerCase() ?? "";
}

function preferred(tags: readonly string[]): string {
  return tags.map(primary).find((tag) => tag in LANGUAGES) ?? "en";
}

/** Storage may be forbidden; then each visit goes by the browser's languages. */
function kept(): string | null {
  try {
    const chosen = localStorage.getItem(KEPT);
    return chosen !== null && chosen in LANGUAGES ? chosen : null;
  } catch {
    return null;
  }
}

/** Chooses another; the page opens anew in it. `mayLeave`: asked first. */
export function languagePicker(): HTMLElement {
  const options = Object.entries(LANGUAGES).map(([each, { name, tag }]) =>
    h("option", { value: each, lang: tag ?? each, selected: each === code }, name),
  );
  const select = h("select", { "aria-label": strings.app.language, class: "language" }, ...options);
  select.addEventListener("change", () => {
    try {
      localStorage.setItem(KEPT, select.value);
    } finally {
      location.reload();
    }
  });
  return select;
}
