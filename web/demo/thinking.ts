/** Thoughts that stand in the text itself, between <think> and </think> at its beginning, taken apart as the text comes in pieces. */

const OPEN = "<think>";
const CLOSE = "</think>";

export interface Part {
  readonly thought: string;
  readonly text: string;
}

/** Give it each piece; what it cannot tell yet, it keeps for the next. */
export function thoughtSplitter(): (piece: string, isLast?: boolean) => Part {
  let state: "start" | "thought" | "text" = "start";
  let held = "";
  return (piece, isLast = false) => {
    held += piece;
    let thought = "";
    if (state === "start") {
      const begun = held.trimStart();
      if (begun.length < OPEN.length && OPEN.startsWith(begun) && !isLast) return { thought, text: "" };
      state = begun.startsWith(OPEN) ? "thought" : "text";
      if (state === "thought") held = begun.slice(OPEN.length).trimStart();
    }
    if (state === "thought") {
      const end = held.indexOf(CLOSE);
      const cut = end >= 0 ? end : isLast ? held.length : held.length - partOf(held, CLOSE);
      thought = held.slice(0, cut);
      held = held.slice(cut);
      if (end < 0) return { thought, text: "" };
      held = held.slice(CLOSE.length).trimStart();
      state = "text";
    }
    const text = held;
    held = "";
    return { thought, text };
  };
}

/** How many characters at the end may be the beginning of `mark`. */
function partOf(text: string, mark: string): number {
  for (let length = Math.min(text.length, mark.length - 1); length > 0; length--) if (text.endsWith(mark.slice(0, length))) return length;
  return 0;
}
