"""The wire: OpenAI's requests and responses as they are here, with vLLM's and our own extras marked.

Nothing else lives in this file. Source: OpenAI's API reference for chat completions, completions and models.
"""

from typing import Any, Literal, NotRequired, TypedDict

FinishReason = Literal["stop", "length", "tool_calls", "abort"]  # abort, not OpenAI's: the engine was closed


# --- requests --------------------------------------------------------------------------------------------------------
class TextPart(TypedDict):
    type: Literal["text"]
    text: str


class Function(TypedDict):
    name: str
    arguments: str  # JSON


class ToolCall(TypedDict):
    id: str
    type: Literal["function"]
    function: Function


class Message(TypedDict):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None
    tool_calls: NotRequired[list[ToolCall]]
    tool_call_id: NotRequired[str]
    name: NotRequired[str]
    reasoning_content: NotRequired[str | None]


class StreamOptions(TypedDict):
    include_usage: NotRequired[bool]


class Sampling(TypedDict, total=False):
    """What both kinds of request may say."""

    model: str
    stream: bool
    stream_options: StreamOptions | None
    max_tokens: int | None
    n: int | None
    seed: int | None
    stop: str | list[str] | None
    temperature: float | None
    top_p: float | None
    frequency_penalty: float | None
    presence_penalty: float | None
    logit_bias: dict[str, float] | None
    user: str
    # vLLM's
    top_k: int
    min_p: float
    repetition_penalty: float
    stop_token_ids: list[int] | None
    ignore_eos: bool
    return_token_ids: bool
    # what the answer may be, one of: OpenAI's, then vLLM's, then llama.cpp's
    response_format: dict[str, Any] | None
    structured_outputs: dict[str, Any] | None
    guided_json: dict[str, Any] | str | None
    guided_regex: str | None
    guided_choice: list[str] | None
    guided_grammar: str | None
    grammar: str | None
    json_schema: dict[str, Any] | None


class ChatCompletionRequest(Sampling):
    messages: list[Message]
    max_completion_tokens: NotRequired[int | None]
    tools: NotRequired[list[dict[str, Any]] | None]
    tool_choice: NotRequired[str | dict[str, Any] | None]
    parallel_tool_calls: NotRequired[bool | None]
    reasoning_effort: NotRequired[Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None]
    chat_template_kwargs: NotRequired[dict[str, Any] | None]  # vLLM's, as the next
    thinking_token_budget: NotRequired[int | None]
    add_generation_prompt: NotRequired[bool | None]  # vLLM's, as the next
    continue_final_message: NotRequired[bool | None]
    enable_thinking: NotRequired[bool | None]  # WebLLM's, also within extra_body
    extra_body: NotRequired[dict[str, Any] | None]


class CompletionRequest(Sampling):
    prompt: str | list[str] | list[int] | list[list[int]]
    echo: NotRequired[bool]


# --- responses -------------------------------------------------------------------------------------------------------
class PromptTokensDetails(TypedDict):
    cached_tokens: int


class UsageExtra(TypedDict):
    """WebLLM's. What was not measured is not there: the decode rate of a single token."""

    e2e_latency_s: float
    time_to_first_token_s: NotRequired[float]
    prefill_tokens_per_s: NotRequired[float]
    decode_tokens_per_s: NotRequired[float]
    time_per_output_token_s: NotRequired[float]
    grammar_init_s: NotRequired[float]


class CompletionTokensDetails(TypedDict):
    reasoning_tokens: int


class Usage(TypedDict):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    extra: UsageExtra
    completion_tokens_details: NotRequired[CompletionTokensDetails]  # of models that reason


class Timings(TypedDict):
    """Ours. None where nothing was measured, as the decode rate of a single token."""

    ttft_ms: float | None
    prefill_tps: float | None
    decode_tps: float | None


class ResponseMessage(TypedDict):
    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning_content: NotRequired[str]  # DeepSeek's, as llama.cpp and vLLM have it
    tool_calls: NotRequired[list[ToolCall]]


class TopLogprob(TypedDict):
    token: str
    logprob: float
    bytes: list[int]


class ChatTokenLogprob(TopLogprob):
    top_logprobs: list[TopLogprob]


class ChatLogprobs(TypedDict):
    content: list[ChatTokenLogprob]
    refusal: None


class CompletionLogprobs(TypedDict):
    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None
    text_offset: list[int]


class PromptLogprob(TypedDict):
    """vLLM's."""

    logprob: float
    rank: int
    decoded_token: str


class ChatChoice(TypedDict):
    index: int
    message: ResponseMessage
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason
    token_ids: NotRequired[list[int]]


class ChatCompletion(TypedDict):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: NotRequired[str]
    warnings: NotRequired[list[str]]  # ours: what of the request is answered otherwise than it says
    choices: list[ChatChoice]
    usage: Usage
    timings: Timings
    prompt_token_ids: NotRequired[list[int]]
    prompt_logprobs: NotRequired[list[dict[str, PromptLogprob] | None]]


class FunctionDelta(TypedDict, total=False):
    name: str
    arguments: str


class ToolCallDelta(TypedDict):
    index: int
    id: NotRequired[str]
    type: NotRequired[Literal["function"]]
    function: FunctionDelta


class Delta(TypedDict, total=False):
    role: Literal["assistant"]
    content: str
    reasoning_content: str
    refusal: None
    tool_calls: list[ToolCallDelta]


class ChatChunkChoice(TypedDict):
    index: int
    delta: Delta
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason | None
    token_ids: NotRequired[list[int]]


class ChatCompletionChunk(TypedDict):
    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    system_fingerprint: NotRequired[str]
    warnings: NotRequired[list[str]]  # ours: what of the request is answered otherwise than it says
    choices: list[ChatChunkChoice]
    usage: NotRequired[Usage | None]
    timings: NotRequired[Timings]  # on the last chunk
    prompt_token_ids: NotRequired[list[int]]  # on the first chunk
    prompt_logprobs: NotRequired[list[dict[str, PromptLogprob] | None]]  # on the first chunk of an answer


class CompletionChoice(TypedDict):
    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: FinishReason | None
    token_ids: NotRequired[list[int]]
    prompt_token_ids: NotRequired[list[int]]
    prompt_logprobs: NotRequired[list[dict[str, PromptLogprob] | None]]  # vLLM's


class Completion(TypedDict):
    """Also the chunks of a stream, whose last one has the usage."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    system_fingerprint: NotRequired[str]
    warnings: NotRequired[list[str]]  # ours: what of the request is answered otherwise than it says
    choices: list[CompletionChoice]
    usage: NotRequired[Usage | None]
    timings: NotRequired[Timings]
    prompt_token_ids: NotRequired[list[int]]


class InputUsage(TypedDict):
    prompt_tokens: int
    total_tokens: int


class Embedding(TypedDict):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str  # base64 of f32, little-endian


class EmbeddingList(TypedDict):
    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: InputUsage


class TranscriptionSegment(TypedDict):
    id: int
    seek: int  # of the window that it is in, in hundredths of a second
    start: float  # seconds
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class DurationUsage(TypedDict):
    type: Literal["duration"]
    seconds: int


class Transcription(TypedDict):
    text: str
    usage: DurationUsage
    # of verbose_json
    task: NotRequired[str]
    language: NotRequired[str]
    duration: NotRequired[float]
    segments: NotRequired[list[TranscriptionSegment]]


class Document(TypedDict):
    text: str


class RerankResult(TypedDict):
    index: int  # of the request's documents
    relevance_score: float
    document: NotRequired[Document]


class Reranking(TypedDict):
    """Jina's and vLLM's; best first."""

    id: str
    model: str
    usage: InputUsage
    results: list[RerankResult]


class Score(TypedDict):
    index: int
    object: Literal["score"]
    score: float


class ScoreList(TypedDict):
    """vLLM's."""

    id: str
    object: Literal["list"]
    created: int
    model: str
    data: list[Score]
    usage: InputUsage


class Model(TypedDict):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    parent: NotRequired[str]  # vLLM's; of a LoRA, the model that it changes
    context_length: NotRequired[int]  # ours; of a model that is opened when it is asked for, not known before
    has_chat_template: NotRequired[bool]  # ours: without one, only completions
    sampling: NotRequired[dict[str, Any]]  # ours: how answers are drawn where a request does not say


class ModelList(TypedDict):
    object: Literal["list"]
    data: list[Model]


class ErrorDetail(TypedDict):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(TypedDict):
    error: ErrorDetail
