"""Log-probabilities as OpenAI's and vLLM's clients read them.  They are of the model itself: before penalties, biases,
temperature and masks. A token that ends an answer is no text, and is in none of them."""

from codecs import getincrementaldecoder
from collections.abc import Sequence

from fanlight.api.types import ChatLogprobs, CompletionLogprobs, PromptLogprob, TopLogprob
from fanlight.engine.sequence import TokenLogprob
from fanlight.text.tokenizer import Tokenizer

LEAST = -9999.0  # OpenAI's word for what is next to impossible: JSON has no infinity


def chat_logprobs(tokenizer: Tokenizer, tokens: Sequence[TokenLogprob]) -> ChatLogprobs:
    return {
        "content": [
            {
                **_entry(tokenizer, token.token_id, token.logprob),
                "top_logprobs": [_entry(tokenizer, *other) for other in token.top],
            }
            for token in tokens
        ],
        "refusal": None,
    }


class Offsets:
    """Where each token's text begins in the text of a completion, by its characters: those that special tokens and a text's
    first space do not have are not counted, and one of several tokens is counted with its last."""

    def __init__(self, tokenizer: Tokenizer, is_start: bool) -> None:
        """is_start: of the text; else it goes on with one that is not shown."""
        self._tokenizer = tokenizer
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._strips = is_start and tokenizer.strips_leading_space
        self._at = 0

    def take(self, token_id: int) -> int:
        at = self._at
        if token_id not in self._tokenizer.special_ids:
            text = self._decode(self._tokenizer.token_bytes(token_id))
            self._at += len(text) - (self._strips and text.startswith(" "))
            self._strips = False
        return at


def completion_logprobs(
    tokenizer: Tokenizer, tokens: Sequence[TokenLogprob | int], offsets: Offsets, with_top: bool
) -> CompletionLogprobs:
    """tokens: an id in place of the prompt's first token, of which there is nothing to say."""
    made: CompletionLogprobs = {"tokens": [], "token_logprobs": [], "top_logprobs": [] if with_top else None, "text_offset": []}
    for token in tokens:
        known = None if isinstance(token, int) else token
        token_id = token if isinstance(token, int) else token.token_id
        made["tokens"].append(token_text(tokenizer, token_id))
        made["token_logprobs"].append(None if known is None else finite(known.logprob))
        made["text_offset"].append(offsets.take(token_id))
        if made["top_logprobs"] is not None:
            made["top_logprobs"].append(None if known is None else _by_text(tokenizer, known))
    return made


def joined(parts: Sequence[CompletionLogprobs]) -> CompletionLogprobs:
    """Of a whole answer, from those of its pieces."""
    whole: CompletionLogprobs = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for part in parts:
        whole["tokens"] += part["tokens"]
        whole["token_logprobs"] += part["token_logprobs"]
        whole["text_offset"] += part["text_offset"]
        if whole["top_logprobs"] is not None and part["top_logprobs"] is not None:
            whole["top_logprobs"] += part["top_logprobs"]
        else:
            whole["top_logprobs"] = None
    return whole


def prompt_logprobs(tokenizer: Tokenizer, tokens: Sequence[TokenLogprob]) -> list[dict[str, PromptLogprob] | None]:
    """vLLM's: nothing of the prompt's first token, then of each the most likely ones and itself, by id."""
    return [None, *(_by_id(tokenizer, token) for token in tokens)]


def token_text(tokenizer: Tokenizer, token_id: int) -> str:
    """A character that continues in the next token is shown as U+FFFD; `bytes` has what is there of it."""
    return tokenizer.token_bytes(token_id).decode("utf-8", "replace")


def finite(logprob: float) -> float:
    return max(logprob, LEAST)


def _entry(tokenizer: Tokenizer, token_id: int, logprob: float) -> TopLogprob:
    data = tokenizer.token_bytes(token_id)
    return {"token": data.decode("utf-8", "replace"), "logprob": finite(logprob), "bytes": list(data)}


def _by_text(tokenizer: Tokenizer, token: TokenLogprob) -> dict[str, float]:
    """The most likely ones, and the token itself where it is none of them. Of tokens with one text the likelier counts."""
    found = {token_text(tokenizer, token.token_id): finite(token.logprob)}
    for token_id, logprob in reversed(token.top):
        found[token_text(tokenizer, token_id)] = finite(logprob)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _by_id(tokenizer: Tokenizer, token: TokenLogprob) -> dict[str, PromptLogprob]:
    ranked = {token_id: (rank, logprob) for rank, (token_id, logprob) in enumerate(token.top, 1)}
    ranked.setdefault(token.token_id, (token.rank, token.logprob))
    return {
        str(token_id): {"logprob": finite(logprob), "rank": rank, "decoded_token": token_text(tokenizer, token_id)}
        for token_id, (rank, logprob) in ranked.items()
    }
