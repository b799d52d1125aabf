"""What a NIfTI header says in words; a clean copy is written anew and has none of it."""

from __future__ import annotations

from pathlib import Path

_TEXTS = ("data_type", "db_name", "descrip", "aux_file", "intent_name", "magic_extra")


def header_texts(path: Path) -> dict[str, int]:
    """Return which text fields of a NIfTI header are filled, and how many extensions it has.

    Args:
        path: a .nii or .nii.gz file.
    """
    import nibabel as nib

    header = nib.load(path).header
    filled = {
        name: 1
        for name in _TEXTS
        if name in header.keys()  # noqa: SIM118  a header is no dict
        and bytes(header[name].item() if hasattr(header[name], "item") else header[name]).strip(b"\0 ")
    }
    return filled | ({"extensions": len(header.extensions)} if header.extensions else {})
