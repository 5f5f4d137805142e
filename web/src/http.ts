/** `engine.fetch`: OpenAI's HTTP API answered by the worker, so that any client that takes a `fetch` works.  Nothing leaves the page. */

import type { Answer } from "./channel.js";
import { FanlightError } from "./errors.js";

const JSON_HEADERS = { "Content-Type": "application/json" };
const SSE_HEADERS = { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" };

/** Asks the engine: an API path, the request's JSON. */
export type Call = (path: string, body: string, signal?: AbortSignal) => Promise<Answer>;

export function makeFetch(call: Call): typeof fetch {
  return async (input, init) => {
    const request = new Request(input, init);
    const path = /\/v1\/.*$/.exec(new URL(request.url).pathname)?.[0];
    if (!path) return notFound(request.url);
    const body = request.method === "GET" ? "null" : await request.text();
    try {
      return respond(await call(path, body, request.signal));
    } catch (error) {
      if (error instanceof FanlightError) {
        return new Response(JSON.stringify(error.http.body), { status: error.http.status, headers: JSON_HEADERS });
      }
      throw error;
    }
  };
}

function respond(answer: Answer): Response {
  if (answer.kind === "value") return new Response(answer.json, { headers: JSON_HEADERS });
  const { items } = answer;
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const item = await items.next();
        controller.enqueue(encoder.encode(`data: ${item.done ? "[DONE]" : item.value}\n\n`));
        if (item.done) controller.close();
      } catch (error) {
        if (!(error instanceof FanlightError)) return controller.error(error);
        controller.enqueue(encoder.encode(`data: ${JSON.stringify(error.http.body)}\n\n`));
        controller.close();
      }
    },
    async cancel() {
      await items.return(undefined);
    },
  });
  return new Response(body, { headers: SSE_HEADERS });
}

function notFound(url: string): Response {
  const error = { message: `there is nothing at ${url}: paths start with /v1/`, type: "invalid_request_error", param: null, code: null };
  return new Response(JSON.stringify({ error }), { status: 404, headers: JSON_HEADERS });
}
