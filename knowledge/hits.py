"""What a search returns and what narrows it."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Assertion = Literal["present", "absent", "uncertain", "historical", "hypothetical"]


@dataclass(frozen=True)
class Hit:
    """A report that answers a query, and the sentence that shows it.

    `start` and `end` count characters of `Report.text`, end exclusive: `report.text[start:end] == sentence`.
    `score` lies in 0 to 1 and orders the hits of one query. `why` says in words what matched.
    """

    report_id: str
    sentence: str
    start: int
    end: int
    section: str
    score: float
    why: str


class Filters(BaseModel):
    """What a hit's report must be; every one given must hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    modality: str | None = Field(default=None, description="DICOM modality code, such as DX, CT, MR or US")
    body_part: str | None = Field(default=None, description="body part, such as chest")
    source: str | None = Field(default=None, description="collection the report came from, such as openi")
    patient: str | None = Field(default=None, description="patient key as stored, never a name")
    section: str | None = Field(default=None, description="section the sentence stands in, such as impression")
    date_from: date | None = Field(default=None, description="earliest study date, included")
    date_to: date | None = Field(default=None, description="latest study date, included")
    present: tuple[str, ...] = Field(default=(), description="findings the report must state as present")
    absent: tuple[str, ...] = Field(default=(), description="findings the report must not state as present")
