/** The text of PDF files, page by page.  A file of its own, since pdf.js is large: documents.ts fetches it with the first PDF file. */

import { getDocument, GlobalWorkerOptions } from "pdfjs-dist";

GlobalWorkerOptions.workerSrc = new URL("pdf.worker.js", import.meta.url).href;
const CMAPS = new URL("cmaps/", import.meta.url).href; // encodings of Chinese, Japanese and Korean fonts; fetched where a file names one

export async function readPages(data: Uint8Array, signal: AbortSignal): Promise<string[]> {
  const loading = getDocument({ data, cMapUrl: CMAPS, cMapPacked: true, isEvalSupported: false, disableFontFace: true, useSystemFonts: false });
  const stop = (): void => void loading.destroy();
  signal.addEventListener("abort", stop);
  try {
    const file = await loading.promise;
    const pages: string[] = [];
    for (let i = 1; i <= file.numPages; i++) {
      const page = await file.getPage(i);
      const { items } = await page.getTextContent();
      pages.push(joined(items as readonly Item[]));
      page.cleanup();
    }
    return pages;
  } finally {
    signal.removeEventListener("abort", stop);
    await loading.destroy();
  }
}

interface Item {
  readonly str?: string;
  readonly hasEOL?: boolean;
  readonly height?: number;
  readonly transform?: readonly number[];
}

/** Lines as they stand; a gap of more than a line is a new paragraph, a word that was cut at a line's end is whole again. */
function joined(items: readonly Item[]): string {
  let text = "";
  let last: number | null = null;
  for (const { str = "", hasEOL, height = 0, transform } of items) {
    const y = transform?.[5] ?? null;
    if (str && y !== null && last !== null && height && text.endsWith("\n") && last - y > 1.8 * height) text += "\n";
    text += str;
    if (hasEOL) text += "\n";
    if (str && y !== null) last = y;
  }
  return text.replace(/(\p{L})[-\u00ad]\n(\p{Ll})/gu, "$1$2");
}

export function isPasswordError(error: unknown): boolean {
  return error instanceof Error && error.name === "PasswordException";
}
