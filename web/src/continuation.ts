/**
 * A stream that goes on where another engine takes it up: that one answers the same request from its beginning, in the same pieces
 * (fanlight/api/generation.py: `again`), and what the reader has of it already is dropped, once it is seen to be the same.
 */

import { FanlightError } from "./errors.js";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const DRAWN = /^(id|call_id|item_id|response_id|created|created_at)$/; // made up for each answer: the reader goes on seeing the first ones
const MEASURED = /^(usage|timings|completed_at|.*_duration)$/; // another run takes another time

export class Continuation {
  #delivered = new Map<string, string[]>(); // by choice: pieces of several choices come in any order
  #renames = new Map<string, Json>();
  #places = new Map<string, number>();

  /** Another engine begins. */
  again(): void {
    this.#places.clear();
    this.#renames.clear();
  }

  /** The piece as the reader gets it; null where he has it. */
  next(piece: string): string | null {
    const made = JSON.parse(piece) as Json;
    const choice = choiceOf(made);
    const delivered = this.#delivered.get(choice) ?? [];
    const place = this.#places.get(choice) ?? 0;
    this.#places.set(choice, place + 1);
    const before = delivered[place];
    if (before !== undefined) {
      this.#compare(JSON.parse(before) as Json, made, "");
      return null;
    }
    const text = this.#renames.size ? JSON.stringify(this.#renamed(made, "")) : piece;
    delivered.push(text);
    this.#delivered.set(choice, delivered);
    return text;
  }

  #compare(before: Json, now: Json, key: string): void {
    if (MEASURED.test(key) || before === now) return;
    if (DRAWN.test(key)) return void this.#renames.set(`${key} ${JSON.stringify(now)}`, before);
    if (!isTree(before) || !isTree(now)) throw otherAnswer();
    const keys = new Set([...Object.keys(before), ...Object.keys(now)]);
    for (const name of keys) this.#compare(before[name] ?? null, now[name] ?? null, Array.isArray(now) ? key : name);
  }

  #renamed(value: Json, key: string): Json {
    if (Array.isArray(value)) return value.map((item) => this.#renamed(item, key));
    if (isTree(value)) return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, this.#renamed(item, name)]));
    return this.#renames.get(`${key} ${JSON.stringify(value)}`) ?? value;
  }
}

function isTree(value: Json): value is { [key: string]: Json } {
  return typeof value === "object" && value !== null;
}

function choiceOf(piece: Json): string {
  const choices = isTree(piece) ? (piece["choices"] as { index?: number }[] | undefined) : undefined;
  return String(choices?.[0]?.index ?? "");
}

function otherAnswer(): FanlightError {
  return new FanlightError("The answer cannot go on: the engine that took it up answers otherwise.", {
    hint: "Ask again. All tabs must be of the same version of the page, and on the same graphics adapter.",
  });
}
