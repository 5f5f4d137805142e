/** Small things that a browser remembers; where its storage is forbidden, for this visit only. */

const here = new Map<string, string>();

/** `isOfTab`: until the tab is closed. */
export function recall(key: string, isOfTab = false): string | null {
  try {
    return (isOfTab ? sessionStorage : localStorage).getItem(key);
  } catch {
    return here.get(key) ?? null;
  }
}

/** An empty value is forgotten. */
export function remember(key: string, value: string, isOfTab = false): void {
  try {
    const storage = isOfTab ? sessionStorage : localStorage;
    if (value) storage.setItem(key, value);
    else storage.removeItem(key);
  } catch {
    here.set(key, value);
  }
}
