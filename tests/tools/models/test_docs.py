"""docs/models.md says of a card what the schema says, and its example is a card."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.models.card import Domain, ModelCard, Weights, read_card
from tools.models.remote.serving import _CALLS
from tools.models.runtimes.remote import RemoteOptions

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "models.md").read_text(encoding="utf-8")


def test_the_table_of_keys_is_the_schema() -> None:
    part = TEXT.partition("## The card")[2].partition("## Bringing")[0]
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (yes)? ?\|", part, re.MULTILINE))
    schema = {name: field.is_required() for name, field in ModelCard.model_fields.items()}
    for table, model in (("weights", Weights), ("domain", Domain)):
        schema |= {f"{table}.{name}": field.is_required() for name, field in model.model_fields.items()}
    assert {name: must == "yes" for name, must in rows.items()} == schema


def test_the_example_is_a_card(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "lab-bright.toml").write_text(example)
    card = read_card(tmp_path / "lab-bright.toml")
    assert RemoteOptions.model_validate(card.options).timeout_s == 300


def test_the_protocol_names_every_verb() -> None:
    part = TEXT.partition("**The protocol.**")[2]
    assert set(re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)) == set(_CALLS)


@pytest.mark.parametrize("page", ["models.md", "extend.md"])
def test_links_lead_somewhere(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        file, _, anchor = target.partition("#")
        path = DOCS / (file or page)
        assert path.exists(), target
        headings = [h.lower().replace(" ", "-") for h in re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)]
        assert not anchor or anchor in headings, target
