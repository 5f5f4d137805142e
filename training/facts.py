# ruff: noqa: E501  (tables of wordings: one row, one line)
"""What the built-in model knows about Fanlight: our own answers, and the ways to ask for them.

A question is a wording specification (`dialogue.wording`): `(a|b)` is a choice. Answers stay under 60 words.
"""

from dataclasses import dataclass

WHAT = "(What is|What's|Tell me about|Explain|Describe|What do you know about) "
HOW = "(How do I|How can I|How to|How would I|Show me how to|Explain how to|I want to|Tell me how to) "
DOES = "(Does Fanlight|Can Fanlight|Is it true that Fanlight can|Will Fanlight) "


@dataclass(frozen=True, slots=True)
class Fact:
    answer: str
    questions: tuple[str, ...]
    short: bool = False  # short enough for the style skill


FACTS = (
    Fact(
        "Fanlight runs large language models inside a web page, on your own GPU, behind an OpenAI-style API. The same engine also runs natively.",
        (
            WHAT + "(Fanlight|this project|the Fanlight project|the Fanlight engine|this)(?|)",
            "What does (Fanlight|it|this project) do?",
            "(Who|What) (is|'s) Fanlight?",
            "What (is|'s) (this page|this thing|this)( about| here|)?",
        ),
        True,
    ),
    Fact(
        "Run `make demo`. It builds the chat page, serves it with the built-in model and prints the address to open.",
        (
            HOW + "(try|start|open|run) (the demo|the chat page|the chat demo|a demo)(?|)",
            "(What does|Explain) `make demo`( do|)?",
            "(Where is|Is there) (a|the) demo?",
        ),
    ),
    Fact(
        "Run `fanlight run MODEL`. It chats in the terminal; MODEL is a file, a folder, a URL, a hub id or `built-in`.",
        (
            HOW
            + "(chat in|use it in|use Fanlight in|run a model in|talk to a model in) (the|a|my) (terminal|shell|console)(?|)",
            "(What does|Explain) `fanlight run`( do|)?",
            HOW + "run a model (from the command line|natively)(?|)",
        ),
    ),
    Fact(
        "Run `fanlight serve MODEL`. It gives you the OpenAI HTTP API and the chat page from one process.",
        (
            HOW + "(start|run|get|open) (a|the) (server|HTTP server|API server|HTTP API)(?|)",
            "(What does|Explain) `fanlight serve`( do|)?",
            HOW + "serve a model(?|)",
        ),
    ),
    Fact(
        'Run `npm install fanlight`, then `import { load } from "fanlight"` and `const engine = await load(modelUrl)`.',
        (
            HOW
            + "(use|add|install|put) (it|Fanlight) (in|into|to) (my|a) (web page|web site|web app|page|JavaScript project)(?|)",
            "(What is|Is there) (a|the) (npm|JavaScript|TypeScript) package?",
            HOW + "install Fanlight (with|from) npm(?|)",
            HOW + "(run|use) (it|Fanlight|a model) in (the|a|my) (browser|page)(?|)",
        ),
    ),
    Fact(
        "Run `pip install fanlight`, then `import fanlight` and `engine = fanlight.load(model)`. In the browser use `await fanlight.aload(model)`.",
        (
            HOW + "(install|set up|get) (it|Fanlight|this)(?|)",
            HOW + "(use|install|call|import) (it|Fanlight) (in|from|with) (Python|pip|a Python script|a notebook)(?|)",
            "(What is|Is there) (a|the) Python (package|API|interface)?",
        ),
    ),
    Fact(
        "No. Everything runs on your own machine: prompts, answers and weights never leave it.",
        (
            "(Does|Will) (my data|my text|my prompt|anything|any data) leave (my|the|this) (machine|computer|device|browser)?",
            "(Are|Do) (my chats|my messages|my prompts|my words) (sent|get sent|uploaded) (to a server|to the cloud|anywhere|to the internet)?",
            "(Can|Does) (anyone|somebody|a server|a company) (read|see|store) (my chats|my messages|my prompts)?",
        ),
        True,
    ),
    Fact(
        "It lets a web page or a program use a language model without a server: private, offline and with nothing to pay per word.",
        (
            "(What is|What's) (Fanlight|it|this) (good for|for|useful for)?",
            "(Why should I|Why would I|Why) use (Fanlight|it|this)?",
            "(What can I do|What can one do) with (Fanlight|it)?",
            "(What is|What's|What are) the (point|use|advantage|advantages|benefits) of (Fanlight|it|this)?",
        ),
        True,
    ),
    Fact(
        "A GPU is the graphics processor of your machine. It does many small sums at once, which is what a model needs.",
        (WHAT + "(a GPU|the GPU|GPUs|a graphics card|a graphics processor)(?|)",),
        True,
    ),
    Fact(
        "Yes. All of the model's arithmetic runs on your GPU, through WebGPU.",
        (
            DOES + "(use|run on) (the GPU|my GPU|a GPU|the graphics card|my graphics card)?",
            "(Does it|Do you) (use|run on) (the GPU|my GPU|a GPU|the graphics card|my graphics card)?",
        ),
        True,
    ),
    Fact(
        "That depends on your GPU: its memory bandwidth sets the pace. `fanlight bench MODEL` measures it.",
        (
            "How (fast|quick) (is it|is Fanlight|are you|is this|is the engine)?",
            "(What is|What's|Tell me) (your speed|the speed of Fanlight|its speed)(?|)",
            "Are you (fast|quick)?",
        ),
    ),
    Fact(
        "Yes. The model runs on your device, so your words stay with you.",
        (
            "Is (it|Fanlight|this|this chat) (private|safe|secure|safe for private data|confidential)?",
            "(Is|Are) my (data|words|chats|secrets) (safe|private|secure)( here| with you|)?",
            "(What about|How about|Tell me about) (privacy|my privacy)(?|)",
        ),
        True,
    ),
    Fact(
        "WebGPU is the browser's interface to the graphics processor. Fanlight uses it for all of the model's arithmetic.",
        (WHAT + "WebGPU(?|)", "(What is|Why does Fanlight use|Why do you use) (WebGPU|Web GPU)( for|)?"),
        True,
    ),
    Fact(
        "You need a browser with WebGPU, such as a recent Chrome, Edge, Safari or Firefox. Without it the page tells you so.",
        (
            "(Which|What) (browsers|browser) (do I need|can I use|work|works|are supported|is supported)?",
            "(Does it|Does Fanlight|Will it) (work|run) in (Chrome|Firefox|Safari|Edge|my browser)?",
        ),
    ),
    Fact(
        "Your browser then has no WebGPU. Update it, or turn on hardware acceleration, and load the page again.",
        (
            "(What if|What can I do if|What do I do when) (my browser has no WebGPU|there is no WebGPU|WebGPU is missing)?",
            "(The page says|It says|I see) (no WebGPU|that WebGPU is missing).",
        ),
    ),
    Fact(
        "Fanlight reads GGUF files and Hugging Face folders with safetensors.",
        (
            "(Which|What) (file formats|formats|model formats|files|model files) (does it|does Fanlight|can it|can Fanlight) (read|load|support|open)?",
            "(Which|What) (file formats|formats|files) (are supported|work)?",
        ),
        True,
    ),
    Fact(
        "GGUF is a file format that keeps a model's weights, its tokenizer and its settings in one file.",
        (WHAT + "(GGUF|the GGUF format|a GGUF file)(?|)",),
        True,
    ),
    Fact(
        "Safetensors is a simple file format for weights. A Hugging Face folder holds such files next to a config and a tokenizer.",
        (WHAT + "(safetensors|the safetensors format|a safetensors file)(?|)",),
    ),
    Fact(
        "Fanlight runs the architectures llama, qwen2 and qwen3, which covers Llama, Mistral, SmolLM2, TinyLlama and Qwen models.",
        (
            "(Which|What) (models|architectures|model families|language models) (does it|does Fanlight|can it|can Fanlight) (run|load|support)?",
            "(Which|What) (models|architectures) (are supported|work)?",
            DOES + "(run|load|support) (Llama|Qwen|Mistral|SmolLM2|TinyLlama)?",
        ),
    ),
    Fact(
        "It reads F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and the K formats from Q2_K to Q6_K.",
        (
            "(Which|What) (weight formats|quantisations|quantizations|quant types|quantization formats) (does it|does Fanlight|can it|can Fanlight) (read|support|load)?",
            "(Which|What) (quantisations|quantizations|weight formats) (are supported|work)?",
        ),
    ),
    Fact(
        "Quantisation stores weights in few bits, for instance four or eight, so that a model needs less memory and runs faster.",
        (WHAT + "(quantisation|quantization|quantised weights|a quantised model|a quantized model)(?|)",),
    ),
    Fact(
        "Fanlight is free software under the Apache License 2.0.",
        (
            "(What is the|Under which|What) (licence|license)( of Fanlight| does it have| is it under| does Fanlight have| is Fanlight under|)?",
            "Is (Fanlight|it|this) (open source|free software|free)?",
            "(Can I|May I) use (Fanlight|it) (at work|commercially|in a product)?",
        ),
        True,
    ),
    Fact(
        "I am the Fanlight demo model: about 14 million parameters, trained only on text that a small program wrote.",
        (
            "(What|Which) (model|language model) (are you|is this|am I talking to)?",
            "(How big|How large) (are you|is this model|is the built-in model)?",
            WHAT + "the (built-in model|demo model)(?|)",
            "(How many|What number of) parameters (do you have|does this model have)?",
        ),
        True,
    ),
    Fact(
        "I was trained on dialogues from a generator in the Fanlight repository: small talk, sums, records, tool calls and style.",
        (
            "(How|On what|With what data) were you trained( on|)?",
            "(What is|What was|Tell me about) your training data(?|)",
            "(Who|What) (wrote|made) your training (text|data)?",
        ),
    ),
    Fact(
        "The Fanlight project made me, as a small demonstration and a test instrument.",
        (
            "Who (made|built|created|trained|wrote|designed) you?",
            "(Where do you come from|Who is your maker|Who are your makers)?",
        ),
        True,
    ),
    Fact(
        "Yes. Fanlight answers requests in the shape of the OpenAI API, so the official clients work unchanged.",
        (
            DOES + "work with the OpenAI (client|API|library|package)?",
            "Is (it|Fanlight|the API) compatible with (OpenAI|the OpenAI API|OpenAI clients)?",
            "Can I use (the OpenAI client|the openai package|OpenAI's client) (with it|with Fanlight|here)?",
        ),
        True,
    ),
    Fact(
        "The server answers `/v1/models`, `/v1/chat/completions` and `/v1/completions`.",
        (
            "(Which|What) (endpoints|routes|paths|URLs) does the (server|API|HTTP API) (have|answer|offer)?",
            "(List|Name) the (endpoints|routes)( of the server| of the API|).",
        ),
    ),
    Fact(
        "Yes. Set `stream` to true and the answer arrives token by token.",
        (
            DOES + "(stream|stream answers|stream tokens|stream the answer)?",
            HOW + "(stream|stream an answer|stream tokens|get tokens as they come)(?|)",
            "Is streaming supported?",
        ),
        True,
    ),
    Fact(
        "Yes. Put tools into the request and the model can answer with a tool call in the OpenAI form.",
        (
            DOES + "(call tools|use tools|do tool calls|do function calling)?",
            "(Are|Is) (tool calls|tools|function calling|tool calling) supported?",
            HOW + "(use tools|call tools|give the model tools)(?|)",
        ),
    ),
    Fact(
        "Yes. Once a model is stored in the browser, the page works without a network.",
        (
            DOES + "(work|run) (offline|without internet|without a network)?",
            "(Can I|May I) use (it|Fanlight|this page) (offline|without internet|on a plane)?",
        ),
        True,
    ),
    Fact(
        "Downloaded weights are kept in the browser's own private file system, called OPFS. The page lists and deletes them.",
        (
            "(Where|How) are (the weights|models|downloaded models|the files) (kept|stored|saved)?",
            HOW + "(delete|remove|clear) (a stored model|a model|the stored weights|downloaded models)(?|)",
            WHAT + "OPFS(?|)",
        ),
    ),
    Fact(
        "In the browser the engine runs in a Web Worker, through Pyodide, so the page itself stays responsive.",
        (
            "(What is|Why is there|What does) (a|the) (Web Worker|worker)( for| do|)?",
            "Where does the engine run( in the browser|)?",
        ),
    ),
    Fact(
        "Pyodide is CPython compiled to WebAssembly. Fanlight's engine is Python, and Pyodide runs it inside the page.",
        (WHAT + "Pyodide(?|)", "(How can|How does|Why can) Python run in (a|the) (browser|page|web page)?"),
    ),
    Fact(
        "Fanlight is written in Python, with kernels in WGSL and a small TypeScript part for the page.",
        (
            "(What|Which) (language|programming language|languages) is (Fanlight|it) written in?",
            "(What|Which) (language|programming language) (does|do) (Fanlight|you) use?",
        ),
        True,
    ),
    Fact(
        "WGSL is the shading language of WebGPU. Fanlight's kernels are written in it.",
        (WHAT + "(WGSL|the WGSL language)(?|)",),
        True,
    ),
    Fact(
        "A kernel is a small program that the GPU runs many times at once, for instance to multiply a matrix by a vector.",
        (WHAT + "(a kernel|a GPU kernel|kernels|GPU kernels)(?|)",),
    ),
    Fact(
        "The compiler turns a model into a Program: a fixed list of GPU launches with every buffer planned before loading.",
        (WHAT + "(the compiler|a Program|the Fanlight compiler|Fanlight's compiler)(?|)", "What does the compiler do?"),
    ),
    Fact(
        "The KV cache keeps the keys and values of earlier tokens, in pages, so that they are not computed again.",
        (WHAT + "(the KV cache|a KV cache|the key-value cache|KV caching)(?|)",),
        True,
    ),
    Fact(
        "A token is a piece of text, often a word or a part of one. Models read and write tokens.",
        (WHAT + "(a token|tokens|a text token)(?|)",),
        True,
    ),
    Fact(
        "A tokenizer cuts text into tokens and puts tokens back together. Mine knows 4096 of them.",
        (WHAT + "(a tokenizer|the tokenizer|your tokenizer|tokenization)(?|)",),
        True,
    ),
    Fact(
        "The temperature says how much chance there is in the choice of each token. At 0 the likeliest token is always taken.",
        (WHAT + "(the temperature|temperature|the temperature setting)(?|)", "What does (the |)temperature do?"),
    ),
    Fact(
        "Give a seed and the same request gives the same text again, natively and in the browser.",
        (WHAT + "(the seed|a seed|the seed setting)(?|)", HOW + "get the same (answer|text) (twice|again)(?|)"),
    ),
    Fact(
        "My context is 1024 tokens. Other models bring their own, often much longer.",
        (
            "(How long|How large|What) is your (context|context window|context length)?",
            "How (much|many tokens) can you (remember|read)( at once|)?",
        ),
        True,
    ),
    Fact(
        "Before loading, Fanlight prints a memory plan: weights, KV cache, arena and staging, compared with what your GPU offers.",
        (
            WHAT + "(the memory plan|a memory plan)(?|)",
            "How much memory (does it|does Fanlight|does a model|will it) (need|use|take)?",
        ),
    ),
    Fact(
        "Fanlight stops with a clear error and proposes the largest context that fits.",
        (
            "What (happens|happens then|do you do) if (the model|a model|it) (does not fit|is too large|is too big)( into memory|)?",
        ),
    ),
    Fact(
        "Run `fanlight doctor`. It looks at your GPU and its driver and says what works.",
        (
            HOW + "(check|test) (my|the) (GPU|graphics card|driver|machine|installation)(?|)",
            "(What does|Explain) `fanlight doctor`( do|)?",
        ),
    ),
    Fact(
        "Run `fanlight bench MODEL`. It measures prefill and decode speed on your GPU.",
        (
            HOW + "(measure|benchmark|test) (the speed|speed|the performance|how fast it is)(?|)",
            "(What does|Explain) `fanlight bench`( do|)?",
        ),
    ),
    Fact(
        "Run `fanlight compile MODEL -o DIR`. It writes the Program, JSON and WGSL, so that it can be used later.",
        (HOW + "(compile|precompile) a model(?|)", "(What does|Explain) `fanlight compile`( do|)?"),
    ),
    Fact(
        "Run `make test`. It runs every test, the browser ones included.",
        (HOW + "(run|start) (the|all) tests(?|)", "(What does|Explain) `make test`( do|)?"),
    ),
    Fact(
        "Python 3.11 or newer, Node 20 or newer and make. A wheel from pip needs no Node.",
        (
            "(What|Which tools) do I need to (build|develop|install) (Fanlight|it)?",
            "(Which|What) (Python|Node) version do I need?",
        ),
    ),
    Fact(
        "No. It runs on any GPU with Vulkan, Metal or Direct3D 12.",
        (
            "(Do I need|Does it need|Does Fanlight need) (CUDA|an NVIDIA card|an NVIDIA GPU|a special GPU)?",
            "Is CUDA (needed|necessary|required)?",
        ),
        True,
    ),
    Fact(
        "No. Nothing is loaded from a third server: everything comes from the package itself.",
        (
            "(Does it|Does Fanlight) (use|need) a CDN?",
            "(Does it|Does Fanlight) load (code|scripts|anything) from (other|third|foreign) servers?",
        ),
        True,
    ),
    Fact(
        "Drop the file onto the chat page, or pick it there; it is read on your machine only.",
        (HOW + "(load|open|use|try) (my own|my|a local) (model|GGUF file|model file)( in the page| in the browser|)(?|)",),
    ),
    Fact(
        "Press the stop button, or abort the request: the engine stops at the next token.",
        (HOW + "(stop|cancel|abort|interrupt) (an answer|the answer|a request|the model)(?|)",),
        True,
    ),
    Fact(
        "A fanlight is the small window above a door that lets light in.",
        (
            "(Why is it called|Why the name|Where does the name come from:) Fanlight?",
            "What does (the word fanlight|the name Fanlight|the name|the word) mean?",
        ),
        True,
    ),
    Fact(
        "Yes. Several requests share one engine, and each gets the text it would get alone.",
        (
            DOES + "(serve|answer|handle) (several|many|parallel) requests( at once|)?",
            "Can (several|many) (people|users|requests) use (it|the server|one engine) at once?",
        ),
        True,
    ),
)
