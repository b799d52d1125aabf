"""The expressions of a bundle's configuration, interpreted from their syntax tree: nothing is compiled or executed.

MONAI evaluates what follows a `$` as Python. Here only literals, operators, comprehensions, lambdas, names and calls of
what `bundle_allowed` lists have a meaning; everything else is refused with its text.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tools.errors import UnsupportedError
from tools.models.runtimes.bundle_allowed import BUILTINS, METHODS, ROOTS, Dotted, forbid_downloads, resolve_dotted

MAX_STEPS = 200_000  # of the interpreter: the zoo's expressions take a few hundred
MAX_LENGTH = 1_000_000  # of a text or list that a product makes
_REFERENCE = re.compile(r"@([A-Za-z_]\w*(?:(?:#|::)\w+)*)")
_PLACE = "reference_{}_"
_PLACED = re.compile(r"reference_(\d+)_")

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}


class RefusedError(UnsupportedError):
    """An expression asks for what no bundle may have."""


@dataclass(frozen=True)
class Expression:
    """One parsed expression; references to other entries stand in it as placeholder names."""

    text: str
    tree: ast.expr
    references: tuple[str, ...]


def parse(text: str) -> Expression:
    """Parse an expression, without its `$`.

    Raises:
        RefusedError: it is no expression, or uses syntax or a name that no bundle needs.
    """
    references: list[str] = []

    def place(match: re.Match[str]) -> str:
        references.append(match.group(1).replace("::", "#"))
        return _PLACE.format(len(references) - 1)

    plain = text.strip()
    if _PLACED.search(plain):
        raise RefusedError(f"{text!r} uses a name that is reserved")
    try:
        tree = ast.parse(_REFERENCE.sub(place, plain), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise RefusedError(f"{text!r} is no expression: {error}") from None
    return Expression(text, tree, tuple(references))


def evaluate(expression: Expression, entry: Callable[[str], Any], own: Mapping[str, Any] | None = None) -> Any:
    """Return the value of an expression.

    Args:
        expression: parsed by `parse`.
        entry: gives the value of another entry of the configuration by its id.
        own: objects that stand in for those of dotted names.

    Raises:
        RefusedError: it uses a name, attribute or syntax that is not on the allow-list.
    """
    interpreter = _Interpreter(expression, entry, own or {})
    return interpreter.plain(interpreter.value(expression.tree, {}))


class _Interpreter:
    """Walks one syntax tree; a method per kind of node."""

    def __init__(self, expression: Expression, entry: Callable[[str], Any], own: Mapping[str, Any]) -> None:
        self._text = expression.text
        self._references = expression.references
        self._entry = entry
        self._own = own
        self._steps = 0

    def refuse(self, what: str) -> RefusedError:
        return RefusedError(f"{self._text!r} {what}")

    def plain(self, value: Any) -> Any:
        """Return an object instead of its dotted name."""
        if not isinstance(value, Dotted):
            return value
        if value.path in self._own:
            return self._own[value.path]
        try:
            return resolve_dotted(value.path)
        except UnsupportedError as error:
            raise self.refuse(f"uses {value.path}, which a bundle may not: {error}") from None

    def value(self, node: ast.AST, scope: Mapping[str, Any]) -> Any:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise self.refuse(f"takes more than {MAX_STEPS} steps")
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise self.refuse(f"uses {type(node).__name__}, which a bundle may not")
        return method(node, scope)

    def _of(self, node: ast.AST, scope: Mapping[str, Any]) -> Any:
        return self.plain(self.value(node, scope))

    def _constant(self, node: ast.Constant, scope: Mapping[str, Any]) -> Any:
        return node.value

    def _name(self, node: ast.Name, scope: Mapping[str, Any]) -> Any:
        if node.id in scope:
            return scope[node.id]
        if placed := _PLACED.fullmatch(node.id):
            return self._entry(self._references[int(placed.group(1))])
        if node.id in BUILTINS:
            return BUILTINS[node.id]
        if node.id in ROOTS:
            return Dotted(ROOTS[node.id])
        raise self.refuse(f"uses {node.id!r}, which a bundle may not")

    def _attribute(self, node: ast.Attribute, scope: Mapping[str, Any]) -> Any:
        if node.attr.startswith("_"):
            raise self.refuse(f"uses the private name {node.attr!r}")
        base = self.value(node.value, scope)
        if isinstance(base, Dotted):
            return Dotted(f"{base.path}.{node.attr}")
        if node.attr not in METHODS or isinstance(base, type):
            raise self.refuse(f"uses .{node.attr} of a {type(base).__name__}, which a bundle may not")
        return getattr(base, node.attr)

    def _call(self, node: ast.Call, scope: Mapping[str, Any]) -> Any:
        function = self._of(node.func, scope)
        args: list[Any] = []
        for arg in node.args:
            if isinstance(arg, ast.Starred):
                args += list(self._of(arg.value, scope))
            else:
                args.append(self._of(arg, scope))
        named: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self._of(keyword.value, scope)
            named |= dict(value) if keyword.arg is None else {keyword.arg: value}
        if not callable(function):
            raise self.refuse(f"calls a {type(function).__name__}")
        forbid_downloads(named, self._text)
        return function(*args, **named)

    def _lambda(self, node: ast.Lambda, scope: Mapping[str, Any]) -> Any:
        plain = not (node.args.defaults or node.args.kwonlyargs or node.args.vararg or node.args.kwarg)
        names = [argument.arg for argument in node.args.args]
        if not plain:
            raise self.refuse("has a lambda with more than plain arguments")

        def call(*values: Any) -> Any:
            self._steps = 0
            return self._of(node.body, {**scope, **dict(zip(names, values, strict=True))})

        return call

    def _list(self, node: ast.List, scope: Mapping[str, Any]) -> list[Any]:
        return [self._of(item, scope) for item in node.elts]

    def _tuple(self, node: ast.Tuple, scope: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(self._of(item, scope) for item in node.elts)

    def _set(self, node: ast.Set, scope: Mapping[str, Any]) -> set[Any]:
        return {self._of(item, scope) for item in node.elts}

    def _dict(self, node: ast.Dict, scope: Mapping[str, Any]) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            found = self._of(value, scope)
            made |= dict(found) if key is None else {self._of(key, scope): found}
        return made

    def _subscript(self, node: ast.Subscript, scope: Mapping[str, Any]) -> Any:
        return self._of(node.value, scope)[self._of(node.slice, scope)]

    def _slice(self, node: ast.Slice, scope: Mapping[str, Any]) -> slice:
        parts = (node.lower, node.upper, node.step)
        return slice(*(None if part is None else self._of(part, scope) for part in parts))

    def _ifexp(self, node: ast.IfExp, scope: Mapping[str, Any]) -> Any:
        return self._of(node.body if self._of(node.test, scope) else node.orelse, scope)

    def _boolop(self, node: ast.BoolOp, scope: Mapping[str, Any]) -> Any:
        stop_at = isinstance(node.op, ast.Or)
        value: Any = None
        for part in node.values:
            value = self._of(part, scope)
            if bool(value) is stop_at:
                break
        return value

    def _unaryop(self, node: ast.UnaryOp, scope: Mapping[str, Any]) -> Any:
        if type(node.op) not in _UNARY:
            raise self.refuse(f"uses {type(node.op).__name__}, which a bundle may not")
        return _UNARY[type(node.op)](self._of(node.operand, scope))

    def _binop(self, node: ast.BinOp, scope: Mapping[str, Any]) -> Any:
        left, right = self._of(node.left, scope), self._of(node.right, scope)
        if type(node.op) not in _BINARY or (isinstance(node.op, ast.Mod) and isinstance(left, str | bytes)):
            raise self.refuse(f"uses {type(node.op).__name__}, which a bundle may not")
        if isinstance(node.op, ast.Mult):
            self._limit_product(left, right)
        return _BINARY[type(node.op)](left, right)

    def _limit_product(self, left: Any, right: Any) -> None:
        for many, times in ((left, right), (right, left)):
            if isinstance(many, str | bytes | list | tuple) and len(many) * int(times) > MAX_LENGTH:
                raise self.refuse("makes a sequence that is too long")
        if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > 256:
            raise self.refuse("makes a number that is too large")

    def _compare(self, node: ast.Compare, scope: Mapping[str, Any]) -> Any:
        left = self._of(node.left, scope)
        result: Any = True
        for test, part in zip(node.ops, node.comparators, strict=True):
            right = self._of(part, scope)
            result = _COMPARE[type(test)](left, right)
            if len(node.ops) == 1 or not result:
                return result
            left = right
        return result

    def _listcomp(self, node: ast.ListComp, scope: Mapping[str, Any]) -> list[Any]:
        return [self._of(node.elt, inner) for inner in self._loops(node.generators, scope)]

    def _generatorexp(self, node: ast.GeneratorExp, scope: Mapping[str, Any]) -> list[Any]:
        return [self._of(node.elt, inner) for inner in self._loops(node.generators, scope)]

    def _setcomp(self, node: ast.SetComp, scope: Mapping[str, Any]) -> set[Any]:
        return {self._of(node.elt, inner) for inner in self._loops(node.generators, scope)}

    def _dictcomp(self, node: ast.DictComp, scope: Mapping[str, Any]) -> dict[Any, Any]:
        return {self._of(node.key, i): self._of(node.value, i) for i in self._loops(node.generators, scope)}

    def _loops(self, loops: list[ast.comprehension], scope: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        if not loops:
            yield scope
            return
        first, *rest = loops
        for item in self._of(first.iter, scope):
            inner = {**scope, **self._bound(first.target, item)}
            if all(self._of(test, inner) for test in first.ifs):
                yield from self._loops(rest, inner)

    def _bound(self, target: ast.expr, item: Any) -> dict[str, Any]:
        if isinstance(target, ast.Name):
            return {target.id: item}
        if isinstance(target, ast.Tuple):
            bound: dict[str, Any] = {}
            for part, value in zip(target.elts, item, strict=True):
                bound |= self._bound(part, value)
            return bound
        raise self.refuse("has a loop over something other than names")
