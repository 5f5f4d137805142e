import { load } from "./node_modules/fanlight/dist/index.js";

const [form, status, output] = ["form", "#status", "output"].map((name) => document.querySelector(name));
let engine; // a promise: loaded with the first question

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    engine ??= load("built-in", { onProgress: ({ phase }) => (status.textContent = phase) });
    const stream = await (await engine).chat.completions.create({
      messages: [{ role: "user", content: form.question.value }],
      temperature: 0,
      stream: true,
    });
    output.textContent = "";
    for await (const chunk of stream) output.textContent += chunk.choices[0]?.delta.content ?? "";
    status.textContent = "done";
  } catch (error) {
    status.textContent = `${error.message} ${error.hint ?? ""}`;
  }
});
