// Tool use: the model asks for a function, the page runs it, and the model answers with what it gave.
import { load } from "./node_modules/fanlight/dist/index.js";

const MODEL = new URLSearchParams(location.search).get("model") ?? "built-in";
const ROUNDS = 4; // a model that asks for ever is stopped
const ZONES = { Rome: "Europe/Rome", Hanoi: "Asia/Ho_Chi_Minh", Lima: "America/Lima", Oslo: "Europe/Oslo" };

/** What the page can do: each function with its description for the model. */
const FUNCTIONS = {
  time_in: {
    run: ({ city }) => ({ time: new Date().toLocaleTimeString("en-GB", { timeZone: ZONES[city], timeStyle: "short" }) }),
    description: "The time in a city",
    parameters: {
      type: "object",
      properties: { city: { enum: Object.keys(ZONES) } },
      required: ["city"],
      additionalProperties: false,
    },
  },
};
// With `strict` the arguments satisfy the schema, so `run` need not check them.
const tools = Object.entries(FUNCTIONS).map(([name, { description, parameters }]) => ({
  type: "function",
  function: { name, description, parameters, strict: true },
}));

const [form, status, calls, output] = ["form", "#status", "#calls", "output"].map((name) => document.querySelector(name));
let engine; // a promise: loaded with the first question

function called({ id, function: { name, arguments: text } }) {
  const result = JSON.stringify(FUNCTIONS[name].run(JSON.parse(text)));
  calls.append(Object.assign(document.createElement("li"), { textContent: `${name}(${text}) = ${result}` }));
  return { role: "tool", tool_call_id: id, content: result };
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    engine ??= load(MODEL, { onProgress: ({ phase }) => (status.textContent = phase) });
    const messages = [{ role: "user", content: form.question.value }];
    calls.replaceChildren();
    for (let round = 0; round < ROUNDS; round++) {
      const answer = await (await engine).chat.completions.create({ messages, tools, temperature: 0, max_tokens: 200 });
      const { message } = answer.choices[0];
      messages.push(message);
      output.textContent = message.content ?? "";
      if (!message.tool_calls) break;
      messages.push(...message.tool_calls.map(called));
    }
    status.textContent = "done";
  } catch (error) {
    status.textContent = `${error.message} ${error.hint ?? ""}`;
  }
});
