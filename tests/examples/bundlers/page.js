// Asks the built-in model. `?assets=` says where the package's files were copied to, for bundlers that do not find them.
import { load } from "fanlight";

const assets = new URLSearchParams(location.search).get("assets");
const [form, status, output] = ["form", "#status", "output"].map((name) => document.querySelector(name));

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const engine = await load("built-in", { ...(assets && { assets }), onProgress: ({ phase }) => (status.textContent = phase) });
    const messages = [{ role: "user", content: form.question.value }];
    const answer = await engine.chat.completions.create({ messages, temperature: 0 });
    output.textContent = answer.choices[0].message.content;
    status.textContent = "done";
  } catch (error) {
    status.textContent = `${error.message} ${error.hint ?? ""}`;
  }
});
