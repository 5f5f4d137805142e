/** Keeps the end of a growing page in view, unless its reader went elsewhere. */

const NEAR_BOTTOM = 120; // pixels: who reads further up is left there

const distanceToEnd = (): number => document.documentElement.scrollHeight - innerHeight - scrollY;

export function scrollToEnd(): void {
  scrollTo({ top: document.documentElement.scrollHeight });
}

/** To be called before a change; what it gives, after it. */
export function keepEnd(): () => void {
  const isAtEnd = distanceToEnd() < NEAR_BOTTOM;
  return () => void (isAtEnd && scrollToEnd());
}

/** To be called after each change. */
export function followBottom(): () => void {
  let lastHeight = document.documentElement.scrollHeight;
  return () => {
    const grown = document.documentElement.scrollHeight - lastHeight;
    lastHeight += grown;
    if (distanceToEnd() - Math.max(0, grown) < NEAR_BOTTOM) scrollToEnd();
  };
}
