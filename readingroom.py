"""Reading Room's public API: import from here. Everything else may move.

from readingroom import Assistant
print(Assistant().ask("Segment the lungs and measure their volume.", ["ct.nii.gz"]).text)
"""

from agent.answer import Answer
from agent.assistant import Assistant
from agent.attach import Attach
from agent.errors import AttachmentError, ConfigError, LimitError, LLMUnavailableError, ReadingError, RunError
from agent.events import AnyEvent
from agent.plan import Clarify, Decline, Plan, Step
from agent.pointing import Pointed
from agent.settings import Settings
from tools.contract import Cost, Example, ImageRef, MaskRef, Tool, ToolContext, example, plan_example, tool
from tools.errors import BadInputError, NotFoundError, ToolError, UnavailableError, UnsupportedError
from tools.extension.kit import check_installed
from tools.facts import AttachmentFacts, Requires
from tools.imaging.volume import Volume
from tools.models.runtimes.base import Loading
from tools.models.runtimes.base import Options as RuntimeOptions
from tools.places import Place, Region, Span
from tools.registry import Registry
from tools.results import Claim, Draft, Masks, Measurement, Measurements, ToolResult
from tools.sources import Source, sources_of
from tools.verbs.prompting import SegmentPrompt

__all__ = [
    "Answer",
    "AnyEvent",
    "Assistant",
    "Attach",
    "AttachmentError",
    "AttachmentFacts",
    "BadInputError",
    "Claim",
    "Clarify",
    "ConfigError",
    "Cost",
    "Decline",
    "Draft",
    "Example",
    "ImageRef",
    "LLMUnavailableError",
    "LimitError",
    "Loading",
    "MaskRef",
    "Masks",
    "Measurement",
    "Measurements",
    "NotFoundError",
    "Place",
    "Plan",
    "Pointed",
    "ReadingError",
    "Region",
    "Registry",
    "Requires",
    "RunError",
    "RuntimeOptions",
    "SegmentPrompt",
    "Settings",
    "Source",
    "Span",
    "Step",
    "Tool",
    "ToolContext",
    "ToolError",
    "ToolResult",
    "UnavailableError",
    "UnsupportedError",
    "Volume",
    "check_installed",
    "example",
    "plan_example",
    "sources_of",
    "tool",
]
