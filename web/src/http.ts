/** `engine.fetch`: OpenAI's HTTP API answered by the worker, so that any client that takes a `fetch` works.  Nothing leaves the page. */

import type { Answer } from "./channel.js";
import { FanlightError } from "./errors.js";
import { formBody } from "./sounds.js";

const JSON_HEADERS = { "Content-Type": "application/json" };
const TEXT_HEADERS = { "Content-Type": "text/plain; charset=utf-8" };
const SSE_HEADERS = { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" };
const LINES_HEADERS = { "Content-Type": "application/x-ndjson", "Cache-Control": "no-cache" };
const PATH = /\/(v1\/.*|api\/(chat|generate|embed|embeddings|show|tags|ps|version)|tokenize|detokenize|apply-template)$/;

/** What an engine answers there; null: nothing. */
export function apiPath(pathname: string): string | null {
  return PATH.exec(pathname)?.[0] ?? null;
}

/** Asks the engine: an API path, the request's JSON. */
export type Call = (path: string, body: string, signal?: AbortSignal) => Promise<Answer>;

export function makeFetch(call: Call): typeof fetch {
  return async (input, init) => {
    const request = new Request(input, init);
    const path = apiPath(new URL(request.url).pathname);
    if (!path) return notFound(request.url);
    try {
      const body = request.method === "GET" ? "null" : await (isForm(request) ? request.formData().then(formBody) : request.text());
      return respond(await call(path, body, request.signal), path.startsWith("/api/"));
    } catch (error) {
      if (error instanceof FanlightError) {
        const { status, body } = error.http;
        const headers = status === 503 ? { ...JSON_HEADERS, "Retry-After": "1" } : JSON_HEADERS;
        return new Response(JSON.stringify(body), { status, headers });
      }
      throw error;
    }
  };
}

function isForm(request: Request): boolean {
  return request.headers.get("content-type")?.startsWith("multipart/form-data") ?? false;
}

/** `inLines`: as Ollama streams, a line of JSON for each chunk. */
function respond(answer: Answer, inLines: boolean): Response {
  if (answer.kind === "value") {
    const isText = answer.json.startsWith('"'); // a transcript alone
    return isText ? new Response(JSON.parse(answer.json) as string, { headers: TEXT_HEADERS }) : new Response(answer.json, { headers: JSON_HEADERS });
  }
  const { items } = answer;
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const item = await items.next();
        const text = inLines ? (item.done ? "" : `${item.value}\n`) : `data: ${item.done ? "[DONE]" : item.value}\n\n`;
        if (text) controller.enqueue(encoder.encode(text));
        if (item.done) controller.close();
      } catch (error) {
        if (!(error instanceof FanlightError)) return controller.error(error);
        const told = JSON.stringify(error.http.body);
        controller.enqueue(encoder.encode(inLines ? `${told}\n` : `data: ${told}\n\n`));
        controller.close();
      }
    },
    async cancel() {
      await items.return(undefined);
    },
  });
  return new Response(body, { headers: inLines ? LINES_HEADERS : SSE_HEADERS });
}

function notFound(url: string): Response {
  const error = { message: `there is nothing at ${url}: paths are those of OpenAI's API (/v1/...) and of Ollama's (/api/...)`, type: "invalid_request_error", param: null, code: null };
  return new Response(JSON.stringify({ error }), { status: 404, headers: JSON_HEADERS });
}
