/** Servers and their files, by themselves: the declarations of files that know these need no newer TypeScript than the package's do. */

import type { SourceError } from "./errors.js";

/** How a server is asked, and what its refusals mean; null where that is not known better. */
export interface Server {
  headers(url: string): Readonly<Record<string, string>>;
  refusal(url: string, response: Response): SourceError | null;
}

/** A file on a web server, and what is known of it. */
export interface FileReference {
  readonly url: string;
  readonly size?: number;
  readonly digest?: string;
}
