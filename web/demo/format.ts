/** Numbers, amounts and times as the reader's language writes them.  Knows no words. */

let locale = "en";

export function setLocale(tag: string): void {
  locale = tag;
}

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

function measured(value: number, unit: string, digits: number, unitDisplay: "short" | "long" = "short"): string {
  const options = { style: "unit", unit, unitDisplay, minimumFractionDigits: digits, maximumFractionDigits: digits } as const;
  return new Intl.NumberFormat(locale, options).format(value);
}

/** Decimal units, as shops and download pages use them. */
export function bytes(count: number): string {
  const power = Math.min(UNITS.length - 1, count < 1000 ? 0 : Math.floor(Math.log10(count) / 3));
  const value = count / 1000 ** power;
  return measured(value, UNITS[power] ?? "byte", power === 0 || value >= 100 ? 0 : 1, power === 0 ? "long" : "short");
}

/** Of a length of time: no more than one number. */
export function duration(seconds: number): string {
  if (seconds < 90) return measured(Math.max(1, Math.round(seconds)), "second", 0);
  if (seconds < 5400) return measured(Math.round(seconds / 60), "minute", 0);
  return measured(seconds / 3600, "hour", 1);
}

/** Of a measurement. */
export const seconds = (ms: number): string => measured(ms / 1000, "second", 2);

export const number = (value: number, digits = 0): string =>
  value.toLocaleString(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });

export const percent = (share: number): string =>
  share.toLocaleString(locale, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** Tokens per second and their like: enough digits to compare, no more. */
export function rounded(value: number): string {
  return value.toLocaleString(locale, { maximumFractionDigits: value < 100 ? 1 : 0 });
}

/** Of something that was made or used then: today's by the clock. */
export function date(time: number): string {
  const isToday = new Date(time).toDateString() === new Date().toDateString();
  return new Intl.DateTimeFormat(locale, isToday ? { timeStyle: "short" } : { dateStyle: "medium" }).format(time);
}

/** "a, b and c". */
export const listed = (items: readonly string[]): string => new Intl.ListFormat(locale).format(items);
