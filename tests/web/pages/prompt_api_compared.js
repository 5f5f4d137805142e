// Options of `create` and `availability`, as the browser's own LanguageModel takes them and as the package's does: what Web IDL makes of
// them, with or without a model.

const MESSAGES = [
  5,
  "ab",
  {},
  [],
  [5],
  [{}],
  [{ role: "user" }],
  [{ role: "user", content: 5 }],
  [{ role: "tool", content: "" }],
  [{ content: "" }],
  [{ role: "user", content: {} }],
  [{ role: "user", content: [5] }],
  [{ role: "user", content: [{ type: "text" }] }],
  [{ role: "user", content: [{ value: "" }] }],
  [{ role: "user", content: [{ type: "x", value: "" }] }],
  [{ role: "user", content: [{ type: "text", value: {} }] }],
  new Set([{ role: "assistant", content: null }]),
];
const LANGUAGES = [["en", "de-CH-1901"], ["en_US"], [""], ["x"], ["verylongtag"], ["en-"], [5], 5, "en"];
const EXPECTED = [5, {}, [], [5], [{}], [{ type: "x" }], ...LANGUAGES.map((languages) => [{ type: "text", languages }])];
const thrower = () => {
  throw new Error("mine");
};
const OPTIONS = [
  ...[undefined, null, 5, "", Symbol.iterator, () => 0, {}, { unknown: 1 }],
  ...[5, null, {}, AbortSignal.abort("why")].map((signal) => ({ signal })),
  ...[5, null, {}, thrower].map((monitor) => ({ monitor })),
  ...MESSAGES.map((initialPrompts) => ({ initialPrompts })),
  ...EXPECTED.flatMap((list) => [{ expectedInputs: list }, { expectedOutputs: list }]),
];

/** How it fails; "fine" where that is for want of a model. */
async function outcome(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof DOMException)) return String(error?.name ?? error);
  }
  return "fine";
}

/** Null where the browser has none. */
export async function compared() {
  const own = globalThis.LanguageModel;
  if (!own) return null;
  const { configure, install, LanguageModel: ours } = await import("/fanlight/prompt-api.js");
  const kept = [install(), globalThis.LanguageModel === own];
  configure({ engine: { models: { list: async () => ({ object: "list", data: [] }) } } });
  const different = [];
  for (const [i, options] of OPTIONS.entries()) {
    for (const name of ["create", "availability"]) {
      const found = [await outcome(() => own[name](options)), await outcome(() => ours[name](options))];
      if (found[0] !== found[1]) different.push([name, i, String(JSON.stringify(options)), ...found]);
    }
  }
  const members = [...Object.getOwnPropertyNames(own), ...Object.getOwnPropertyNames(own.prototype)];
  return { kept, count: OPTIONS.length, different, missing: members.filter((name) => !(name in ours) && !(name in ours.prototype)) };
}
