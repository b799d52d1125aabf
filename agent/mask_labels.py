"""What an attached mask outlines: as the person stated it, or a known structure that its file is named after."""

from __future__ import annotations

import re

from agent.errors import AttachmentError
from tools.errors import BadInputError
from tools.imaging.anatomy import resolve

MAX_LABEL = 64  # characters; a label becomes part of file names and of DICOM's tracking ids, which hold no more
_ABOUT_THE_FILE = frozenset({"mask", "masks", "seg", "segmentation", "label", "labels", "roi", "contour", "outline"})
_UNFIT = re.compile(r"[^\w .,()+'-]|^\W|\.\.")


def stated_label(label: str) -> str:
    """Return a label that a person stated: a target's name where the words mean one, else the words.

    Raises:
        AttachmentError: it is too long, or holds characters that no file name may have.
    """
    words = " ".join(label.split())
    if len(words) > MAX_LABEL or _UNFIT.search(words):
        raise AttachmentError(
            f"label must be the name of a structure, at most {MAX_LABEL} letters, digits, blanks and . , - + ( ), "
            f"got {label[:80]!r}"
        )
    return _structure(words) or words


def label_in_name(file_name: str) -> str:
    """Return the known structure that a mask's file is named after, or nothing: other words of a name may be anybody's.

    A file's name is chosen by whoever made the file. A patient's name or an order in it must not reach facts, plan or
    answer, so it counts only where it is nothing but a structure: "lungs.nii.gz", "Liver_mask.nii", "lung-left.nrrd".
    """
    tokens = re.findall(r"[^\W_]+", file_name.partition(".")[0].lower())
    return _structure(" ".join(t for t in tokens if t not in _ABOUT_THE_FILE))


def _structure(words: str) -> str:
    """Return the target that words mean, or the words themselves where they mean several; empty: nothing known."""
    try:
        targets = resolve(words)
    except BadInputError:
        return ""
    return targets[0] if len(targets) == 1 else words
