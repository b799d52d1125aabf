"""Prompts are files: one Markdown file each, with front matter that says purpose, version and variables.

    load("plan").render(request=…, tools=…)

A placeholder is `{name}`; other braces, as in JSON, stay as they are.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent
_FRONT_MATTER = re.compile(r"\A---\n(?P<head>.*?)\n---\n(?P<text>.*)\Z", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{([a-z][a-z_]*)\}")
_FIELDS = ("purpose", "version", "variables")


class PromptError(ValueError):
    """A prompt file is malformed, or was rendered with the wrong variables."""


@dataclass(frozen=True)
class Prompt:
    """One prompt: what it is for, which version, and its text."""

    name: str
    purpose: str
    version: int
    variables: tuple[str, ...]
    text: str

    @property
    def hash(self) -> str:
        """Return 12 hex digits of the text's sha256."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]

    def render(self, **values: str) -> str:
        """Return the text with its variables filled in; a value's own braces stay as they are.

        Raises:
            PromptError: a variable is missing or unknown; names it.
        """
        missing = sorted(set(self.variables) - set(values))
        unknown = sorted(set(values) - set(self.variables))
        if missing or unknown:
            raise PromptError(
                f"prompt {self.name!r} takes {', '.join(self.variables) or 'no variables'}; "
                f"missing: {', '.join(missing) or 'none'}, unknown: {', '.join(unknown) or 'none'}"
            )
        return _PLACEHOLDER.sub(lambda found: values[found[1]], self.text)


def names() -> tuple[str, ...]:
    """Return the names of all prompts, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.md")))


@cache
def load(name: str) -> Prompt:
    """Return a prompt by its file's name.

    Raises:
        PromptError: there is no such prompt, or its file is malformed.
    """
    path = _FOLDER / f"{name}.md"
    if name not in names():
        raise PromptError(f"prompt must be one of {', '.join(names())}; got {name!r}")
    return parse(name, path.read_text(encoding="utf-8"))


def parse(name: str, content: str) -> Prompt:
    """Return the prompt that a Markdown file with front matter holds.

    Raises:
        PromptError: front matter is missing or incomplete, or the placeholders are not the declared variables.
    """
    found = _FRONT_MATTER.match(content)
    if found is None:
        raise PromptError(f"prompt {name!r} must begin with front matter between two lines of '---'")
    head = dict(line.split(":", 1) for line in found["head"].splitlines() if ":" in line)
    head = {key.strip(): value.strip() for key, value in head.items()}
    if sorted(head) != sorted(_FIELDS) or not head["version"].isdigit():
        raise PromptError(f"prompt {name!r}: front matter must be {', '.join(_FIELDS)} (a number); got {head!r}")
    variables = tuple(v.strip() for v in head["variables"].strip("[]").split(",") if v.strip())
    text = found["text"].strip()
    if used := set(_PLACEHOLDER.findall(text)) ^ set(variables):
        raise PromptError(f"prompt {name!r}: declared variables and placeholders differ in {', '.join(sorted(used))}")
    return Prompt(name=name, purpose=head["purpose"], version=int(head["version"]), variables=variables, text=text)
