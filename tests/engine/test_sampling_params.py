"""What SamplingParams refuses, by field."""

import math

import pytest

from fanlight.engine import SamplingParams
from fanlight.errors import RequestError


@pytest.mark.parametrize(
    "field, value",
    [
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("temperature", "1"),
        ("temperature", None),
        ("temperature", True),
        ("top_p", 1.01),
        ("top_p", -0.5),
        ("min_p", 2),
        ("frequency_penalty", 2.5),
        ("presence_penalty", -2.5),
        ("repetition_penalty", 0),
        ("top_k", -1),
        ("top_k", 1.5),
        ("top_k", None),
        ("seed", 2**64),
        ("seed", 0.5),
        ("max_tokens", 0),
        ("max_tokens", True),
        ("logit_bias", {-1: 1.0}),
        ("logit_bias", {"5": 1.0}),
        ("logit_bias", {5: 101}),
        ("logit_bias", {5: math.inf}),
        ("logit_bias", [5]),
        ("stop_token_ids", frozenset({-1})),
        ("stop_token_ids", [1]),
        ("ignore_eos", 1),
    ],
)
def test_refused_with_the_field_named(field: str, value: object) -> None:
    with pytest.raises(RequestError) as raised:
        SamplingParams(**{field: value})
    assert raised.value.param == field
    assert field in raised.value.message


@pytest.mark.parametrize(
    "field, value",
    [
        ("temperature", 0),
        ("temperature", 2),
        ("top_p", 0),
        ("top_k", 0),
        ("seed", -1),
        ("seed", 2**64 - 1),
        ("logit_bias", {0: -100, 7: 100.0}),
        ("max_tokens", None),
    ],
)
def test_served(field: str, value: object) -> None:
    assert getattr(SamplingParams(**{field: value}), field) == value
