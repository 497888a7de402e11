"""Every parser of foreign text returns or refuses, whatever it is given (the long form: `make fuzz`)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.parsers import PARSERS, Parser

EXAMPLES = 120


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_it_returns_or_raises_what_it_says_it_raises(parser: Parser) -> None:
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(parser.inputs)
    def every(value: object) -> None:
        parser.take(value)

    every()


def test_a_parser_that_raises_anything_else_is_seen() -> None:
    def careless(text: str) -> None:
        if "7" in text:
            raise KeyError(text)

    with pytest.raises(KeyError):
        test_it_returns_or_raises_what_it_says_it_raises(Parser("careless", st.text("67"), careless))
