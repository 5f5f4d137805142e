// Where the engine lives: a document of the extension that nobody sees, and that stays while popups come and go.
import { load } from "./node_modules/fanlight/dist/index.js";

let engine; // a promise: loaded with the first question

chrome.runtime.onConnect.addListener((port) => {
  if (port.name !== "offscreen") return;
  const aborter = new AbortController();
  const post = (message) => aborter.signal.aborted || port.postMessage(message);
  port.onDisconnect.addListener(() => aborter.abort());
  port.onMessage.addListener(async ({ messages }) => {
    try {
      engine ??= load("built-in", { onProgress: ({ phase }) => post({ status: phase }) });
      const body = { messages, temperature: 0, stream: true };
      for await (const chunk of await (await engine).chat.completions.create(body, { signal: aborter.signal })) {
        post({ text: chunk.choices[0]?.delta.content ?? "" });
      }
      post({ status: "done" });
    } catch (error) {
      post({ status: `${error.message} ${error.hint ?? ""}` });
    }
  });
});
