"""Reads attributes of images (site, sex, scanner) for figures by subgroup."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from tools.errors import BadInputError

MAX_VALUES = 12  # a column with more is a number or a name, no group
KEY = "file"


def read_attributes(path: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """Return per column the value of each image.

    Args:
        path: CSV with a column `file` and one column an attribute.
        names: of the images, in order; what stands in `file`.

    Raises:
        BadInputError: no such file or column, an image without a row, or a column with too many values.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInputError(f"--groups: {path.name} cannot be read: {error}") from error
    if not rows or KEY not in rows[0]:
        raise BadInputError(f"--groups: {path.name} must have a column {KEY!r} and one column an attribute")
    by_file = {row[KEY]: row for row in rows}
    if missing := [name for name in names if name not in by_file]:
        raise BadInputError(f"--groups: {path.name} has no row for {missing[0]!r} and {len(missing) - 1} more images")
    columns = [column for column in rows[0] if column and column != KEY]
    found = {column: [by_file[name].get(column) or "unknown" for name in names] for column in columns}
    for column, values in found.items():
        if len(set(values)) > MAX_VALUES:
            raise BadInputError(
                f"--groups: column {column!r} has {len(set(values))} values, at most {MAX_VALUES} make groups; put it "
                "into ranges first"
            )
    return found
