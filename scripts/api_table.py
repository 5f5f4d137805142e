"""The table of request fields in docs/api.md, made of the tables that requests are checked by:  python scripts/api_table.py

WORDS says what is done with a field that is honoured; that it is complete, tests/api/test_docs_table.py sees."""

from pathlib import Path

from fanlight.api.requests import ACCEPTED, CHAT, COMPLETION, REFUSED

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
BEGIN, END = "<!-- fields: python scripts/api_table.py -->\n", "<!-- end of fields -->\n"

WORDS = {
    "messages": "content as text or text parts; an unknown field of a message is refused; `name` where the template reads it",
    "prompt": "a text, texts, token ids, lists of token ids",
    "model": "the loaded model's name, or one of several; another one is answered by the only model with a warning",
    "max_tokens": "completions: 0 computes the prompt alone; 16 if absent, as OpenAI's; chats: what the context holds",
    "max_completion_tokens": "another name of `max_tokens`, which it overrides",
    "temperature": "0 to 2; 0 takes the likeliest token",
    "top_p": "of the tokens that `top_k` leaves",
    "top_k": "vLLM's; -1 and 0 are off",
    "min_p": "vLLM's; 0 is off",
    "frequency_penalty": "-2 to 2, for each time a token is in the answer",
    "presence_penalty": "-2 to 2, once for what is in the answer",
    "repetition_penalty": "vLLM's; over prompt and answer; 1 is off",
    "logit_bias": "token id to -100 to 100, before the penalties",
    "seed": "the same seed, prompt and `system_fingerprint` give the same answer",
    "n": "up to 128; the prompt is computed once; choice i is drawn as a request with `seed + i` would be",
    "best_of": "the `n` likeliest by their mean log-probability; not in a stream",
    "stop": "up to 4 texts; none of them is in the answer",
    "lora": "how much of each LoRA, by name, that the model was loaded with; if absent, each as it is (docs/lora.md)",
    "stop_token_ids": "vLLM's; beside the model's own",
    "ignore_eos": "vLLM's; the model's own stops do not stop",
    "stream": "server-sent events over HTTP, an iterator in Python and in a page",
    "stream_options": "`include_usage`; `include_obfuscation: false`",
    "logprobs": "chats: true or false; completions: how many of the most likely tokens, 0 to 20",
    "top_logprobs": "0 to 20, with `logprobs: true`",
    "prompt_logprobs": "vLLM's; 0 to 20 of the most likely tokens in the place of each of the prompt's",
    "logprobs_mode": "vLLM's words: `raw_logprobs` (unless said) are the model's own, `processed_logprobs` of what is drawn"
    " from, after biases, penalties, temperature and grammar",
    "echo": "the prompt before the answer; with `logprobs`, its log-probabilities too",
    "return_token_ids": "vLLM's; `token_ids` of choices and `prompt_token_ids`",
    "tools": "functions, which the model's template shows in its own syntax",
    "tool_choice": "`none`, `auto`, `required`, a function, `allowed_tools`",
    "parallel_tool_calls": "false: one call at most",
    "reasoning_effort": "what the template knows of it; `none` switches reasoning off",
    "enable_thinking": "Qwen's; switches reasoning on or off",
    "thinking_token_budget": "tokens of reasoning, then it is ended",
    "continue_final_message": "vLLM's; the last message, an assistant's, begins the answer, and the model goes on with it",
    "add_generation_prompt": "vLLM's; false with `continue_final_message`",
    "extra_body": "WebLLM's place of `enable_thinking`",
    "chat_template_kwargs": "vLLM's; variables of the template",
    "response_format": "`text`, `json_object`, `json_schema`, `grammar`, `regex`, `structural_tag`",
    "suffix": "refused, but for an empty one",
    "context_overflow": "`error`, `attention_sinks`, in chats `drop_oldest`: where a conversation is too long (docs/models.md)",
    "truncation": "`auto` drops the oldest turns, `disabled` does not",
}


def table() -> str:
    lines = ["| field | chat | completions | |", "|---|---|---|---|"]
    for name in sorted({*CHAT, *COMPLETION}):
        where = " | ".join("yes" if name in fields else "" for fields in (CHAT, COMPLETION))
        lines.append(f"| `{name}` | {where} | {_words(name)} |")
    return "\n".join(lines) + "\n"


def _words(name: str) -> str:
    if name in REFUSED:
        return f"refused: {REFUSED[name]}"
    if name in ACCEPTED:
        return f"accepted, and changes nothing{NEEDS.get(name, '')}"
    return WORDS.get(name) or STRUCTURED


NEEDS = {
    "store": "; `true` is refused: nothing is stored",
    "modalities": '; only `["text"]`',
    "verbosity": "; only `medium`: the model has no such setting",
    "prediction": ": it is a hint for speed",
}
STRUCTURED = "structured output, under vLLM's or llama.cpp's name"


def page() -> str:
    """docs/api.md with the table as it is to be."""
    before, rest = PAGE.read_text().split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(page())
