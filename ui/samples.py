"""The sample cases of the page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knowledge.assets import Assets


@dataclass(frozen=True)
class Sample:
    """A sample image: where it lies among the assets, and its modality where the file does not say."""

    title: str
    asset: str
    member: str
    modality: str = ""


SAMPLES = (
    Sample("Chest CT", "chest-ct", "cxr.nii.gz"),
    Sample("Brain MR, T1", "brain-t1", "t1.nii.gz", "MR"),
    Sample("Chest film", "dicom-samples", "RG1.dcm"),
    Sample("Shoulder MR", "dicom-samples", "MR2.dcm"),
)


def sample_path(assets: Assets, sample: Sample) -> Path:
    """Return a sample's path; fetches it first where it is not cached.

    Raises:
        KnowledgeError: it can't be fetched.
    """
    assets.fetch(sample.asset)
    return assets.path(sample.asset, sample.member)
