import type { ChatCompletionMessageParam } from "fanlight";
import { type FormEvent, useState } from "react";
import { useChat } from "./useChat";

export function Chat() {
  const [question, setQuestion] = useState("What day is after Saturday");
  const { messages, status, isBusy, ask, stop } = useChat();

  function submit(event: FormEvent) {
    event.preventDefault();
    void ask(question);
    setQuestion("");
  }

  return (
    <>
      {messages.map((message, i) => (
        <Message key={i} {...message} />
      ))}
      <form onSubmit={submit}>
        <input value={question} onChange={(event) => setQuestion(event.target.value)} aria-label="Question" size={40} />
        {isBusy ? <button type="button" onClick={stop}>Stop</button> : <button>Ask</button>}
      </form>
      <p id="status">{status}</p>
    </>
  );
}

function Message({ role, content }: ChatCompletionMessageParam) {
  return <p className={role}>{String(content)}</p>;
}
