"""What the server counts, as Prometheus reads it (text format 0.0.4).  Knows no HTTP; who serves it adds what engines say."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial

from fanlight.api.generation import LoadedModel
from fanlight.engine.sequence import Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FIRST_TOKEN_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
TOKEN_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)

Labels = tuple[tuple[str, str], ...]


class Histogram:
    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str, labels: Labels) -> Iterable[str]:
        total = 0
        for bound, count in zip((*self._bounds, "+Inf"), self._counts, strict=True):
            total += count
            yield f"{name}_bucket{_braces((*labels, ('le', str(bound))))} {total}"
        yield f"{name}_sum{_braces(labels)} {self._sum:.6f}"
        yield f"{name}_count{_braces(labels)} {total}"


class Metrics:
    def __init__(self) -> None:
        self._requests: Counter[Labels] = Counter()
        self._tokens: dict[str, Counter[Labels]] = {"prompt": Counter(), "cached_prompt": Counter(), "generated": Counter()}
        self._first_token: dict[Labels, Histogram] = {}
        self._per_token: dict[Labels, Histogram] = {}

    def count_request(self, path: str, status: int) -> None:
        self._requests[("path", path), ("status", str(status))] += 1

    def count(self, model: LoadedModel) -> None:
        """From now on, its sequences."""
        model.on_end = partial(self.count_sequence, model.model_name)

    def count_sequence(self, model: str, sequence: Sequence) -> None:
        """One that is finished, or was ended."""
        labels = (("model", model),)
        for kind, number in (
            ("prompt", sequence.num_prompt_tokens),
            ("cached_prompt", sequence.cached_tokens or 0),
            ("generated", sequence.num_generated_tokens),
        ):
            self._tokens[kind][labels] += number
        if sequence.first_token is None:
            return
        self._first_token.setdefault(labels, Histogram(FIRST_TOKEN_SECONDS)).add(sequence.first_token - sequence.arrived)
        if sequence.finished is not None and sequence.num_generated_tokens > 1:
            seconds = (sequence.finished - sequence.first_token) / (sequence.num_generated_tokens - 1)
            self._per_token.setdefault(labels, Histogram(TOKEN_SECONDS)).add(seconds)

    def text(self, gauges: Mapping[str, Mapping[Labels, float]]) -> str:
        """`gauges`: name -> labels -> the value now."""
        lines = [*_family("requests_total", "counter", "answered HTTP requests", self._requests)]
        for kind, counts in self._tokens.items():
            lines += _family(f"{kind}_tokens_total", "counter", f"{kind.replace('_', ' ')} tokens", counts)
        for name, values in gauges.items():
            lines += _family(name, "gauge", name.replace("_", " "), values)
        for name, help, histograms in (
            ("time_to_first_token_seconds", "from the request to its first token", self._first_token),
            ("time_per_output_token_seconds", "between tokens, the mean of each answer", self._per_token),
        ):
            lines += [f"# HELP fanlight_{name} {help}", f"# TYPE fanlight_{name} histogram"]
            lines += [line for labels, histogram in histograms.items() for line in histogram.lines(f"fanlight_{name}", labels)]
        return "\n".join(lines) + "\n"


def _family(name: str, kind: str, help: str, values: Mapping[Labels, float]) -> Iterable[str]:
    yield f"# HELP fanlight_{name} {help}"
    yield f"# TYPE fanlight_{name} {kind}"
    for labels, value in values.items():
        yield (
            f"fanlight_{name}{_braces(labels)} {value:g}"
            if isinstance(value, float)
            else f"fanlight_{name}{_braces(labels)} {value}"
        )


def _braces(labels: Labels) -> str:
    escaped = ((name, value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")) for name, value in labels)
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped) + "}" if labels else ""
