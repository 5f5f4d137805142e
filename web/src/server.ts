/** `Server`, by itself: the declarations of files that know it need no newer TypeScript than those of the package do. */

import type { SourceError } from "./errors.js";

/** How a server is asked, and what its refusals mean; null where that is not known better. */
export interface Server {
  headers(url: string): Readonly<Record<string, string>>;
  refusal(url: string, response: Response): SourceError | null;
}
