import { type ChatCompletionMessageParam, type Engine, load } from "fanlight";
import { useState } from "react";

let engine: Promise<Engine> | null = null; // one for the page, however often components come and go

/** A conversation whose last answer streams in. */
export function useChat() {
  const [messages, setMessages] = useState<ChatCompletionMessageParam[]>([]);
  const [status, setStatus] = useState("");
  const [aborter, setAborter] = useState<AbortController | null>(null); // of the answer that is written

  async function ask(question: string) {
    const asked: ChatCompletionMessageParam[] = [...messages, { role: "user", content: question }];
    setMessages(asked);
    const made = new AbortController();
    const { signal } = made;
    setAborter(made);
    try {
      engine ??= load("built-in", { onProgress: ({ phase }) => setStatus(phase) });
      const stream = await (await engine).chat.completions.create({ messages: asked, temperature: 0, stream: true }, { signal });
      let content = "";
      for await (const chunk of stream) {
        content += chunk.choices[0]?.delta.content ?? "";
        setMessages([...asked, { role: "assistant", content }]);
      }
      setStatus("done");
    } catch (error) {
      setStatus(signal.aborted ? "stopped" : String(error));
    } finally {
      setAborter(null);
    }
  }

  return { messages, status, isBusy: aborter !== null, ask, stop: () => aborter?.abort() };
}
