"""The small expression language of study.yaml and cohort.yaml: parsed here, never handed to `eval`.

Belongs here: the grammar (``+ - * / ** > >= < <= == != and or not ( )``, ``log exp sqrt abs``, numbers, quoted texts,
column names, any name in backticks) and its evaluation over whole columns with missing values. Does not belong here:
what a column means or where it is from; the caller gives a resolver.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from meddata_pipeline.core.errors import ConfigError

Floats = npt.NDArray[np.float64]

#: Gives a column as numbers (NaN = missing) or as texts (None = missing).
NumberColumn = Callable[[str], Floats]
TextColumn = Callable[[str], npt.NDArray[np.object_]]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?)
      | `(?P<quoted>[^`]+)`
      | '(?P<single>[^']*)'
      | "(?P<double>[^"]*)"
      | (?P<name>[^\W\d]\w*)
      | (?P<op>\*\*|>=|<=|==|!=|[-+*/()><])
    )""",
    re.VERBOSE,
)
_KEYWORDS = frozenset({"and", "or", "not"})
_FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {"log": np.log, "exp": np.exp, "sqrt": np.sqrt, "abs": np.abs}
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "**": np.power,
}
#: Longer or deeper than any sensible rule; a bound, so that a hostile file can't exhaust the stack.
_MAX_LENGTH = 4000
_MAX_DEPTH = 60


@dataclass(frozen=True)
class Node:
    """One node of a parsed expression.

    Attributes:
        kind: number, text, name, call, minus, not, arithmetic, comparison or logic.
        value: the number, text, name, function or operator.
        children: operands, in order.
    """

    kind: str
    value: Any
    children: tuple[Node, ...] = ()

    def names(self) -> frozenset[str]:
        """Every column that the expression reads."""
        own = {self.value} if self.kind == "name" else set()
        return frozenset(own.union(*(child.names() for child in self.children)))


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        self.at = 0
        self.depth = 0
        position = 0
        while position < len(text):
            if not text[position:].strip():
                break
            match = _TOKEN.match(text, position)
            if match is None:
                offset = position + len(text[position:]) - len(text[position:].lstrip())
                raise self.error(f"character {offset + 1} is not part of the expression language")
            kind = str(match.lastgroup)
            self.tokens.append((kind, match[kind]))
            position = match.end()

    def error(self, what: str) -> ConfigError:
        return ConfigError(
            f"The expression {self.text!r} can't be read: {what}",
            next_step="Allowed are + - * / ** > >= < <= == and or not ( ), log, exp, sqrt, abs, numbers and columns",
        )

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def take(self, *operators: str) -> str | None:
        kind, value = self.peek()
        if value in operators and (kind == "op" or (kind == "name" and value in _KEYWORDS)):
            self.at += 1
            return value
        return None

    def parse(self) -> Node:
        node = self.disjunction()
        kind, value = self.peek()
        if kind != "end":
            raise self.error(f"{value!r} is not expected there")
        return node

    def disjunction(self) -> Node:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.error("it is nested too deeply")
        node = self.conjunction()
        while self.take("or"):
            node = Node("logic", "or", (node, self.conjunction()))
        self.depth -= 1
        return node

    def conjunction(self) -> Node:
        node = self.negation()
        while self.take("and"):
            node = Node("logic", "and", (node, self.negation()))
        return node

    def negation(self) -> Node:
        count = 0
        while self.take("not"):
            count += 1
        node = self.comparison()
        for _ in range(count % 2 or (2 if count else 0)):
            node = Node("not", "not", (node,))
        return node

    def comparison(self) -> Node:
        left = self.sum()
        operator = self.take(*_COMPARISONS)
        if operator is None:
            return left
        node = Node("comparison", operator, (left, self.sum()))
        if self.take(*_COMPARISONS):
            raise self.error("comparisons can't be chained; join two with 'and'")
        return node

    def sum(self) -> Node:
        node = self.product()
        while operator := self.take("+", "-"):
            node = Node("arithmetic", operator, (node, self.product()))
        return node

    def product(self) -> Node:
        node = self.sign()
        while operator := self.take("*", "/"):
            node = Node("arithmetic", operator, (node, self.sign()))
        return node

    def sign(self) -> Node:
        negative = False
        while operator := self.take("-", "+"):
            negative ^= operator == "-"
        node = self.power()
        return Node("minus", "-", (node,)) if negative else node

    def power(self) -> Node:
        base = self.atom()
        if not self.take("**"):
            return base
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.error("it is nested too deeply")
        node = Node("arithmetic", "**", (base, self.sign()))
        self.depth -= 1
        return node

    def atom(self) -> Node:
        kind, value = self.peek()
        self.at += 1
        if kind == "number":
            return Node("number", float(value))
        if kind == "quoted":
            return Node("name", value)
        if kind in ("single", "double"):
            return Node("text", value)
        if kind == "name" and value not in _KEYWORDS:
            if self.peek() == ("op", "("):
                if value not in _FUNCTIONS:
                    raise self.error(f"there is no function {value!r}")
                self.at += 1
                return Node("call", value, (self.closed(),))
            return Node("name", value)
        if (kind, value) == ("op", "("):
            return self.closed()
        raise self.error("it ends too early" if kind == "end" else f"{value!r} is not expected there")

    def closed(self) -> Node:
        node = self.disjunction()
        if not self.take(")"):
            raise self.error("a closing parenthesis is missing")
        return node


@lru_cache(maxsize=512)
def parse(text: str) -> Node:
    """Read an expression.

    Raises:
        ConfigError: it is empty, too long, or not of the grammar; the text says where.
    """
    if len(text) > _MAX_LENGTH:
        raise ConfigError(f"An expression is longer than {_MAX_LENGTH} characters")
    parser = _Parser(text)
    if not parser.tokens:
        raise ConfigError("An expression is empty")
    return parser.parse()


def evaluate(node: Node, numbers: NumberColumn, texts: TextColumn) -> Floats:
    """Compute an expression over whole columns.

    Missing values stay missing, with three-valued logic: ``missing and false`` is false, ``missing or true`` is true.
    A result that is no finite number (``log(0)``, division by zero) is missing too.

    Args:
        node: from `parse`.
        numbers: gives a column as float64, NaN for missing.
        texts: gives a column as texts, None for missing; used where a column is compared with a quoted text.

    Returns:
        float64 of the columns' length (or shape () for a constant); logical results are 1, 0 and NaN.
    """
    with np.errstate(all="ignore"):
        return _value(node, numbers, texts)


def _value(node: Node, numbers: NumberColumn, texts: TextColumn) -> Floats:
    if node.kind == "number":
        return np.asarray(node.value, dtype=np.float64)
    if node.kind == "name":
        return numbers(node.value)
    if node.kind == "text":
        raise ConfigError("A quoted text can only be compared with a column by == or !=")
    if node.kind == "comparison" and any(child.kind == "text" for child in node.children):
        return _compare_text(node, texts)
    values = [_value(child, numbers, texts) for child in node.children]
    missing = np.zeros((), dtype=bool)
    for value in values:
        missing = missing | np.isnan(value)
    if node.kind == "logic":
        return _logic(node.value, values, missing)
    if node.kind == "not":
        result = np.asarray(values[0] == 0, dtype=np.float64)
    elif node.kind == "comparison":
        result = np.asarray(_COMPARISONS[node.value](*values), dtype=np.float64)
    elif node.kind == "call":
        result = _FUNCTIONS[node.value](values[0])
    elif node.kind == "minus":
        result = np.negative(values[0])
    else:
        result = np.asarray(_ARITHMETIC[node.value](*values), dtype=np.float64)
    return np.where(missing | ~np.isfinite(result), np.nan, result)


def _logic(operator: str, values: list[Floats], missing: npt.NDArray[np.bool_]) -> Floats:
    # The value that decides alone: false for `and`, true for `or`.
    decisive = 0.0 if operator == "and" else 1.0
    truth = [np.where(np.isnan(value), np.nan, (value != 0).astype(np.float64)) for value in values]
    decided = (truth[0] == decisive) | (truth[1] == decisive)
    return np.where(decided, decisive, np.where(missing, np.nan, 1.0 - decisive))


def _compare_text(node: Node, texts: TextColumn) -> Floats:
    left, right = node.children
    if left.kind == "text":
        left, right = right, left
    if left.kind != "name" or right.kind != "text" or node.value not in ("==", "!="):
        raise ConfigError("A quoted text can only be compared with a column by == or !=")
    column = texts(left.value)
    missing = np.array([value is None for value in column], dtype=bool)
    equal = column == right.value
    return np.where(missing, np.nan, np.asarray(equal if node.value == "==" else ~equal, dtype=np.float64))
