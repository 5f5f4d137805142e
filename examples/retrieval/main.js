// Retrieval: an embedding model finds the passages nearest to the question, a chat model answers from them. Both run in one engine, on one GPU.
import { load } from "./node_modules/fanlight/dist/index.js";

const asked = new URLSearchParams(location.search); // ?chat=URL&embedding=URL
const CHAT = asked.get("chat") ?? "built-in";
const EMBEDDING = asked.get("embedding") ?? "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/resolve/main/";
const PASSAGES = 2; // that the chat model is shown

const [form, status, found, output] = ["form", "#status", "#found", "output"].map((name) => document.querySelector(name));
let models;
let index = { text: null, passages: [], vectors: [] };

async function loadModels() {
  const onProgress = ({ phase }) => (status.textContent = phase);
  const engine = await load(CHAT, { onProgress });
  return { engine, embedding: await engine.load(EMBEDDING, { onProgress }) };
}

/** The vectors of some texts; each has length 1, so that a product of two is their cosine. */
async function vectorsOf(input) {
  const { engine, embedding } = await models;
  const { data } = await engine.embeddings.create({ model: embedding, input, truncate_prompt_tokens: -1 });
  return data.map(({ embedding }) => embedding);
}

async function indexed(text) {
  if (index.text === text) return index;
  const passages = text.split(/\n\s*\n/).map((passage) => passage.trim()).filter(Boolean);
  return (index = { text, passages, vectors: await vectorsOf(passages) });
}

async function nearest(question, { passages, vectors }) {
  const [asked] = await vectorsOf([question]);
  const scored = passages.map((passage, i) => ({ passage, score: vectors[i].reduce((sum, x, j) => sum + x * asked[j], 0) }));
  return scored.sort((a, b) => b.score - a.score).slice(0, PASSAGES);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    models ??= loadModels();
    const { engine } = await models;
    const best = await nearest(form.question.value, await indexed(form.documents.value));
    found.replaceChildren(
      ...best.map(({ passage, score }) => Object.assign(document.createElement("li"), { textContent: `${score.toFixed(3)}  ${passage}` })),
    );
    const content = `${best.map(({ passage }) => passage).join("\n\n")}\n\nAnswer from this text: ${form.question.value}`;
    const stream = await engine.chat.completions.create({ messages: [{ role: "user", content }], max_tokens: 200, temperature: 0, stream: true });
    output.textContent = "";
    for await (const chunk of stream) output.textContent += chunk.choices[0]?.delta.content ?? "";
    status.textContent = "done";
  } catch (error) {
    status.textContent = `${error.message} ${error.hint ?? ""}`;
  }
});
