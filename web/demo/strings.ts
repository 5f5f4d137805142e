/** Every word that the page shows, but for errors' own messages (they come from the engine) and the fallback text in index.html. */

import { bytes, duration, number, percent, rounded, seconds } from "./format.js";

export { bytes, rounded };

/** Words by names that the engine gives; others may come. */
const table = <K extends string>(words: Readonly<Record<K, string>>): Readonly<Record<K, string>> & Readonly<Record<string, string>> => words;

const tokens = (count: number): string => (count === 1 ? "1 token" : `${number(count)} tokens`);

export const app = {
  name: "Fanlight",
  language: "Language",
  title: (model: string) => `${model} · Fanlight`,
  privacy: "Everything runs on this device. Nothing that you write, open or read leaves it.",
};

export const frame = {
  showChats: "Show conversations",
  hideChats: "Hide conversations",
  noModel: "Choose a model",
  changeModel: (name: string) => `${name}: choose another model`,
};

export const sidebar = {
  heading: "Conversations",
  search: "Search conversations",
  found: "Found conversations",
  nothingFound: "Nothing was found.",
  notKept: "This window keeps no conversations (a private window?): what is said here ends with it.",
  notSaved: "This conversation could not be saved on this device. Is its storage full?",
  untitled: "Without a title",
  age: (days: number) => (days < 1 ? "Today" : days < 2 ? "Yesterday" : days < 8 ? "Last week" : days < 32 ? "Last month" : "Older"),
  more: (title: string) => `Options for ${title}`,
  rename: "Rename",
  renameField: "New name",
  exportMarkdown: "Export as Markdown",
  exportJson: "Export as JSON",
  remove: "Delete",
  removed: (title: string) => `“${title}” was deleted.`,
  removedAll: (count: number) => (count === 1 ? "One conversation was deleted." : `${number(count)} conversations were deleted.`),
  gone: "This conversation is no longer on this device.",
  all: "All conversations",
  exportAll: "Export everything",
  importFile: "Import a file",
  removeAll: "Delete all conversations",
};

export const toast = {
  undo: "Undo",
  close: "Close",
};

export const transfer = {
  nothing: "There is nothing to export yet.",
  imported: (count: number, same: number) =>
    [
      count === 1 ? "One conversation was imported." : `${number(count)} conversations were imported.`,
      same && (same === 1 ? "One was here already." : `${number(same)} were here already.`),
    ]
      .filter(Boolean)
      .join(" "),
  refused: (file: string, why: string) => `${file} was not imported. ${why}`,
  errors: {
    noJson: "It is not a JSON file.",
    noArchive: "It is not a file of conversations that Fanlight exported.",
    version: (version: string) => `It was written by a newer Fanlight (version ${version} of such files): reload this page to get the newest.`,
    conversation: (count: number) => `conversation ${number(count)}`,
    message: (title: string) => `a message of “${title}”`,
    preset: (count: number) => `preset ${number(count)}`,
    field: (where: string, what: string) => `In ${where} this is missing or not as it was written: ${what}.`,
  },
  markdown: { you: "You", answer: "Answer" },
};

export const modelBar = {
  noneYet: "No model is loaded.",
  none: (name: string) => `${name}, which answered here, is not loaded.`,
  other: (before: string, now: string) => `So far this was answered by ${before}; ${now} goes on.`,
  load: (name: string) => `Load ${name}`,
  download: (name: string) => `Download ${name} again`,
  models: "All models",
};

export const presets = {
  label: "Preset",
  note: "Instructions and sampling under a name, for other conversations.",
  none: "none",
  update: "Save the changes",
  add: "Save as a preset",
  rename: "Rename",
  remove: "Delete",
  name: "Name of the preset",
  keep: "Save",
  cancel: "Cancel",
  confirm: (name: string) => `Delete the preset “${name}”? Conversations that use it keep their settings.`,
};

export const keyboard = {
  heading: "Keyboard",
  keys: [
    ["Enter", "Send the message"],
    ["Shift + Enter", "Start a new line"],
    ["Escape", "Stop the answer; close what is open"],
    ["Arrow up", "Edit your last message, where nothing is written"],
    ["Ctrl or ⌘ + Shift + O", "New chat"],
    ["Ctrl or ⌘ + K", "Search conversations"],
    ["Ctrl or ⌘ + Shift + S", "Show or hide conversations"],
  ] as readonly (readonly [string, string])[],
};

export const served = {
  privacy: "This model runs on the server that the page comes from: what you write is sent there, and nowhere else.",
  gone: "looking whether the server still runs",
  cut: "The connection ended before the answer did",
  status: (status: number) => `The server answered ${status}`,
};

export const features = {
  heading: "This browser cannot run a model",
  again: "Check again",
  missing: {
    webAssembly: "WebAssembly is missing or switched off. The engine is a WebAssembly program: allow it in the browser's settings.",
    workers: "Web Workers are missing. The engine runs in one: use a current browser.",
    decompression: "This browser cannot unpack compressed files. Use a current browser.",
  },
  lesser: {
    storage: "This window has no storage of its own (a private window?), so models are downloaded again each time.",
    offline: "This window keeps no pages (a private window?), so Fanlight cannot be opened offline.",
  },
};

export const choose = {
  heading: "A language model, on your own device",
  lead: "Pick a model. It is loaded into this device's graphics card and answers here, offline if need be.",
  first: {
    best: "The best of our list for this device.",
    offered: "A real, if small, model from the server that this page comes from: nothing else is downloaded, and it runs on this device.",
    startSize: (size: string) => `Start (${size})`,
    startNamed: (name: string, size: string) => `Start ${name} (${size})`,
    builtInNote: "15 MB, comes with the page: a very small demonstration",
  },
  builtIn: {
    heading: "Try it now",
    note: "A very small demonstration model that comes with the page: 15 MB, English only.",
    load: "Start the built-in model",
  },
  served: {
    heading: "Served here",
    note: "The server that this page comes from runs it: nothing is downloaded, and what you write is sent there.",
    chat: (name: string) => `Chat with ${name}`,
    load: (name: string, size: string) => `Run ${name} in this browser instead (${size})`,
    key: "The server's API key",
    keyNote: "It is kept until this page is closed.",
    keyUse: "Use it",
  },
  file: {
    heading: "Open your own model",
    pick: "Choose a GGUF file",
    drop: "or drop it anywhere on this page",
    dropping: "Let go to open this file",
    parts: "All parts of a split file can be chosen together.",
  },
  url: {
    label: "Or load one from the web",
    placeholder: "https://…/model.gguf",
    load: "Load",
    note: "A link to a GGUF file, or to a folder of safetensors ending in a slash. It is downloaded once and kept on this device.",
    empty: "Paste the address of a model file first.",
  },
  options: {
    heading: "Options",
    context: "Context length, in tokens",
    contextNote: "How much of a conversation the model can look back on. Longer needs more memory; empty means automatic.",
    contextPlaceholder: "automatic",
    memory: "Memory of the graphics card",
    memoryNote: "Browsers do not tell how much there is. Say it here, and the list says better what fits.",
    memoryGuess: (size: number) => `Not known, about ${bytes(size)} by our guess`,
    memoryAutomatic: "Not known: guess it",
    catalogue: "Another list of models",
    catalogueNote: "The address of a catalogue in Fanlight's format. Its server sees that this page asks for it.",
    catalogueUse: "Use it",
    catalogueReset: "Fanlight's own list",
  },
  back: "Back to the chat",
};

export const catalogue = {
  heading: "More models",
  from: (host: string) => `A list from ${host}`,
  search: "Search models",
  searchPlaceholder: "Name, maker, owner/model",
  kind: "Kind",
  kinds: { all: "All kinds", chat: "Chat", vision: "Pictures", thinking: "Reasoning", code: "Programming", tools: "Tools", embeddings: "Search and retrieval" },
  order: "Order",
  orders: { listed: "As listed", small: "Smallest first", large: "Largest first", name: "By name" },
  askHub: "Search Hugging Face",
  none: "No model of the list has these words. Hugging Face may have one.",
  showAll: (count: number) => `Show all ${number(count)}`,
  load: "Load",
  loadNamed: (name: string) => `Load ${name}`,
  download: (size: number) => `about ${bytes(size)} to download`,
  context: (count: number) => `context of ${number(count)}`,
  verdicts: {
    fits: (need: number) => `Fits: needs ${bytes(need)}`,
    tight: (need: number) => `Tight: needs ${bytes(need)}`,
    large: (need: number) => `Too large: needs ${bytes(need)}`,
    storage: () => "More than may be stored here",
    unknown: () => "Size not known yet",
  } as Readonly<Record<"fits" | "tight" | "large" | "storage" | "unknown", (need: number) => string>>,
  speed: (perSecond: number, isMeasured: boolean) => {
    const rough = perSecond < 10 ? rounded(Math.max(0.1, perSecond)) : number(Number(perSecond.toPrecision(2)));
    return isMeasured ? `about ${rough} tokens/s, by your measurement` : `perhaps ${rough} tokens/s`;
  },
  capabilities: { chat: "chat", vision: "sees pictures", tools: "tools", thinking: "thinks first", code: "programming", embeddings: "for search, not for chats" },
  gated: "asks for consent",
};

export const hub = {
  searching: (text: string) => `Asking Hugging Face for “${text}”…`,
  listing: (repo: string) => `Reading the files of ${repo}…`,
  found: (count: number, text: string) => `${count === 1 ? "1 model" : `${number(count)} models`} of Hugging Face for “${text}”`,
  nothing: (text: string) => `Hugging Face has no GGUF model for “${text}”.`,
  noLicence: "no licence named",
  downloads: (count: number) => `${number(count)} downloads a month`,
  files: "Files",
  filesOf: (repo: string) => `Files of ${repo}`,
  noFiles: "There is no file in it that can be loaded: no GGUF, no safetensors.",
  token: "Access token of Hugging Face",
  tokenNote: "For models that ask for consent, and private ones. It goes to Hugging Face only, and is forgotten when this page is closed.",
  tokenUse: "Try with it",
};

export const stored = {
  heading: "Stored on this device",
  builtIn: "Built-in model",
  size: (size: number) => bytes(size),
  partial: (have: number, size: number) => `${bytes(have)} of ${bytes(size)} so far`,
  load: "Load",
  resume: "Resume",
  remove: "Delete",
  loadNamed: (name: string) => `Load ${name}`,
  resumeNamed: (name: string) => `Resume the download of ${name}`,
  removeNamed: (name: string) => `Delete ${name}`,
  removed: (name: string) => `${name} was deleted.`,
  confirm: (name: string) => `Delete ${name} from this device? It can be downloaded again.`,
  total: (count: number, size: number) => `${count === 1 ? "1 model" : `${count} models`}, ${bytes(size)} in all`,
  free: (size: number) => `about ${bytes(size)} more may be stored`,
};

export const loading = {
  heading: (name: string) => `Loading ${name}`,
  builtIn: "the built-in model",
  phases: table({
    runtime: "Starting the engine",
    header: "Reading the model's description",
    compile: "Compiling the model for this graphics card",
    pipelines: "Preparing the graphics card's programs",
    weights: "Bringing the weights to the graphics card",
    ready: "Ready",
  }),
  progress: "Weights loaded",
  amount: (have: number, size: number) => (size ? `${bytes(have)} of ${bytes(size)}` : bytes(have)),
  speed: (perSecond: number) => `${bytes(perSecond)}/s`,
  left: (seconds: number) => `about ${duration(seconds)} left`,
  cancel: "Cancel",
  cancelled: "Loading was cancelled. What has arrived is kept and need not be downloaded again.",
  done: (name: string) => `${name} is ready.`,
};

export const memory = {
  heading: "Memory on the graphics card",
  parts: table({
    weight: "Weights",
    weights: "Weights",
    kv: "Conversation (KV cache)",
    state: "Conversation (state)",
    arena: "Activations",
    io: "Inputs and outputs",
    staging: "Transfers",
  }),
  total: "Total",
  bytes,
};

export const chat = {
  heading: "Chat",
  log: "Conversation",
  ready: "is ready. Ask it something.",
  readyBuiltIn: "is ready. It is tiny: it knows small talk, little sums, JSON records and Fanlight itself.",
  noModel: "No model is loaded yet.",
  instructed: (system: string) => `Instructed: “${system.length > 120 ? `${system.slice(0, 120)}…` : system}”`,
  changeInstructions: "Change",
  continues: "This model was not trained to chat: it continues the text that you write.",
  suggestionsLabel: "Suggestions",
  suggestions: ["Explain how a rainbow forms.", "Write a limerick about a lighthouse.", "Plan a simple dinner for four."],
  suggestionsBuiltIn: ["What is Fanlight?", "What is 17 plus 25?", "Tell me a story about a fox."],
  you: "You",
  answer: "Answer",
  thinking: "Thinking",
  thought: "Thoughts",
  waiting: "Reading…",
  copy: "Copy",
  copyAnswer: "Copy the answer",
  copyQuestion: "Copy the message",
  edit: "Edit the message",
  editAnswer: "Edit the answer",
  editQuestionField: "The message, edited",
  editAnswerField: "The answer, edited",
  editNote: "It is asked anew; what was before stays, as another branch.",
  editAnswerNote: "What was before stays, as another branch.",
  keep: "Save",
  cancelEdit: "Cancel",
  again: "Answer again",
  answerAgain: "Answer this",
  goOn: "Continue",
  branches: "Branches",
  branch: (index: number, count: number) => `${index} / ${count}`,
  branchBefore: "Previous branch",
  branchAfter: "Next branch",
  copyCode: "Copy this code",
  copied: "Copied",
  code: (language: string) => (language ? `Code, ${language}` : "Code"),
  table: "Table",
  input: "Message",
  placeholder: "Write a message",
  send: "Send",
  stop: "Stop",
  keys: "Enter sends, Shift + Enter starts a new line, Escape stops the answer.",
  fresh: "New chat",
  settings: "Settings",
  stopped: "Stopped.",
  interrupted: "This answer was cut off before its end.",
  elsewhere: "Another tab is writing this answer.",
  failed: "This answer ended with an error.",
  edited: "Edited by hand.",
  limit: (count: number) => `The answer ended at its limit of ${tokens(count)}: a longer one can be allowed in the settings.`,
  full: "The answer ended because the context is full: start a new chat, or load the model with a longer context.",
  finished: (answer: string) => `Answer: ${answer}`,
  empty: "The model answered nothing.",
  stats: (count: number, perSecond: number | null, firstMs: number | null) =>
    [
      tokens(count),
      perSecond === null ? "" : `${rounded(perSecond)} tokens/s`,
      firstMs === null ? "" : `first after ${seconds(firstMs)}`,
    ]
      .filter(Boolean)
      .join(" · "),
};

export const settings = {
  heading: "Settings",
  close: "Close",
  scope: "These hold for this conversation, and are kept with it. A new chat begins with them.",
  system: "System prompt",
  systemNote: "Tells the model who it is and how to answer. Used from the next message on.",
  sampling: "Sampling",
  samplingNote: "What is left empty is as the model's makers advise, or off.",
  numbers: {
    temperature: { label: "Temperature", note: "0 always takes the likeliest word; higher is livelier.", unset: "" },
    top_k: { label: "Top k", note: "Only the k likeliest words; 0 is all.", unset: "" },
    top_p: { label: "Top p", note: "Only the likeliest words that together have this share.", unset: "" },
    min_p: { label: "Min p", note: "Only words with this share of the likeliest one's chance.", unset: "" },
    repetition_penalty: { label: "Repetition penalty", note: "Above 1, words that were said are less likely.", unset: "" },
    frequency_penalty: { label: "Frequency penalty", note: "The same, by how often they were said.", unset: "" },
    presence_penalty: { label: "Presence penalty", note: "The same, if they were said at all.", unset: "" },
    max_tokens: { label: "Longest answer, in tokens", note: "Empty: as long as the context allows.", unset: "no limit" },
    seed: { label: "Seed", note: "The same seed gives the same answer again.", unset: "random" },
  },
  usual: (value: number) => String(value),
  range: (min: number | null, max: number | null, isWhole: boolean) => {
    const kind = isWhole ? "a whole number" : "a number";
    if (min === null) return `This must be ${kind}.`;
    return max === null ? `This must be ${kind} from ${min} on.` : `This must be ${kind} from ${min} to ${max}.`;
  },
  stop: "Stop at",
  stopNote: (most: number) => `The answer ends before one of these texts: one a line, at most ${most}; \\n is a line's end.`,
  overflow: "When the context is full",
  overflowNote: "What becomes of a conversation that is longer than the model can look back on.",
  overflows: {
    unset: "as the model was loaded: say so",
    error: "Say so, and answer no more",
    drop_oldest: "Forget the oldest turns",
    attention_sinks: "Forget the oldest words, also while answering",
  },
  contextLength: "Context length, in tokens",
  contextLengthNote: "How much the model can look back on. Longer needs more memory. Used when the model is loaded.",
  contextReload: "Load the model again with it",
  automatic: "automatic",
  reset: "Leave all of these to the model",
  model: "Model",
  name: "Name",
  context: "Context",
  contextTokens: tokens,
  adapter: "Graphics card",
};

export const failures = {
  hint: (hint: string) => `What may help: ${hint}`,
  retry: "Try again",
  reload: "Load the model again",
  context: (count: number) => `Load with a context of ${tokens(count)}`,
  fresh: "New chat",
  back: (name: string) => `Load ${name} instead`,
  dismiss: "Close this message",
  details: "Technical details",
  inner: "This is a fault of Fanlight itself. What was said is kept; the details below help to mend it, if you report them.",
  offline: "This device is offline.",
  titles: table({
    NoAdapter: "This browser cannot reach the graphics card",
    DoesNotFit: "The model does not fit into the graphics card's memory",
    DeviceLost: "The graphics card stopped answering",
    KernelFailed: "The graphics card's driver refuses a program",
    DeviceError: "The graphics card reports an error",
    FormatError: "This is not a model file that Fanlight can read",
    MissingWeight: "The model file is incomplete",
    UnsupportedModel: "This kind of model is not supported",
    SourceError: "The model could not be read",
    ContextOverflow: "The conversation is longer than the model's context",
    RequestError: "The model cannot take this message",
    EngineClosed: "The model is no longer loaded",
    FanlightError: "Something went wrong",
  }),
  words: table({
    NoAdapter: "",
    DoesNotFit: "It was stopped before anything was loaded that would not fit.",
    DeviceLost: "The browser or the driver took it away, as happens after sleep, a driver update, or when other programs need it. This chat is still here.",
    KernelFailed: "A newer graphics driver or browser may be able to run it.",
    DeviceError: "",
    FormatError: "Fanlight opens GGUF files, and folders of safetensors. The file may also be cut short: compare its size with the original.",
    MissingWeight: "It may be cut short, or made by a tool that leaves parts out.",
    UnsupportedModel: "The file is fine, but its architecture, tokenizer or number format is not known here yet.",
    SourceError: "The network, the server or the disk did not deliver it. What has arrived is kept.",
    ContextOverflow: "Start a new chat, or load the model with a longer context.",
    RequestError: "",
    EngineClosed: "",
    FanlightError: "",
  }),
  outOfMemory: "The graphics card ran out of memory",
  outOfMemoryWords: "Close other programs and tabs that use it, take a shorter context, or a smaller model.",
};

/** What the bench page has measured. */
export interface BenchFacts {
  readonly adapter: { readonly vendor: string; readonly architecture: string; readonly device: string; readonly description: string };
  readonly context: number;
  readonly load_ms: number;
  readonly first_token_ms: number;
  readonly planned_mib: number;
  readonly stream_gbps: number | null;
  readonly stream_share: number | null;
}

export const bench = {
  heading: "How fast is a model on this device?",
  link: "Measure this device's speed",
  chat: "Chat",
  lead: (prompts: readonly number[], decode: number, repeats: number) =>
    `Answers prompts of ${prompts.map((length) => number(length)).join(", ")} tokens with ${number(decode)} tokens each, ${repeats} times after one to warm up, and shows the medians.`,
  builtIn: "Measure the built-in model",
  file: "Measure a GGUF file",
  loading: (name: string) => `Loading ${name}`,
  measuring: (prompt: number) => `Answering prompts of ${tokens(prompt)}`,
  streaming: "Reading memory as fast as it goes",
  progress: "Measuring",
  cancel: "Cancel",
  done: "The measurement is done.",
  columns: ["Prompt, tokens", "First token, ms", "Prompt, tokens/s", "Answer, tokens/s"],
  facts: (r: BenchFacts): readonly (readonly [string, string])[] => [
    ["Graphics card", [r.adapter.vendor, r.adapter.architecture, r.adapter.description].filter(Boolean).join(" ") || "unnamed"],
    ["Loaded after", seconds(r.load_ms)],
    ["First token of all after", seconds(r.first_token_ms)],
    ["Memory planned", `${rounded(r.planned_mib)} MiB`],
    ["Context", tokens(r.context)],
    ["Memory reads at best", r.stream_gbps === null ? "unknown" : `${rounded(r.stream_gbps)} GB/s`],
    ["Of that, answering reaches", r.stream_share === null ? "unknown" : percent(r.stream_share)],
  ],
  json: "As JSON",
  copy: "Copy as JSON",
  copied: "Copied",
  privacy: "The measurement stays on this device: nothing is sent anywhere.",
};

export const answers = {
  formula: "Formula",
  thinkingFor: (seconds: number) => `Thinking for ${duration(seconds)}`,
  thoughtFor: (seconds: number) => `Thought for ${duration(seconds)}`,
  call: (name: string) => `Calls ${name}`,
};

const passages = (count: number): string => (count === 1 ? "1 passage" : `${number(count)} passages`);

export const documents = {
  add: "Add files",
  given: "Files for this message",
  drop: "Let go to add these files to your message",
  beingRead: "being read…",
  added: (name: string) => `${name} was added.`,
  remove: (name: string) => `Remove ${name}`,
  dismiss: "Close this message",
  pasted: "Pasted text",
  size: (characters: number) => `${number(characters)} characters`,
  pages: (count: number) => (count === 1 ? "1 page" : `${number(count)} pages`),
  page: (name: string, page: number) => `${name}, page ${number(page)}`,
  line: (name: string, line: number) => `${name}, line ${number(line)}`,
  more: (characters: number) => `… and ${number(characters)} characters more`,
  image: (name: string) => `${name} was not added: this model cannot see images. Your message is unchanged; describe in words what is in the image.`,
  media: (name: string) => `${name} was not added: this model cannot hear or watch.`,
  model: (name: string) => `${name} was not added: it looks like a model. Open it under “Models”.`,
  office: (name: string) => `${name} was not added: files of this kind cannot be read here yet. Save it as PDF or as text, and add that.`,
  binary: (name: string) => `${name} was not added: it is not text.`,
  empty: (name: string) => `${name} was not added: there is no text in it.`,
  scanned: (name: string) => `${name} was not added: it has no text, only images of its pages. A program for text recognition (OCR) can add the text.`,
  locked: (name: string) => `${name} was not added: it is locked with a password. Save a copy without one, and add that.`,
  broken: (name: string, why: string) => `${name} was not added: it cannot be read as a PDF file (${why}).`,
  tooLarge: (name: string, size: number) => `${name} was not added: it is larger than ${bytes(size)}.`,
  tooLong: (name: string, characters: number) => `${name} was not added: its text is longer than ${number(characters)} characters.`,
  failed: (name: string, why: string) => `${name} was not added: ${why}`,
  steps: {
    reading: "Reading the documents…",
    loading: (done: number, total: number) => (total ? `Loading the embedding model: ${bytes(done)} of ${bytes(total)}…` : "Loading the embedding model…"),
    embedding: (done: number, total: number) => `Reading the documents: ${number(done)} of ${passages(total)}…`,
  },
  sources: {
    whole: (names: string) => `Read whole: ${names}`,
    found: (count: number, names: string) => `From ${passages(count)} of ${names}`,
    meaning: (model: string) => `Found by their meaning, with ${model}, and by the words of the question.`,
    words: "Found by the words of the question alone. Beside a model that runs on this device, an embedding model (see the settings) also finds them by their meaning.",
    trouble: (model: string, why: string) => `Found by the words of the question alone: ${model} could not be used (${why}).`,
  },
};

export const embedder = {
  label: "Embedding model for documents",
  note: "Finds the passages of long documents that answer a question by their meaning. It runs on this device, beside the model that answers.",
  automatic: (name: string) => `Automatic: ${name}`,
  automaticNone: "Automatic: none is stored here",
  none: "None: by words alone",
  listed: "From the catalogue",
  other: "Another one …",
  address: "Its name or address",
  addressNote: "A name of the catalogue or of the Hugging Face Hub (owner/repository), a link to a GGUF file of an embedding model, or to a folder of one ending in a slash. It is downloaded with the first long document, and kept.",
  use: "Use it",
  forDocuments: "Use for documents",
  chosen: (name: string) => `${name} finds the passages of long documents from now on. It is downloaded with the first of them, and kept.`,
  dropped: (name: string) => `${name} is not used for documents any more.`,
};

export const speech = {
  label: "Speech model for the microphone",
  note: "A Whisper model: a name of the Hugging Face Hub (owner/repository), or a link to its folder ending in a slash. It runs on this device, beside the model that answers, and is downloaded when you first speak. Empty: no microphone.",
  record: "Speak",
  stop: "Stop recording",
  recording: "Recording.",
  loading: "Loading the speech model …",
  writing: "Writing down what was said …",
  written: "What was said is in the field.",
  nothing: "Nothing was heard.",
  refused: "The microphone could not be used.",
  trouble: (why: string) => `What was said could not be written down: ${why}`,
};
