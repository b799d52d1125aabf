"""A bundle's configuration: entries by id, made when they are asked for, under the allow-list."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tools.errors import UnavailableError, UnsupportedError
from tools.models.runtimes.bundle_allowed import (
    BUILTINS,
    FILE_STEPS,
    IMPORTS,
    MENTIONED,
    ROOTS,
    as_taken_here,
    forbid_downloads,
    resolve_target,
)
from tools.models.runtimes.bundle_expression import Expression, evaluate, parse

_OS_NAMES = frozenset({"path", "makedirs", "environ"})  # of parts that are never evaluated
_OWN_KEYS = frozenset({"_target_", "_requires_", "_disabled_", "_desc_", "_mode_"})


class BundleConfig:
    """The entries of one configuration file.

    Args:
        data: the file's content.
        text: the file's text, to say in which line something stands.
        name: the file's name.
        given: entries that the caller decides instead of the file, such as the device.
        own: what stands in for a `_target_` or a function that a bundle may not use as it is: code of its own, the
            loading of files, the choice of a device.

    Raises:
        UnsupportedError: an expression or import, wherever it stands, asks for what no bundle may have.
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        text: str,
        name: str,
        *,
        given: Mapping[str, Any],
        own: Mapping[str, Callable[..., Any]],
    ) -> None:
        self._data = data
        self._text = text
        self._name = name
        self._made: dict[str, Any] = dict(given)
        self._own = own
        self._open: list[str] = []
        self._screen()

    def __contains__(self, entry: object) -> bool:
        return entry in self._data or entry in self._made

    def raw(self, entry: str) -> Any:
        """Return an entry as it is written; None where there is none."""
        found: Any = self._data
        for part in entry.split("#"):
            if isinstance(found, Mapping) and part in found:
                found = found[part]
            elif isinstance(found, list) and part.isdigit() and int(part) < len(found):
                found = found[int(part)]
            else:
                return None
        return found

    def get(self, entry: str) -> Any:
        """Return an entry's value: what its expression gives or what its `_target_` makes; made once.

        Raises:
            UnsupportedError: the entry is missing, refers to itself, or asks for what is not on the allow-list.
        """
        if entry in self._made:
            return self._made[entry]
        if entry in self._open:
            raise UnsupportedError(f"{self._name}: {entry!r} refers to itself")
        parent, _, key = entry.rpartition("#")
        written = self.raw(entry)
        if written is None and parent and self.raw(parent) is not None:
            within = self.get(parent)
            value = within[int(key)] if isinstance(within, list | tuple) else within[key]
        elif written is None and self.raw(parent or entry) is None and entry not in self._data:
            raise UnsupportedError(f"{self._name}: there is no entry {entry!r}")
        else:
            self._open.append(entry)
            try:
                value = self._value(written)
            finally:
                self._open.pop()
        self._made[entry] = value
        return value

    def forget(self, beginning: str) -> None:
        """Let go of values that are no longer needed, such as checkpoints whose tensors a network has copied."""
        self._made = {entry: value for entry, value in self._made.items() if not entry.startswith(beginning)}

    def _value(self, written: Any) -> Any:
        if isinstance(written, str):
            return self._of_text(written)
        if isinstance(written, list):
            return [self._value(item) for item in written if not self._left_out(item)]
        if isinstance(written, dict):
            if "_target_" in written:
                return self._instance(written)
            return {key: self._value(item) for key, item in written.items() if not self._left_out(item)}
        return written

    def _of_text(self, text: str) -> Any:
        if text.startswith("$"):
            try:
                return evaluate(parse(text[1:]), self.get, self._own)
            except UnsupportedError as error:
                raise UnsupportedError(self._located(text, str(error))) from None
        if text.startswith("%"):
            return self._value(self.raw(text[1:].replace("::", "#")))
        return self.get(text[1:].replace("::", "#")) if text.startswith("@") else text

    def _left_out(self, item: Any) -> bool:
        if not isinstance(item, dict) or "_target_" not in item:
            return False
        return item["_target_"] in FILE_STEPS or bool(self._value(item.get("_disabled_", False)))

    def _instance(self, written: dict[str, Any]) -> Any:
        target = str(written["_target_"])
        if written.get("_mode_", "default") != "default":
            raise UnsupportedError(self._located(target, f"_mode_ {written['_mode_']!r} is not supported"))
        for needed in written.get("_requires_", ()) if isinstance(written.get("_requires_"), list) else ():
            self._value(needed)
        if isinstance(written.get("_requires_"), str):
            self._value(written["_requires_"])
        if target in self._own:
            make = self._own[target]
        else:
            try:
                make = resolve_target(target)
            except UnsupportedError as error:
                raise UnsupportedError(self._located(target, f"a bundle may not use {target!r}: {error}")) from None
        named = {key: self._value(value) for key, value in written.items() if key not in _OWN_KEYS}
        try:
            forbid_downloads(named, target)
            return make(**as_taken_here(make, named))
        except ImportError as error:
            reason = str(error).splitlines()[0]
            raise UnavailableError(self._located(target, f"{target} needs another package: {reason}")) from error
        except (TypeError, ValueError, UnsupportedError) as error:
            raise UnsupportedError(self._located(target, f"{target} cannot be made: {error}")) from error

    def _located(self, written: str, problem: str) -> str:
        quoted = json.dumps(written)[1:-1]
        for number, line in enumerate(self._text.splitlines(), start=1):
            if quoted in line or written in line:
                return f"{self._name}, line {number}: {problem}"
        return f"{self._name}: {problem}"

    def _screen(self) -> None:
        """Refuse the whole file for one expression or import that no bundle needs, reached or not."""
        for text in _texts(self._data):
            if not text.startswith("$"):
                continue
            try:
                _screen_expression(text[1:].strip())
            except UnsupportedError as error:
                raise UnsupportedError(self._located(text, f"refused, for {error}")) from None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _screen_expression(text: str) -> None:
    if text.startswith(("import ", "from ")):
        _screen_import(text)
        return
    expression = parse(text)
    bound = _bound_names(expression)
    for node in ast.walk(expression.tree):
        if isinstance(node, ast.Name) and node.id not in bound and not node.id.startswith("reference_"):
            allowed = node.id in BUILTINS or node.id in ROOTS or node.id in MENTIONED
            if not allowed and not (node.id == "open" and _only_reads(expression)):
                raise UnsupportedError(f"{text!r} uses {node.id!r}, which no bundle may")
        elif isinstance(node, ast.Attribute):
            if node.attr.startswith("_"):
                raise UnsupportedError(f"{text!r} uses the private name {node.attr!r}")
            if isinstance(node.value, ast.Name) and node.value.id == "os" and node.attr not in _OS_NAMES:
                raise UnsupportedError(f"{text!r} uses os.{node.attr}, which no bundle may")


def _only_reads(expression: Expression) -> bool:
    """Return whether an expression is one `open` of a file that another entry names, to read it."""
    call = expression.tree
    if not isinstance(call, ast.Call) or not call.args or not isinstance(call.args[0], ast.Name):
        return False
    modes = [argument.value for argument in call.args[1:] if isinstance(argument, ast.Constant)]
    return len(modes) == len(call.args) - 1 and set(modes) <= {"r"} and call.args[0].id.startswith("reference_")


def _screen_import(text: str) -> None:
    try:
        statement = ast.parse(text).body[0]
    except SyntaxError:
        raise UnsupportedError(f"{text!r} is no import") from None
    if isinstance(statement, ast.Import):
        names = [alias.name for alias in statement.names]
    else:
        names = [str(getattr(statement, "module", ""))]
    for name in names:
        if name.partition(".")[0] not in IMPORTS:
            raise UnsupportedError(f"{text!r} imports {name!r}, which no bundle may")


def _bound_names(expression: Expression) -> frozenset[str]:
    arguments = {node.arg for node in ast.walk(expression.tree) if isinstance(node, ast.arg)}
    stored = {
        node.id for node in ast.walk(expression.tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return frozenset(arguments | stored)
