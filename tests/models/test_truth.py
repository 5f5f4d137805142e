"""The records themselves: rebuilt files are the recorded ones, two independent programs agree on them, and they can tell a
wrong engine from a right one.  Nothing of Fanlight runs here."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.golden import architectures_gguf, forward, tiny_architectures, tiny_gguf, tiny_models
from scripts.golden.llamacpp_rounding import product_of
from scripts.golden.record_architectures_gguf import close_of
from scripts.golden.record_llamacpp import CLOSE, CLOSE_OTHERWISE
from scripts.golden.record_transformers import MARGIN, digest_of
from tests.models.records import GOLDEN, read_about, read_record, relative_error

ALIKE = 1e-5  # float32 against float64
TELLING = 2e-2  # twenty times what Fanlight is allowed


CASES = {
    "transformers": tiny_models.CASES,
    "llamacpp": tiny_gguf.CASES,
    "architectures": tiny_architectures.CASES,
    "architectures_gguf": architectures_gguf.CASES,
}


@pytest.mark.parametrize(("oracle", "cases"), CASES.items(), ids=CASES)
def test_every_case_has_its_record(oracle: str, cases: Collection[str]) -> None:
    assert {path.stem for path in (GOLDEN / oracle).glob("*.npz")} == set(cases) == set(read_about(oracle)["cases"])


# ---- transformers


def decoder_and_weights(name: str) -> tuple[forward.Decoder, forward.Weights]:
    return forward.decoder_of(tiny_models.config_of(name)), forward.as_f64(tiny_models.rounded_tensors(name))


@pytest.mark.parametrize("name", tiny_models.CASES)
def test_checkpoint_is_the_recorded_one(name: str, checkpoints: Path) -> None:
    folder = tiny_models.make_checkpoint(name, checkpoints / name)
    assert digest_of(folder) == read_about("transformers")["cases"][name]["sha256"]


@pytest.mark.parametrize("name", tiny_models.CASES)
def test_forward_meets_transformers(name: str) -> None:
    record = read_record("transformers", name)
    logits = forward.forward(*decoder_and_weights(name), record.prompt + record.greedy)
    assert relative_error(logits[record.positions], record.logits["logits"]) < ALIKE
    steps = logits[len(record.prompt) - 1 : -1]
    assert steps.argmax(axis=-1).tolist() == record.greedy
    assert min(forward.margin_of(step) for step in steps) > MARGIN * 0.99


Decoding = tuple[forward.Decoder, forward.Weights]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One way to read a checkpoint wrongly, and the configs where it matters."""

    applies: Callable[[dict[str, Any]], Any]
    make: Callable[[dict[str, Any], forward.Decoder, forward.Weights], Decoding]


def without(ending: str) -> Callable[[dict[str, Any], forward.Decoder, forward.Weights], Decoding]:
    return lambda config, decoder, weights: (decoder, {k: v for k, v in weights.items() if not k.endswith(ending)})


def with_config(**changes: Any) -> Callable[[dict[str, Any], forward.Decoder, forward.Weights], Decoding]:
    return lambda config, decoder, weights: (forward.decoder_of({**config, **changes}), weights)


def share_in_turns(config: dict[str, Any], decoder: forward.Decoder, weights: forward.Weights) -> Decoding:
    """Query head h reads key head h % K, where it should read h // (H / K)."""
    shuffled = dict(weights)
    order = np.arange(decoder.num_attention_heads).reshape(-1, decoder.num_key_value_heads).T.ravel()
    for layer in range(decoder.num_hidden_layers):
        name = f"model.layers.{layer}.self_attn"
        for key, axis in ((f"{name}.q_proj.weight", 0), (f"{name}.q_proj.bias", 0), (f"{name}.o_proj.weight", 1)):
            if key in weights:
                heads = np.stack(np.split(weights[key], decoder.num_attention_heads, axis=axis))
                shuffled[key] = np.concatenate(list(heads[order]), axis=axis)
    return decoder, shuffled


def is_scaled(config: dict[str, Any]) -> bool:
    return "rope_scaling" in config or "rope_parameters" in config


MISTAKES: dict[str, Mistake] = {
    "rope pairs neighbours": Mistake(lambda c: True, lambda c, d, w: (replace(d, rope_is_interleaved=True), w)),
    "rope runs backwards": Mistake(lambda c: True, lambda c, d, w: (replace(d, inv_freq=-d.inv_freq), w)),
    "rope_theta ignored": Mistake(lambda c: c.get("rope_theta", 10000.0) != 10000.0, with_config(rope_theta=10000.0)),
    "rope scaling ignored": Mistake(
        is_scaled, lambda c, d, w: (replace(d, inv_freq=forward.rope_frequencies(theta_of(c), d.head_dim)), w)
    ),
    "epsilon ignored": Mistake(lambda c: c["rms_norm_eps"] > 1e-3, with_config(rms_norm_eps=1e-5)),
    "biases of q ignored": Mistake(lambda c: c["model_type"] == "qwen2" or c.get("attention_bias"), without("q_proj.bias")),
    "biases of k ignored": Mistake(lambda c: c["model_type"] == "qwen2" or c.get("attention_bias"), without("k_proj.bias")),
    "biases of v ignored": Mistake(lambda c: c["model_type"] == "qwen2" or c.get("attention_bias"), without("v_proj.bias")),
    "bias of o ignored": Mistake(lambda c: c.get("attention_bias"), without("o_proj.bias")),
    "biases of the MLP ignored": Mistake(lambda c: c.get("mlp_bias"), without("up_proj.bias")),
    "query and key norms ignored": Mistake(lambda c: c["model_type"] == "qwen3", without("q_norm.weight")),
    "heads share keys in turns": Mistake(lambda c: 1 < c["num_key_value_heads"] < c["num_attention_heads"], share_in_turns),
    "head tied": Mistake(lambda c: not c["tie_word_embeddings"], without("lm_head.weight")),
}


def theta_of(config: dict[str, Any]) -> float:
    return config["rope_theta"] if "rope_theta" in config else config["rope_parameters"]["rope_theta"]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_records_tell_a_mistake(mistake: str) -> None:
    cases = [name for name in tiny_models.CASES if MISTAKES[mistake].applies(tiny_models.config_of(name))]
    assert cases
    for name in cases:
        record, config = read_record("transformers", name), tiny_models.config_of(name)
        logits = forward.forward(*MISTAKES[mistake].make(config, *decoder_and_weights(name)), record.prompt)
        assert relative_error(logits[record.positions], record.logits["logits"]) > TELLING, name


# ---- llama.cpp


@pytest.mark.parametrize("name", tiny_gguf.CASES)
def test_gguf_is_the_recorded_one(name: str) -> None:
    assert tiny_gguf.digest_of(name) == read_about("llamacpp")["cases"][name]["sha256"]


@pytest.mark.parametrize("name", tiny_gguf.CASES)
def test_forward_on_gguf_weights_is_the_recorded_one(name: str) -> None:
    record = read_record("llamacpp", name)
    logits = forward.forward(
        tiny_gguf.decoder_of(name), forward.as_f64(tiny_gguf.weights_of(name)), record.prompt + record.greedy
    )
    assert relative_error(logits[record.positions], record.logits["exact"]) < ALIKE
    assert logits[len(record.prompt) - 1 : -1].argmax(axis=-1).tolist() == record.greedy


@pytest.mark.parametrize("name", tiny_gguf.CASES)
def test_forward_rounding_as_llamacpp_meets_it(name: str) -> None:
    """So what parts an exact engine from llama.cpp is its rounding of activations, and the blocks are read alike."""
    record = read_record("llamacpp", name)
    decoder = tiny_gguf.decoder_of(name, product_of(name))
    logits = forward.forward(decoder, forward.as_f64(tiny_gguf.weights_of(name)), record.prompt)
    close = CLOSE.get(tiny_gguf.CASES[name].weight_format, CLOSE_OTHERWISE)
    assert relative_error(logits[record.positions], record.logits["llamacpp"]) < close


def gguf_decoders_with_a_mistake(name: str) -> dict[str, forward.Decoder]:
    decoder, case = tiny_gguf.decoder_of(name), tiny_gguf.CASES[name]
    wrong = {"the other rope pairs": replace(decoder, rope_is_interleaved=not decoder.rope_is_interleaved)}
    if case.has_rope_freqs:
        inv_freq = forward.rope_frequencies(case.rope_theta, case.head_dim)
        wrong["rope_freqs ignored"] = replace(decoder, inv_freq=inv_freq)
    return wrong


@pytest.mark.parametrize("name", tiny_gguf.CASES)
def test_gguf_records_tell_a_mistake(name: str) -> None:
    record, weights = read_record("llamacpp", name), forward.as_f64(tiny_gguf.weights_of(name))
    for mistake, decoder in gguf_decoders_with_a_mistake(name).items():
        logits = forward.forward(decoder, weights, record.prompt)
        assert relative_error(logits[record.positions], record.logits["exact"]) > TELLING, mistake


# ---- more architectures, which forward.py does not know: transformers and llama.cpp are the two programs


@pytest.mark.parametrize("name", tiny_architectures.CASES)
def test_checkpoint_of_architecture_is_the_recorded_one(name: str, checkpoints: Path) -> None:
    folder = tiny_architectures.make_checkpoint(name, checkpoints / name)
    assert digest_of(folder) == read_about("architectures")["cases"][name]["sha256"]


@pytest.mark.parametrize("name", tiny_architectures.CASES)
def test_record_of_architecture_is_whole(name: str) -> None:
    record, case = read_record("architectures", name), tiny_architectures.CASES[name]
    logits = record.logits["logits"]
    assert logits.shape == (len(record.positions), tiny_architectures.text_config_of(name)["vocab_size"])
    assert (len(record.prompt), record.positions[-1]) == (case.prompt_length, case.prompt_length - 1)
    assert record.positions[0] == case.first_position
    assert (int(logits[-1].argmax()), len(record.greedy)) == (record.greedy[0], 32)
    assert forward.margin_of(logits[-1]) > MARGIN * 0.99


@pytest.mark.parametrize("name", architectures_gguf.CASES)
def test_gguf_of_architecture_is_the_recorded_one(name: str) -> None:
    assert architectures_gguf.digest_of(name) == read_about("architectures_gguf")["cases"][name]["sha256"]


@pytest.mark.parametrize("name", architectures_gguf.CASES)
def test_llamacpp_meets_transformers(name: str) -> None:
    """So the file means what the checkpoint means."""
    truth = read_record("architectures", name)
    with np.load(GOLDEN / "architectures_gguf" / f"{name}.npz") as record:
        positions, logits = record["positions"].tolist(), record["llamacpp"]
    assert truth.positions[-len(positions) :] == positions
    assert relative_error(logits, truth.logits["logits"][-len(positions) :]) < close_of(name)
