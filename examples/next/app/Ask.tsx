"use client";
// Rendered on the server too, where the package may be imported and does nothing; it is loaded by the first question, in the browser.
import { type Engine, load } from "fanlight";
import { type FormEvent, useState } from "react";

let engine: Promise<Engine> | null = null;

export function Ask() {
  const [question, setQuestion] = useState("What day is after Saturday");
  const [status, setStatus] = useState("");
  const [answer, setAnswer] = useState("");

  async function ask(event: FormEvent) {
    event.preventDefault();
    try {
      engine ??= load("built-in", { onProgress: ({ phase }) => setStatus(phase) });
      const messages = [{ role: "user" as const, content: question }];
      let text = "";
      for await (const chunk of await (await engine).chat.completions.create({ messages, temperature: 0, stream: true })) {
        text += chunk.choices[0]?.delta.content ?? "";
        setAnswer(text);
      }
      setStatus("done");
    } catch (error) {
      setStatus(String(error));
    }
  }

  return (
    <form onSubmit={ask}>
      <input name="question" value={question} onChange={(event) => setQuestion(event.target.value)} aria-label="Question" size={40} />
      <button>Ask</button>
      <p id="status">{status}</p>
      <output>{answer}</output>
    </form>
  );
}
