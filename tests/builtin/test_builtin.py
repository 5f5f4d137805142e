"""The built-in model's file, record and training text, checked without a GPU and without running the model.

Outside truth: the `gguf` package for the file, `tokenizers` and Jinja2 for the text, and the recorded greedy tokens of
transformers and llama.cpp, which must be the same.
"""

import hashlib
import itertools
import json
from pathlib import Path

import gguf
import jinja2.sandbox
import pytest

from training.data import load_tokenizer
from training.dialogue import answer_text, held_out, render
from training.evaluate import evaluate, right
from training.generate import SKILLS, dialogues, held_out_prompts

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
MODEL = ROOT / "fanlight/builtin/model.gguf"
TEMPLATE = ROOT / "training/chat_template.jinja"
# What the first 2,000 dialogues of seed 7 hash to: it changes when the generator does, and the model with it.
FIRST_DIALOGUES = "c86aad76007fce6e6c89d247da24ce5677e3060ee7e43907758a408e606666b0"


@pytest.fixture(scope="module")
def record():
    return json.loads((HERE / "greedy.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def reader():
    return gguf.GGUFReader(MODEL)


def field(reader, name):
    return reader.fields[name].contents()


def test_the_file_is_as_small_as_promised(reader):
    assert MODEL.stat().st_size <= 16 << 20
    assert sum(int(t.n_elements) for t in reader.tensors) == 14_162_304


def test_matrices_are_q8_0_and_norms_f32(reader):
    types = {(len(t.shape), t.tensor_type.name) for t in reader.tensors}
    assert types == {(2, "Q8_0"), (1, "F32")}


def test_the_metadata_say_what_it_is(reader):
    expected = {
        "general.architecture": "llama",
        "general.name": "Fanlight demo",
        "general.license": "Apache-2.0",
        "llama.context_length": 1024,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.chat_template": TEMPLATE.read_text(encoding="utf-8").rstrip("\n"),
    }
    assert {name: field(reader, name) for name in expected} == expected


def test_the_file_holds_the_trained_tokenizer(reader):
    tokenizer = load_tokenizer()
    tokens = field(reader, "tokenizer.ggml.tokens")
    assert tokens == [tokenizer.id_to_token(i) for i in range(tokenizer.get_vocab_size())]
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    assert field(reader, "tokenizer.ggml.merges") == [" ".join(pair) for pair in merges]
    types = field(reader, "tokenizer.ggml.token_type")
    found = {t: types[tokens.index(t)] for t in ("<|im_end|>", "<tool_call>", "a")}
    assert found == {"<|im_end|>": 3, "<tool_call>": 4, "a": 1}
    assert tokens[field(reader, "tokenizer.ggml.eos_token_id")] == "<|im_end|>"


def test_the_record_belongs_to_this_file(record):
    assert hashlib.sha256(MODEL.read_bytes()).hexdigest() == record["model_sha256"]
    assert len(record["prompts"]) == 50


def test_llama_cpp_and_pytorch_give_the_same_greedy_tokens(record):
    differ = [p["messages"][-1] for p in record["prompts"] if p["llama_cpp_ids"] != p["ids"]]
    assert not differ


def test_tokens_of_the_recorded_prompts_and_back(record):
    tokenizer = load_tokenizer()
    for prompt in record["prompts"]:
        assert tokenizer.encode(prompt["text"]).ids == prompt["prompt_ids"]
        assert tokenizer.decode(prompt["prompt_ids"], skip_special_tokens=False) == prompt["text"]


@pytest.mark.parametrize("text", ["", "Grüße, 東京! 🌻", "a\n\n  b\t1234 5", "<tool_call>{}</tool_call>"])
def test_any_text_survives_the_tokenizer(text):
    tokenizer = load_tokenizer()
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_the_fast_rendering_equals_the_chat_template():
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8").rstrip("\n"))
    for dialogue in itertools.islice(dialogues(3), 400):
        for messages, generate in ((dialogue.messages, False), (dialogue.messages[:-1], True)):
            text = template.render(messages=messages, tools=list(dialogue.tools) or None, add_generation_prompt=generate)
            assert text == render(messages, dialogue.tools, generate)


def test_the_template_takes_arguments_as_an_object_and_text_in_parts():
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    call = {"type": "function", "function": {"name": "play", "arguments": {"artist": "Ada", "loud": True}}}
    parts = [{"type": "text", "text": "Play "}, {"type": "text", "text": "Ada"}]
    messages = [{"role": "user", "content": parts}, {"role": "assistant", "content": "", "tool_calls": [call]}]
    assert template.render(messages=messages, tools=[{"type": "function", "function": {"name": "play"}}]).rstrip() == (
        "<|im_start|>system\nTools:\n- play(): <|im_end|>\n<|im_start|>user\nPlay Ada<|im_end|>\n<|im_start|>assistant\n"
        '<tool_call>{"name": "play", "arguments": {"artist": "Ada", "loud": true}}</tool_call><|im_end|>'
    )


def test_the_generator_is_deterministic():
    digest = hashlib.sha256()
    for dialogue in itertools.islice(dialogues(7), 2000):
        digest.update(render(dialogue.messages, dialogue.tools).encode())
    assert digest.hexdigest() == FIRST_DIALOGUES


def test_the_held_out_file_is_what_the_generator_gives():
    written = json.loads((HERE / "held_out.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(held_out_prompts(50)))
    assert {skill: sum(p["skill"] == skill for p in written) for skill in SKILLS} == dict.fromkeys(SKILLS, 50)


def test_held_out_prompts_never_occur_in_training():
    prompts = json.loads((HERE / "held_out.json").read_text(encoding="utf-8"))
    keys = {k for p in prompts for k in p["keys"] if held_out(k)}
    assert all(any(k in keys for k in p["keys"]) for p in prompts)
    exchanges = {(p["messages"][-1]["content"], p["expected"]) for p in prompts if len(p["messages"]) == 1}
    for dialogue in itertools.islice(dialogues(1_000_001), 20_000):
        assert keys.isdisjoint(dialogue.keys)
        asked = itertools.pairwise(dialogue.messages)
        assert exchanges.isdisjoint((a["content"], answer_text(b)) for a, b in asked if a["role"] == "user")


def test_answers_are_judged_by_meaning_where_they_are_data():
    call = '<tool_call>{"name": "play", "arguments": {"a": 1, "b": 2}}</tool_call>'
    assert right(call, '<tool_call>{"name":"play","arguments":{"b":2,"a":1}}</tool_call>')
    assert not right(call, call.replace("1", "3")) and not right(call, call + call)
    assert not right(call, "<tool_call>{</tool_call>")
    assert right('{"a": 1}', '{"a":1}') and not right("2 + 2 = 4", "2+2=4")


def test_evaluation_counts_per_skill():
    prompts = held_out_prompts(2)
    wrong_first = ["?", *(p["expected"] for p in prompts[1:])]
    results = evaluate(lambda _: wrong_first, prompts)
    assert [r["right"] for r in results.values()] == [1, 2, 2, 2, 2, 2]
