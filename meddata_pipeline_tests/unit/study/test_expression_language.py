"""The expression language: grammar, missing values, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.core.expression import evaluate, parse
from meddata_pipeline.study.variables import as_numbers, as_texts

NAN = float("nan")
FRAME = pd.DataFrame(
    {"a": [1.0, 2.0, NAN], "b": [0.0, 5.0, 1.0], "lambda": [1.0, 2.0, 3.0], "baked.ham": ["Y", "N", None]}
)


def value(text: str) -> list[float]:
    result = evaluate(parse(text), lambda n: as_numbers(FRAME[n], n), lambda n: as_texts(FRAME[n]))
    return [float(v) for v in np.broadcast_to(result, (3,))]


def same(left: list[float], right: list[float]) -> None:
    assert np.allclose(left, right, equal_nan=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b * 2", [1, 12, NAN]),
        ("-a ** 2", [-1, -4, NAN]),
        ("2 ** -1", [0.5, 0.5, 0.5]),
        ("2 ** 3 ** 2", [512, 512, 512]),
        ("(a + b) / 2 - 1", [-0.5, 2.5, NAN]),
        ("a > 1", [0, 1, NAN]),
        ("not a > 1", [1, 0, NAN]),
        ("a > 1 and b > 0", [0, 1, NAN]),
        ("a > 1 and b > 1", [0, 1, 0]),
        ("a > 1 or b > 0", [0, 1, 1]),
        ("a == 1 or not b >= 1", [1, 0, NAN]),
        ("log(`lambda`)", [0, np.log(2), np.log(3)]),
        ("log(b)", [NAN, np.log(5), 0]),
        ("1 / b", [NAN, 0.2, 1]),
        ("sqrt(abs(-4)) + exp(0)", [3, 3, 3]),
        ("`baked.ham` == 'Y'", [1, 0, NAN]),
        ("'Y' != `baked.ham`", [0, 1, NAN]),
        ("1.5e1", [15, 15, 15]),
        (".5", [0.5, 0.5, 0.5]),
    ],
)
def test_values(text: str, expected: list[float]) -> None:
    same(value(text), expected)


@pytest.mark.parametrize(
    "text",
    ["", "a +", "(a", "a)", "a b", "1 < a < 3", "__import__('os')", "a.b", "a[0]", "lambda x: x", "a = 1", "a and",
     "'x'", "a > 'x'", "f(a)", "log(a, b)", "(" * 100 + "a" + ")" * 100, "2 ** " * 100 + "2", "a" * 5000, "`",
     "a; b", "and"],
)  # fmt: skip
def test_everything_else_is_refused_with_a_clear_error(text: str) -> None:
    with pytest.raises(ConfigError):
        value(text)


operators = st.sampled_from(["+", "-", "*", "/", "**", ">", "<="])
numbers = st.sampled_from(["1.5", "2", "0.25"])
nested = st.recursive(numbers, lambda x: st.tuples(x, operators, x).map(lambda t: f"({' '.join(t)})"), max_leaves=6)


@settings(max_examples=60, deadline=None)
@given(nested)
def test_agrees_with_python_on_plain_numbers(text: str) -> None:
    try:
        python: Any = eval(text)
    except (ZeroDivisionError, OverflowError):
        return
    if not isinstance(python, complex) and np.isfinite(python):
        assert value(text)[0] == pytest.approx(float(python))
