/**
 * `shareEngine`: one engine for all tabs of an origin.  The tab that holds the lock "fanlight-leader" has it, the others ask there; when it
 * is closed or crashes, the next one loads the models again from the browser's storage, and open streams go on.
 */

import { Asker } from "./asker.js";
import { findAssets } from "./assets.js";
import type { Ask, Channel, WithoutId } from "./channel.js";
import { checkOptions, type Engine, type LoadOptions, loadModel, makeEngine, type ModelInput, OF_ENGINES, openWorker } from "./client.js";
import { EngineClosed, RequestError } from "./errors.js";
import { Leader } from "./leader.js";
import type { ToWorker } from "./protocol.js";
import { type Asked, LEADER_LOCK, type Used } from "./tabs.js";

const PATIENCE_MS = 10_000; // of a tab that asks one which leads and does not answer

/** As `load`, where it is not loaded in another tab already. `close` lets go of it; it ends when no tab uses it any more. */
export async function shareEngine(model: ModelInput, options: LoadOptions = {}): Promise<Engine> {
  checkOptions(options, OF_ENGINES);
  const { assets, ...others } = options;
  others.signal?.throwIfAborted();
  const found = findAssets(assets);
  const channel = openShared(() => openWorker(found));
  const home = { channel, assets: found };
  try {
    return makeEngine(home, await loadModel(home, model, others));
  } catch (error) {
    channel.end();
    throw error;
  }
}

/** The engine of this origin, as if its worker were this tab's. */
function openShared(open: () => Channel): Channel {
  const uses: Used[] = [];
  const asker = new Asker({ patienceMs: PATIENCE_MS, uses: () => uses });
  const candidate = new Candidate(async () => {
    await asker.here(); // or who leads would take this tab for one that is gone
    return new Leader(asker.id, uses, open);
  });
  let isClosed = false;

  const ask: Ask<Asked> = async (asked, ...rest) => {
    await asker.here();
    return candidate.leader ? candidate.leader.ask(asker.id, asked, uses, ...rest) : asker.ask(asked, ...rest);
  };

  const request: Ask<WithoutId<ToWorker>> = async (message, ...rest) => {
    if (isClosed) throw new EngineClosed("The engine was closed.");
    switch (message.kind) {
      case "load": {
        const used: Used = { load: message };
        uses.push(used);
        try {
          const answer = await ask(message, ...rest);
          if (answer.kind === "value") used.name = (JSON.parse(answer.json) as { model: string }).model;
          void asker.tell();
          return answer;
        } catch (error) {
          uses.splice(uses.indexOf(used), 1);
          throw error;
        }
      }
      case "unload": {
        const at = uses.findIndex(({ name }) => name === message.args[0]);
        if (at < 0) throw new RequestError(`this tab has no model '${message.args[0]}'`, { param: "model" });
        uses.splice(at, 1);
        return ask(message, ...rest);
      }
      case "handle":
        return ask({ ...message, args: [message.args[0], named(message.args[1], uses[0]?.name)] }, ...rest);
      case "save_state":
      case "restore_state":
        return ask(message, ...rest);
      default:
        return { kind: "value", json: "null" };
    }
  };
  const end = (): void => {
    isClosed = true;
    uses.splice(0);
    candidate.end();
    asker.close();
  };
  return { request, end, close: async () => end() };
}

/** Leads once nobody else does, unless the page is out of sight for good or frozen: then it could answer nobody. */
class Candidate {
  leader: Leader | null = null;
  #makeLeader: () => Promise<Leader>;
  #standing: { readonly waiting: AbortController; resign(): void } | null = null;
  #ending = new AbortController();

  constructor(makeLeader: () => Promise<Leader>) {
    this.#makeLeader = makeLeader;
    const { signal } = this.#ending;
    for (const [target, leave, back] of [[globalThis, "pagehide", "pageshow"], [document, "freeze", "resume"]] as const) {
      target.addEventListener(leave, () => this.#resign(), { signal });
      target.addEventListener(back, () => this.#stand(), { signal });
    }
    this.#stand();
  }

  end(): void {
    this.#ending.abort();
    this.#resign();
  }

  #stand(): void {
    if (this.#standing) return;
    const waiting = new AbortController();
    let resign = (): void => undefined;
    const isOver = new Promise<void>((resolve) => (resign = resolve));
    const standing = (this.#standing = { waiting, resign });
    const lead = async (): Promise<void> => {
      const leader = await this.#makeLeader();
      if (this.#standing === standing) this.leader = leader;
      await isOver;
      await leader.end();
    };
    navigator.locks.request(LEADER_LOCK, { signal: waiting.signal }, lead).catch(() => undefined); // resigned before it led
  }

  #resign(): void {
    this.#standing?.waiting.abort();
    this.#standing?.resign();
    this.#standing = this.leader = null;
  }
}

/** Another tab's model may be the engine's first: a request that names none means this tab's. */
function named(body: string, model: string | undefined): string {
  if (model === undefined) return body;
  try {
    const request: unknown = JSON.parse(body);
    const isNameless = typeof request === "object" && request !== null && !Array.isArray(request) && !("model" in request);
    return isNameless ? JSON.stringify({ ...request, model }) : body;
  } catch {
    return body; // the engine says what is wrong with it
  }
}
