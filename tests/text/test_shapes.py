# ruff: noqa: E501  a case is a line
"""Messages in the shape that a template reads, and vocabularies in the shapes that files have."""

import json
from typing import Any

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from fanlight.api.routes import error_body
from fanlight.driver import run
from fanlight.errors import RequestError, UnsupportedModel
from fanlight.text.chat_template import ChatTemplate
from fanlight.text.gguf_vocabulary import LLAMA3
from fanlight.text.tokenizer import IncrementalDetokenizer, open_tokenizer
from tests.text.test_chat import CALL, HISTORY, TOOL
from tests.text.vocabularies import CORPUS, SPECIAL, byte_level_json, byte_level_metadata, sentencepiece_metadata

PARTS = [{"type": "text", "text": "ab"}, {"type": "text", "text": "cd"}]
EITHER = "{% for m in messages %}[{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}]{% endfor %}"
ONLY_PARTS = "{% for m in messages %}[{% for p in m['content'] %}{{ p['text'] }}{% endfor %}]{% endfor %}"
ONLY_TEXT = "{% for m in messages %}[{{ m.content }}]{% endfor %}"
USERS_PARTS = "{% for m in messages %}{% if m.role == 'user' %}{% for p in m.content %}{{ p.text }}{% endfor %}{% else %}[{{ m.content }}]{% endif %}{% endfor %}"


@pytest.mark.parametrize(
    ("template", "role", "content", "expected"),
    [
        (EITHER, "user", PARTS, "[abcd]"),
        (EITHER, "user", "ab", "[ab]"),
        (ONLY_PARTS, "user", PARTS, "[abcd]"),
        (ONLY_PARTS, "user", "ab", "[ab]"),
        (ONLY_PARTS, "tool", "ab", "[ab]"),
        (ONLY_TEXT, "user", PARTS, "[ab\ncd]"),
        (ONLY_TEXT, "assistant", None, "[]"),
        (USERS_PARTS, "user", "ab", "ab"),
        (USERS_PARTS, "system", PARTS, "[ab\ncd]"),
        (USERS_PARTS, "developer", PARTS, "[ab\ncd]"),
    ],
)
def test_content(template: str, role: str, content: Any, expected: str) -> None:
    assert ChatTemplate(template, {}).render([{"role": role, "content": content}]) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{{ c.function.arguments | tojson }}", '{"place": "Köln"}'),
        ("{{ 'call ' + c.function.arguments }}", 'call {"place": "Köln"}'),
        ("{{ c.function.arguments }}", '{"place": "Köln"}'),
        ("{% for k, v in c.function.arguments | items %}{{ k }}={{ v }}{% endfor %}", "place=Köln"),
        (
            "{{ c.function.arguments if c.function.arguments is string else c.function.arguments | tojson }}",
            '{"place": "Köln"}',
        ),
    ],
)
@pytest.mark.parametrize("as_text", [True, False])
def test_arguments_of_calls(written: str, expected: str, as_text: bool) -> None:
    arguments = CALL["function"]["arguments"]
    given = json.dumps(arguments, ensure_ascii=False) if as_text else arguments
    call = {**CALL, "function": {**CALL["function"], "arguments": given}}
    template = "{% for m in messages %}{% for c in m.tool_calls or [] %}" + written + "{% endfor %}{% endfor %}"
    assert (
        ChatTemplate(template, {}).render([HISTORY[1], {"role": "assistant", "content": None, "tool_calls": [call]}])
        == expected
    )


def test_null_is_absent() -> None:
    template = "{% for m in messages %}{% if 'tool_calls' in m or 'audio' in m %}{{ raise_exception('calls') }}{% endif %}{{ m.content }}{% endfor %}"
    message = {"role": "assistant", "content": "b", "tool_calls": None, "audio": None, "function_call": None}
    assert ChatTemplate(template, {}).render([message, {**message, "tool_calls": []}]) == "bb"


def test_named_templates() -> None:
    template = ChatTemplate("D", {}, {"tool_use": "T", "rag": "R", "other": "O"})
    messages = [HISTORY[1]]
    assert [template.render(messages), template.render(messages, tools=[TOOL]), template.render(messages, documents=[{}])] == [
        "D",
        "T",
        "R",
    ]


def test_variables_may_have_any_name() -> None:
    assert ChatTemplate("{{ self }}{{ messages | length }}", {}).render([HISTORY[1]], **{"self": 1, "context": 2}).endswith("1")


def test_errors_can_always_be_encoded() -> None:
    half = "a\ud83d"
    for error in (RequestError(half, where=half, hint=half, param=half), ValueError(half), KeyError(half)):
        json.dumps(error_body(error)[1], ensure_ascii=False).encode()
    with pytest.raises(RequestError) as caught:
        ChatTemplate("{{ raise_exception(messages[0].content) }}", {}).render([{"role": "user", "content": half}])
    json.dumps(caught.value.to_dict(), ensure_ascii=False).encode()


def test_arguments_nested_too_deeply() -> None:
    call = {**CALL, "function": {"name": "f", "arguments": "[" * 100_000 + "]" * 100_000}}
    with pytest.raises(RequestError, match="no JSON"):
        ChatTemplate("{{ messages[0].tool_calls[0].function.arguments | tojson }}", {}).render(
            [{"role": "assistant", "tool_calls": [call]}]
        )


# --- vocabularies ----------------------------------------------------------------------------------------------------
def test_every_id_has_its_text_where_several_have_the_same() -> None:
    metadata = byte_level_metadata("llama-bpe", LLAMA3)
    tokens = [*metadata["tokenizer.ggml.tokens"], "Ġthe", "hello", "<|im_end|>"]
    types = [*metadata["tokenizer.ggml.token_type"], 1, 1, 1]
    bytes_ = open_tokenizer("gguf", {**metadata, "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types})
    assert [bytes_.decode([i]) for i in range(len(tokens) - 3, len(tokens))] == [" the", "hello", "<|im_end|>"]
    assert run(bytes_.encode("<|im_end|>", add_special_tokens=False)) == [2]  # the control token
    metadata = sentencepiece_metadata()
    tokens = [*metadata["tokenizer.ggml.tokens"], "▁the"]
    more = {
        "tokenizer.ggml.scores": [*metadata["tokenizer.ggml.scores"], -9e3],
        "tokenizer.ggml.token_type": [*metadata["tokenizer.ggml.token_type"], 1],
    }
    pieces = open_tokenizer("gguf", {**metadata, **more, "tokenizer.ggml.tokens": tokens})
    assert pieces.decode([5, tokens.index("▁the")])[-4:] == pieces.decode([5, len(tokens) - 1])[-4:] == " the"


def test_a_key_that_stands_twice_in_a_file() -> None:
    text = '{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "a": 2}, "merges": []}, "decoder": {"type": "ByteLevel"}}'
    text = text.replace('{"type": "ByteLevel"}', '{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true}')
    tokenizer = open_tokenizer("safetensors", {"tokenizer": text})
    assert [tokenizer.decode([i]) for i in range(3)] == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("padding", 5000), ("padding", -1), ("unknown", 99_999), ("eot", 5000), ("eom", 2**32 - 1), ("eos", 5000)],
)
def test_ids_of_no_token_are_no_tokens(name: str, value: int) -> None:
    tokenizer = open_tokenizer("gguf", byte_level_metadata("llama-bpe", LLAMA3, **{f"tokenizer.ggml.{name}_token_id": value}))
    assert value not in tokenizer.stop_token_ids


def test_merges_that_a_trimmed_vocabulary_cannot_follow() -> None:
    metadata = byte_level_metadata("llama-bpe", LLAMA3)
    trimmed = [*metadata["tokenizer.ggml.merges"], "q q", "xx y", "abc", "  x", "", " "]
    plain, other = (
        open_tokenizer("gguf", {**metadata, "tokenizer.ggml.merges": m}) for m in (metadata["tokenizer.ggml.merges"], trimmed)
    )
    for text in CORPUS[:5]:
        assert run(plain.encode(text)) == run(other.encode(text))


def trained(model: Any, trainer: Any, decoder: Any, pre_tokenizer: Any) -> tokenizers.Tokenizer:
    library = tokenizers.Tokenizer(model)
    library.pre_tokenizer, library.decoder = pre_tokenizer, decoder
    library.train_from_iterator(CORPUS, trainer)
    return library


M, T, D, P = tokenizers.models, tokenizers.trainers, tokenizers.decoders, tokenizers.pre_tokenizers
LIBRARIES = {
    "WordPiece": trained(M.WordPiece(unk_token="[UNK]"), T.WordPieceTrainer(vocab_size=300, special_tokens=["[UNK]", *SPECIAL], show_progress=False), D.WordPiece(), P.BertPreTokenizer()),
    "WordPiece, not cleaned": trained(M.WordPiece(unk_token="[UNK]"), T.WordPieceTrainer(vocab_size=300, special_tokens=["[UNK]"], show_progress=False), D.WordPiece(cleanup=False), P.BertPreTokenizer()),
    "WordLevel": trained(M.WordLevel(unk_token="[UNK]"), T.WordLevelTrainer(special_tokens=["[UNK]"], show_progress=False), D.WordPiece(prefix=""), P.Whitespace()),
    "no decoder": trained(M.WordLevel(unk_token="[UNK]"), T.WordLevelTrainer(special_tokens=["[UNK]"], show_progress=False), None, P.Whitespace()),
    "suffixes": trained(M.BPE(unk_token="[UNK]", end_of_word_suffix="</w>"), T.BpeTrainer(vocab_size=300, special_tokens=["[UNK]"], end_of_word_suffix="</w>", show_progress=False), D.BPEDecoder(), P.Whitespace()),
    "Unigram": trained(M.Unigram(), T.UnigramTrainer(vocab_size=300, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False), D.Metaspace(), P.Metaspace()),
}  # fmt: skip


@pytest.mark.parametrize("name", LIBRARIES)
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_decoders_are_the_librarys(name: str, data: st.DataObject) -> None:
    library = LIBRARIES[name]
    tokenizer = open_tokenizer("safetensors", {"tokenizer": library.to_str()})
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1), max_size=8))
    if data.draw(st.booleans()):
        ids = run(tokenizer.encode(data.draw(st.sampled_from(CORPUS)), add_special_tokens=False))
    for skip in (True, False):
        expected = library.decode(ids, skip_special_tokens=skip)
        assert tokenizer.decode(ids, skip_special_tokens=skip) == expected
        detokenizer = IncrementalDetokenizer(tokenizer, skip_special_tokens=skip)
        assert "".join([detokenizer.feed([i]) for i in ids] + [detokenizer.flush()]) == expected


def test_a_decoder_that_is_not_known_is_named() -> None:
    spec = json.loads(byte_level_json(LLAMA3))
    for decoder in (D.CTC(), D.Strip("x", 1, 1), D.Replace("a", "b")):
        part = json.loads(trained(M.BPE(), T.BpeTrainer(show_progress=False), decoder, None).to_str())["decoder"]
        with (
            pytest.raises(UnsupportedModel, match=f"decoder {part['type']} is not known")
            if part["type"] != "Strip"
            else pytest.raises(UnsupportedModel)
        ):
            open_tokenizer("safetensors", {"tokenizer": json.dumps(spec | {"decoder": part})})
