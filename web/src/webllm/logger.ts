/** What is logged, by level.  One level for the page, as WebLLM has it. */

import type { LogLevel } from "./types.js";

const LEVELS: readonly LogLevel[] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "SILENT"];
let least = LEVELS.indexOf("WARN");

export function setLevel(level: LogLevel): void {
  const found = LEVELS.indexOf(level);
  if (found >= 0) least = found;
}

export const log = {
  debug: (...what: unknown[]): void => write("DEBUG", console.debug, what),
  info: (...what: unknown[]): void => write("INFO", console.info, what),
  warn: (...what: unknown[]): void => write("WARN", console.warn, what),
  error: (...what: unknown[]): void => write("ERROR", console.error, what),
};

function write(level: LogLevel, to: (...what: unknown[]) => void, what: unknown[]): void {
  if (LEVELS.indexOf(level) >= least) to(...what);
}
