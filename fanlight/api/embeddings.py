"""Vectors and scores: OpenAI's embeddings, and rerank and score as Cohere, Jina and vLLM have them.  Knows no transport."""

import base64
import math
import secrets
import time
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fanlight.api.checks import fail, integer, of_type, only, read_fields
from fanlight.api.generation import LoadedModel
from fanlight.api.requests import TEXT, YES_NO, prompts
from fanlight.api.types import EmbeddingList, Reranking, RerankResult, ScoreList
from fanlight.engine.embedder import Embedder, Text
from fanlight.engine.placed import Placed
from fanlight.engine.sampling_params import SamplingParams
from fanlight.engine.sequence import FinishReason
from fanlight.engine.sequence import Sequence as TokenSequence
from fanlight.engine.transcriber import Transcriber
from fanlight.errors import RequestError

EMBEDDINGS, RERANK, SCORE = "/v1/embeddings", "/v1/rerank", "/v1/score"
MAX_INPUTS = 2048  # OpenAI's


class NoTokens:
    """In the token engine's place, where the model gives vectors, or writes down what it hears."""

    def __init__(self, other: Embedder | Transcriber) -> None:
        self.other, self.context_length = other, other.context_length
        self.words = (
            "gives vectors, no text" if isinstance(other, Embedder) else "writes down what it hears, and answers nothing"
        )
        self.hint = f"{EMBEDDINGS if isinstance(other, Embedder) else '/v1/audio/transcriptions'}, or load a chat model"

    def submit(
        self,
        prompt_token_ids: Sequence[int],
        params: SamplingParams,
        answered: Sequence[int] = (),
        images: tuple[Placed, ...] = (),
    ) -> TokenSequence:
        raise RequestError(f"this model {self.words}", param="model", hint=self.hint)

    def finish(self, sequence: TokenSequence, reason: FinishReason) -> None: ...
    def abort(self, sequence: TokenSequence) -> None: ...
    def start(self) -> None: ...
    async def wait(self, sequences: Sequence[TokenSequence]) -> None: ...

    def close(self) -> None:
        self.other.close()


def embedder_of(loaded: LoadedModel) -> Embedder:
    if not isinstance(loaded.engine, NoTokens) or not isinstance(loaded.engine.other, Embedder):
        raise RequestError(
            f"{loaded.model_name} gives text: its files do not say how to make one vector of its states",
            hint="load an embedding model, such as all-MiniLM-L6-v2",
        )
    return loaded.engine.other


def check_gives_text(loaded: LoadedModel) -> None:
    if isinstance(loaded.engine, NoTokens):
        raise RequestError(f"{loaded.model_name} {loaded.engine.words}", hint=loaded.engine.hint)


# --- requests --------------------------------------------------------------------------------------------------------
def texts(value: Any, name: str) -> list[str]:
    several = [value] if isinstance(value, str) else value
    if not isinstance(several, list) or not several or not all(isinstance(t, str) and t for t in several):
        raise fail(name, "a text or a list of texts, none empty", value)
    if len(several) > MAX_INPUTS:
        raise RequestError(f"{name} has {len(several)} texts; at most {MAX_INPUTS}", param=name)
    return several


def inputs(value: Any, name: str) -> list[str | list[int]]:
    found = prompts(value, name, MAX_INPUTS)
    if not all(found):
        raise fail(name, "texts or lists of token ids, none empty", value)
    return found


def documents(value: Any, name: str) -> list[str]:
    """Texts, or objects with a text, as Cohere and Jina have them."""
    if not isinstance(value, list):
        raise fail(name, "a list of texts", value)
    plain = [d["text"] if isinstance(d, Mapping) and d.keys() == {"text"} else d for d in value]
    return texts(plain, name)


COMMON = {"model": TEXT, "user": of_type(str, "a text"), "truncate_prompt_tokens": integer(-1, 2**31 - 1)}
EMBEDDING = {
    **COMMON,
    "input": inputs,
    "encoding_format": only("float", "base64"),
    "dimensions": integer(1, 2**31 - 1),
    "add_special_tokens": YES_NO,
}
RERANKING = {**COMMON, "query": TEXT, "documents": documents, "top_n": integer(1, 2**31 - 1), "return_documents": YES_NO}
SCORING = {**COMMON, "text_1": texts, "text_2": texts}


def parsed(body: Any, fields: Mapping[str, Any], *needed: str) -> dict[str, Any]:
    values = read_fields(body, fields)
    for name in needed:
        if values.get(name) in (None, ""):
            raise RequestError(f"{name} is missing", param=name)
    return values


# --- tokens ----------------------------------------------------------------------------------------------------------
def room_of(embedder: Embedder, values: Mapping[str, Any]) -> int | None:
    """Tokens that a text is cut to; None: it is not. -1 is vLLM's word for all that the model takes."""
    wanted = values.get("truncate_prompt_tokens")
    if wanted is None or wanted > embedder.context_length:
        return None if wanted is None else embedder.context_length
    if wanted == 0:
        raise fail("truncate_prompt_tokens", "-1 or above 0", wanted)
    return embedder.context_length if wanted == -1 else wanted


def cut(ids: list[int], part: list[int], room: int | None) -> list[int]:
    """The ids without so much of the end of `part`, which is the last such run among them, that they fit: special tokens
    around it stay."""
    excess = 0 if room is None else len(ids) - room
    if excess <= 0:
        return ids
    at = next((i for i in range(len(ids) - len(part), -1, -1) if ids[i : i + len(part)] == part), None)
    if at is None or excess >= len(part):
        raise RequestError(
            f"nothing is left of a text of {len(ids)} tokens when it is cut to {room}", param="truncate_prompt_tokens"
        )
    end = at + len(part)
    return ids[: end - excess] + ids[end:]


async def text_of(loaded: LoadedModel, text: str | list[int], room: int | None, add_special_tokens: bool) -> Text:
    """Token ids are taken as they stand."""
    if isinstance(text, list):
        return Text(text if room is None else text[:room])
    ids = await loaded.tokenizer.encode(text, add_special_tokens)
    if room is not None and len(ids) > room:
        ids = cut(ids, await loaded.tokenizer.encode(text, False), room)
    return Text(ids)


async def pair_of(loaded: LoadedModel, first: str, second: str, room: int | None) -> Text:
    """Both as the model reads them together; of what is too long, the second loses its end."""
    ids, begins = await loaded.tokenizer.encode_pair(first, second)
    if room is not None and len(ids) > room:
        ids = cut(ids, await loaded.tokenizer.encode(second, False), room)
    return Text(ids, begins)


# --- embeddings ------------------------------------------------------------------------------------------------------
async def embed(loaded: LoadedModel, body: Any) -> EmbeddingList:
    values = parsed(body, EMBEDDING, "input")
    embedder, pooling = embedder_of(loaded), loaded.info.get("embedding", {})
    if pooling.get("scores"):
        raise RequestError(f"{loaded.model_name} scores pairs of texts, it gives no vectors", hint=RERANK)
    size = values.get("dimensions", embedder.dimensions)
    if size > embedder.dimensions:
        raise fail("dimensions", f"at most {embedder.dimensions}, which {loaded.model_name} has", size)
    room, special = room_of(embedder, values), values.get("add_special_tokens", True)
    given = [await text_of(loaded, text, room, special) for text in values["input"]]
    vectors = [shortened(v, size, pooling.get("normalized", True)) for v in await embedder.embed(given, loaded.pause)]
    is_base64 = values.get("encoding_format") == "base64"
    count = sum(len(text.token_ids) for text in given)
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": i, "embedding": encoded(vector) if is_base64 else vector.tolist()}
            for i, vector in enumerate(vectors)
        ],
        "model": loaded.model_name,
        "usage": {"prompt_tokens": count, "total_tokens": count},
    }


def shortened(vector: "array[float]", size: int, is_normalized: bool) -> "array[float]":
    """Its first elements; again of length 1 where the whole was.  https://arxiv.org/abs/2205.13147"""
    if size == len(vector):
        return vector
    vector = vector[:size]
    length = math.sqrt(math.fsum(x * x for x in vector)) if is_normalized else 1.0
    return array("f", (x / length for x in vector)) if length else vector


def encoded(vector: "array[float]") -> str:
    """f32, little-endian, as OpenAI has it."""
    return base64.b64encode(vector.tobytes()).decode()


# --- scores ----------------------------------------------------------------------------------------------------------
async def scores_of(loaded: LoadedModel, pairs: Sequence[tuple[str, str]], room: int | None) -> tuple[list[float], int]:
    """Of each pair, and how many tokens were read: a cross-encoder's number, or the cosine of two vectors."""
    embedder = embedder_of(loaded)
    if loaded.info.get("embedding", {}).get("scores"):
        given = [await pair_of(loaded, first, second, room) for first, second in pairs]
        return [vector[0] for vector in await embedder.embed(given, loaded.pause)], _count(given)
    each = list(dict.fromkeys(text for pair in pairs for text in pair))
    given = [await text_of(loaded, text, room, True) for text in each]
    vectors = dict(zip(each, await embedder.embed(given, loaded.pause), strict=True))
    return [cosine(vectors[first], vectors[second]) for first, second in pairs], _count(given)


def _count(given: Iterable[Text]) -> int:
    return sum(len(text.token_ids) for text in given)


def cosine(a: "array[float]", b: "array[float]") -> float:
    length = math.sqrt(math.fsum(x * x for x in a) * math.fsum(x * x for x in b))
    return math.fsum(x * y for x, y in zip(a, b, strict=True)) / length if length else 0.0


async def rerank(loaded: LoadedModel, body: Any) -> Reranking:
    values = parsed(body, RERANKING, "query", "documents")
    texts, shows = values["documents"], values.get("return_documents", True)
    pairs = [(values["query"], text) for text in texts]
    scores, count = await scores_of(loaded, pairs, room_of(embedder_of(loaded), values))
    order = sorted(range(len(texts)), key=lambda i: -scores[i])[: values.get("top_n", len(texts))]
    return {
        "id": f"rerank-{secrets.token_hex(12)}",
        "model": loaded.model_name,
        "usage": {"prompt_tokens": count, "total_tokens": count},
        "results": [result_of(i, scores[i], texts[i] if shows else None) for i in order],
    }


def result_of(index: int, score: float, text: str | None) -> RerankResult:
    result: RerankResult = {"index": index, "relevance_score": score}
    return result if text is None else {**result, "document": {"text": text}}


async def score(loaded: LoadedModel, body: Any) -> ScoreList:
    """One text against each of several, or two lists text by text."""
    values = parsed(body, SCORING, "text_1", "text_2")
    first, second = values["text_1"], values["text_2"]
    if len(first) not in (1, len(second)):
        raise RequestError(f"text_1 has {len(first)} texts, text_2 {len(second)}; expected one, or as many", param="text_1")
    pairs = list(zip(first * (len(second) if len(first) == 1 else 1), second, strict=True))
    scores, count = await scores_of(loaded, pairs, room_of(embedder_of(loaded), values))
    return {
        "id": f"score-{secrets.token_hex(12)}",
        "object": "list",
        "created": int(time.time()),
        "model": loaded.model_name,
        "data": [{"index": i, "object": "score", "score": score} for i, score in enumerate(scores)],
        "usage": {"prompt_tokens": count, "total_tokens": count},
    }


ANSWERS = {EMBEDDINGS: embed, RERANK: rerank, SCORE: score}
