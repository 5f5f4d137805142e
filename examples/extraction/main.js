// Structured extraction: the answer satisfies the schema, whatever the model; the grammar is applied on the GPU, token by token.
import { load } from "./node_modules/fanlight/dist/index.js";

const MODEL = new URLSearchParams(location.search).get("model") ?? "built-in";
const SCHEMA = {
  type: "object",
  properties: {
    room: { enum: ["hall", "kitchen", "office", "cellar"] },
    degrees: { type: "integer", minimum: -40, maximum: 60 },
    humidity: { type: "integer", minimum: 0, maximum: 100 },
  },
  required: ["room", "degrees", "humidity"],
  additionalProperties: false,
};

const [form, status, table] = ["form", "#status", "table"].map((name) => document.querySelector(name));
let engine; // a promise: loaded with the first question

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    engine ??= load(MODEL, { onProgress: ({ phase }) => (status.textContent = phase) });
    const answer = await (await engine).chat.completions.create({
      messages: [{ role: "user", content: `${form.text.value}\n\nAs JSON, keys: ${SCHEMA.required.join(", ")}` }],
      response_format: { type: "json_schema", json_schema: { name: "room", schema: SCHEMA } },
      temperature: 0,
    });
    const fields = JSON.parse(answer.choices[0].message.content);
    table.replaceChildren();
    for (const [name, value] of Object.entries(fields)) {
      const row = table.insertRow();
      row.insertCell().textContent = name;
      row.insertCell().textContent = value;
    }
    status.textContent = "done";
  } catch (error) {
    status.textContent = `${error.message} ${error.hint ?? ""}`;
  }
});
