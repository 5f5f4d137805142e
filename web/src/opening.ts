/** What Python opens a model with in the page, besides the GPU: its files, a tokenizer, notes.  fanlight/api/worker.py asks for it. */

import { type Assets, startWorker } from "./assets.js";
import { openFiles } from "./files-client.js";
import type { ModelReference } from "./protocol.js";
import { Notes } from "./notes.js";
import { type Ask, connect } from "./rpc.js";
import type { Source } from "./sources.js";

/** One model, opened as often as it is loaded: again where it was unloaded. */
export class Opener {
  /** Begun before Python runs. */
  readonly first: Opening;
  #isUsed = false;

  constructor(
    readonly assets: Assets,
    readonly model: ModelReference,
    readonly store: boolean,
  ) {
    this.first = new Opening(this);
  }

  open(): Opening {
    if (this.#isUsed) return new Opening(this);
    this.#isUsed = true;
    return this.first;
  }

  /** The first load is over. Python may have refused it before it opened anything. */
  end(): void {
    if (!this.#isUsed) this.first.close();
  }
}

export class Opening {
  readonly notes: Notes | null;
  #assets: Assets;
  #controller = new AbortController();
  #sources: Promise<Source[]>;
  #tokenizer: Worker | null = null;
  #isOpened = false;

  constructor({ assets, model, store }: Opener) {
    this.#assets = assets;
    this.notes = store ? new Notes() : null;
    this.#sources = openFiles(assets, model, store, this.signal);
    this.#sources.catch(() => undefined); // reported to who asks
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  sources(): Promise<Source[]> {
    return this.#sources;
  }

  /** The model is there: its files are not needed any more. */
  opened(): void {
    this.#isOpened = true;
    this.#closeSources();
  }

  /** Ends what is open, be it half; what was downloaded is kept. */
  close(): void {
    if (!this.#isOpened) {
      this.#controller.abort();
      this.#closeSources();
    }
    this.#tokenizer?.terminate();
  }

  #closeSources(): void {
    this.#sources.then((sources) => sources.forEach((source) => source.close?.()), () => undefined);
  }

  /** From a tokenizer.json, in UTF-8. A worker that takes too long for a text is ended, and another one started. */
  encoder(tokenizerJson: Uint8Array): Encoder {
    const renames: string[] = [];
    const start = (): Ask => {
      const worker = (this.#tokenizer = startWorker(this.#assets.tokenizer, "fanlight tokenizer"));
      const ask = connect(worker);
      const opened = renames.reduce((before, names) => before.then(() => ask("renamed", [names])), ask("open", [tokenizerJson]));
      opened.catch(() => undefined); // reported by the first `encode`
      return (name, values) => opened.then(() => ask(name, values));
    };
    let ask = start();
    const inTime = async (name: string, values: readonly unknown[]): Promise<unknown> => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => {
          this.#tokenizer?.terminate();
          ask = start();
          reject(new Error(`it takes more than ${ENCODING_MS / 1000} s`));
        }, ENCODING_MS);
      });
      return Promise.race([ask(name, values), late]).finally(() => clearTimeout(timer));
    };
    const encoder = (which: number): Encoder => ({
      encode: (text, addSpecialTokens) => inTime("encode", [text, addSpecialTokens, which]),
      encodePair: (text, pair) => inTime("encodePair", [text, pair]),
      renamed: async (names) => {
        const made = (await inTime("renamed", [names])) as number;
        renames.push(names);
        return encoder(made);
      },
    });
    return encoder(0);
  }
}

/** What fanlight.text.tokenizer.BrowserEncoder asks. */
interface Encoder {
  encode(text: string, addSpecialTokens: boolean): Promise<unknown>;
  encodePair(text: string, pair: string): Promise<unknown>;
  renamed(names: string): Promise<Encoder>;
}

const ENCODING_MS = 60_000; // a split pattern of a hostile file can take for ever
