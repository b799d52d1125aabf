"""The typed results that tools return: small, frozen, JSON-safe. Voxels stay in files of the workspace.

ToolResult
├─ Description   what an image is
├─ Image         an image that a tool made, with the facts that later steps are checked against
├─ Masks         one mask file per target, in the image's geometry
├─ Scores        a score per label, each against its operating point
├─ Boxes         boxes in an image
├─ Points        named points in an image
├─ Text          a model's answer in words: an opinion
├─ Measurements  rows with value, unit, mask, image and where the spacing came from
├─ Change        the same quantities in two studies; in tools/changes.py
├─ Hits          report sentences that match a query
├─ Studies       studies that a PACS holds
├─ Assessment    how an image is technically, and whether a model's result on it holds
├─ Explanation   where a model's score comes from
├─ TrainedModel  a model card made from a person's own labels
├─ Draft         findings and impression, each sentence with its evidence
├─ Verdicts      what the evidence says of each sentence of a report
├─ Files         exported files
└─ Sent          results that a PACS took
"""

from tools.results.answers import Explanation, LabelScore, Scores, Text
from tools.results.assessment import Assessment, ConformalSet, QualityRow, QualityVerdict, StabilityRow
from tools.results.base import Mark, ModelUse, Record, ToolResult
from tools.results.delivery import Files, Sent, Studies, StudyRow
from tools.results.images import Description, Image, Transform
from tools.results.measurements import Measurement, Measurements
from tools.results.outlines import Box, Boxes, MaskEntry, Masks, NotOutlined, Point, Points
from tools.results.reports import Claim, ClaimKind, Draft, Hits, ReportHit, SentenceVerdict, Verdicts
from tools.results.training import HeldOut, LabelNext, TrainedModel

__all__ = [
    "Assessment",
    "Box",
    "Boxes",
    "Claim",
    "ClaimKind",
    "ConformalSet",
    "Description",
    "Draft",
    "Explanation",
    "Files",
    "HeldOut",
    "Hits",
    "Image",
    "LabelNext",
    "LabelScore",
    "Mark",
    "MaskEntry",
    "Masks",
    "Measurement",
    "Measurements",
    "ModelUse",
    "NotOutlined",
    "Point",
    "Points",
    "QualityRow",
    "QualityVerdict",
    "Record",
    "ReportHit",
    "Scores",
    "Sent",
    "SentenceVerdict",
    "StabilityRow",
    "Studies",
    "StudyRow",
    "Text",
    "ToolResult",
    "TrainedModel",
    "Transform",
    "Verdicts",
]
