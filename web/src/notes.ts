/** Small texts that are kept between loads, by name: fanlight.runtime.notes.Notes in the store of models. A lost one costs time only. */

import { held, openToWrite } from "./opfs.js";
import { openStore } from "./storage.js";

export class Notes {
  /** What compiles the kernels here. */
  readonly version = navigator.userAgent;
  /** What compiles the models. */
  readonly build = FANLIGHT_BUILD;

  async read(name: string): Promise<string | null> {
    try {
      const store = await openStore();
      const file = store && (await held(store, () => store.getFileHandle(name)));
      return file && (await (await held(file, () => file.getFile())).text());
    } catch {
      return null;
    }
  }

  async write(name: string, text: string): Promise<void> {
    try {
      const store = await openStore();
      const handle = store && (await openToWrite(store, name));
      handle?.truncate(0);
      handle?.write(new TextEncoder().encode(text), { at: 0 });
      handle?.close();
    } catch {
      return;
    }
  }
}
