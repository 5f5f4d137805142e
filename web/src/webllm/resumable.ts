/**
 * Answers that outlive their page: while one is written, its tokens are kept (IndexedDB), and another visit goes on from them.  A chat's
 * own reading of calls and reasoning does not go on: what is resumed is text.
 */

import { webllmError } from "./errors.js";
import type { LoadedModel } from "./models.js";
import type * as api from "./openai.js";
import type { Answer, Piece } from "./pieces.js";
import type { ResumableGenerationConfig, ResumeProbeResult, ResumeResult } from "./types.js";

const DATABASE = "fanlight-webllm";
const STORE = "sessions";
/** Of a request, what its continuation is drawn with too. */
const DRAWN_WITH = ["temperature", "top_p", "frequency_penalty", "presence_penalty", "repetition_penalty", "stop", "seed", "logit_bias", "ignore_eos"] as const;

/** As it is kept. */
interface Kept {
  readonly sessionId: string;
  readonly modelId: string;
  readonly request: Record<string, unknown>;
  promptTokenIds: readonly number[];
  tokenIds: number[];
  text: string;
  state: "running" | "finished" | "interrupted";
}

export class Session implements Kept {
  promptTokenIds: readonly number[] = [];
  tokenIds: number[] = [];
  text = "";
  state: Kept["state"] = "running";

  constructor(
    readonly sessionId: string,
    readonly modelId: string,
    readonly request: Record<string, unknown>,
  ) {}

  static of({ sessionId, modelId, request, ...progress }: Kept): Session {
    return Object.assign(new Session(sessionId, modelId, request), progress);
  }

  /** A completion behind what is there. */
  continuation(): Record<string, unknown> {
    const most = this.request["max_tokens"];
    return {
      ...this.request,
      model: this.modelId,
      prompt: [...this.promptTokenIds, ...this.tokenIds],
      max_tokens: typeof most === "number" ? Math.max(1, most - this.tokenIds.length) : 2 ** 31 - 1,
      stream: true,
      stream_options: { include_usage: true },
      return_token_ids: true,
    };
  }

  probe(): ResumeProbeResult {
    const isOver = this.state === "finished";
    const resumable = !isOver && this.promptTokenIds.length > 0;
    return {
      sessionId: this.sessionId,
      resumable,
      ...(!resumable && { reason: isOver ? "generation finished" : "nothing was computed" }),
      modelId: this.modelId,
      emittedTokens: this.tokenIds.length,
      processedSeqLen: this.promptTokenIds.length + this.tokenIds.length,
      recoveryMode: resumable ? "token_replay" : "none",
    };
  }
}

/** What was there when it was resumed. replayed: tokens that had to be computed again. */
export function resumed(session: Session, replayed: number): ResumeResult {
  return {
    sessionId: session.sessionId,
    recoveredText: session.text,
    emittedTokens: session.tokenIds.length,
    processedSeqLen: session.promptTokenIds.length + session.tokenIds.length,
    replayedTokens: replayed,
    recoveryMode: replayed ? "token_replay" : "text_only",
  };
}

/** Keeps what a request has written; writes that come while one is on its way become one. */
export class Journal {
  #writing: Promise<void> | null = null;
  #isDirty = false;
  readonly #mark: number;
  #unwritten = 0;

  constructor(
    readonly session: Session,
    config: ResumableGenerationConfig = { enabled: true },
  ) {
    this.#mark = config.durabilityMode === "relaxed" ? (config.checkpointIntervalTokens ?? 512) : 1;
  }

  async write(answer: Answer, { text, tokenIds, finish }: Piece): Promise<void> {
    const { session } = this;
    if (!session.promptTokenIds.length) session.promptTokenIds = answer.promptTokenIds;
    session.tokenIds.push(...tokenIds);
    session.text += text;
    if (finish !== null) session.state = finish === "abort" ? "interrupted" : "finished";
    this.#unwritten += tokenIds.length;
    if (finish !== null || this.#unwritten >= this.#mark) this.#keep();
  }

  /** All is kept. */
  async end(): Promise<void> {
    this.#keep();
    while (this.#writing) await this.#writing;
  }

  #keep(): void {
    this.#unwritten = 0;
    this.#isDirty = true;
    this.#writing ??= this.#drain().finally(() => (this.#writing = null));
  }

  async #drain(): Promise<void> {
    while (this.#isDirty) {
      this.#isDirty = false;
      await inStore("readwrite", (store) => store.put({ ...this.session }));
    }
  }
}

export class Sessions {
  /** null where the request does not ask for it. Raises UnsupportedFieldsError where its answer could not go on. */
  async begin(request: api.ChatCompletionRequestBase, model: LoadedModel): Promise<Journal | undefined> {
    const config = request.extra_body?.resumable;
    if (!config?.enabled) return undefined;
    const hasFormat = request.response_format && request.response_format.type !== undefined && request.response_format.type !== "text";
    const others = [(request.n ?? 1) > 1 && "n", hasFormat && "response_format", request.tools?.length && "tools", model.processor && "LogitProcessor"];
    const wrong = others.filter((name): name is string => typeof name === "string");
    if (wrong.length) throw webllmError("UnsupportedFieldsError", wrong, "a resumable ChatCompletionRequest");
    const id = config.sessionId ?? crypto.randomUUID();
    if (await this.#find(id)) throw webllmError("ResumableSessionExistsError", id);
    const given = request as unknown as Record<string, unknown>;
    const drawn = [...DRAWN_WITH, "max_tokens"].filter((name) => given[name] !== undefined && given[name] !== null);
    const session = new Session(id, model.id, Object.fromEntries(drawn.map((name) => [name, given[name]])));
    await inStore("readwrite", (store) => store.put({ ...session }));
    return new Journal(session, config);
  }

  async list(): Promise<ResumeProbeResult[]> {
    const found = await inStore<Kept[]>("readonly", (store) => store.getAll() as IDBRequest<Kept[]>);
    return found.map((kept) => Session.of(kept).probe());
  }

  async open(id: string): Promise<Session> {
    const found = await this.#find(id);
    if (!found) throw new Error(`There is no resumable session ${id}.`);
    return Session.of(found);
  }

  async delete(id: string): Promise<void> {
    await inStore("readwrite", (store) => store.delete(id));
  }

  #find(id: string): Promise<Kept | undefined> {
    return inStore<Kept | undefined>("readonly", (store) => store.get(id) as IDBRequest<Kept | undefined>);
  }
}

/** One call on the store, which is made where there is none. */
async function inStore<T>(mode: IDBTransactionMode, call: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: "sessionId" });
  const database = await done(opening);
  try {
    return await done(call(database.transaction(STORE, mode).objectStore(STORE)));
  } finally {
    database.close();
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB failed"));
  });
}
