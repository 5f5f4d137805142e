/** `engine.fetch`: OpenAI's HTTP API answered by the worker, so that any client that takes a `fetch` works.  Nothing leaves the page. */

import type { Answer, Channel } from "./channel.js";
import { FanlightError, RequestError } from "./errors.js";

const JSON_HEADERS = { "Content-Type": "application/json" };
const SSE_HEADERS = { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" };
const STATUS: Readonly<Record<string, number>> = { RequestError: 400, ContextOverflow: 400, EngineClosed: 503, DeviceLost: 503 };

export function makeFetch(channel: Channel): typeof fetch {
  return async (input, init) => {
    const request = new Request(input, init);
    const path = /\/v1\/.*$/.exec(new URL(request.url).pathname)?.[0];
    if (!path) return errorResponse(new RequestError(`no such path: ${new URL(request.url).pathname}`), 404);
    const body = request.method === "GET" ? "{}" : await request.text();
    try {
      return respond(await channel.request({ kind: "call", path, body }, request.signal));
    } catch (error) {
      if (error instanceof FanlightError) return errorResponse(error, STATUS[error.name] ?? 500);
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
        controller.enqueue(encoder.encode(`data: ${errorBody(error)}\n\n`));
        controller.close();
      }
    },
    async cancel() {
      await items.return(undefined);
    },
  });
  return new Response(body, { headers: SSE_HEADERS });
}

function errorBody(error: FanlightError): string {
  const message = error.hint ? `${error.message} (${error.hint})` : error.message;
  const type = error instanceof RequestError ? "invalid_request_error" : "server_error";
  return JSON.stringify({ error: { message, type, param: error.param, code: error.name } });
}

function errorResponse(error: FanlightError, status: number): Response {
  return new Response(errorBody(error), { status, headers: JSON_HEADERS });
}
