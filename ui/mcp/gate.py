"""What may leave to an MCP client, whose language model may be on another machine: the same gate as for our own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agent.llm.egress import Passage, Pseudonyms
from agent.llm.identifiers import Identifiers

if TYPE_CHECKING:
    from agent.assistant import Assistant
    from agent.settings import EgressPolicy

WITHHELD = (
    "{what} stays here: this server lets out text without identifiers only (remote-deidentified). Start it with "
    "'readingroom mcp --egress local' when the client's language model runs on this machine, or '--egress "
    "remote-allowed' if pixels may leave it."
)


class Gate:
    """Replaces identifiers on the way out, resolves the same ones on the way in, and writes down what left.

    Args:
        assistant: whose readings and audit log.
        policy: "remote-deidentified" lets out text with pseudonyms; the others everything.
    """

    def __init__(self, assistant: Assistant, policy: EgressPolicy) -> None:
        from tools.audit import AuditLog

        self.policy = policy
        self._assistant = assistant
        self._pseudonyms: dict[str, Pseudonyms] = {}
        self._replaced: dict[str, dict[str, str]] = {}
        self._audit = AuditLog(assistant.settings.audit_path)

    @property
    def lets_pixels_out(self) -> bool:
        """Whether pictures and files may leave."""
        return self.policy != "remote-deidentified"

    def outgoing(self, reading: str, tool: str, value: Any, *, known: Sequence[str] = (), pictures: int = 0) -> Any:
        """Return JSON data as it may leave, and keep in the audit log that it does.

        Args:
            reading: whose data it is.
            tool: which tool made it.
            value: JSON data.
            known: strings in it that must not leave, beside those of the reading's attachments.
            pictures: how many go with it.
        """
        found = () if self.lets_pixels_out else Identifiers({reading: self._assistant.workspace(reading)})()
        passage = Passage(
            self.policy,
            (*known, *found),
            pseudonyms=self._pseudonyms.setdefault(reading, Pseudonyms()),
            replaced=self._replaced.setdefault(reading, {}),
        )
        safe = passage.data(value)
        if self.policy != "local":
            sent = json.dumps(safe, ensure_ascii=False)
            self._audit.append(
                to="MCP client",
                policy=self.policy,
                purpose=tool,
                characters=len(sent),
                sha256=hashlib.sha256(sent.encode()).hexdigest(),
                images=pictures,
                replaced=dict(passage.counts),
            )
        return safe

    def incoming(self, reading: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments with the pseudonyms of this reading resolved."""
        return {name: self._resolved(reading, value) for name, value in args.items()}

    def _resolved(self, reading: str, value: Any) -> Any:
        if isinstance(value, str):
            return Passage(self.policy, replaced=self._replaced.get(reading, {})).incoming(value)
        if isinstance(value, Mapping):
            return {key: self._resolved(reading, item) for key, item in value.items()}
        return [self._resolved(reading, item) for item in value] if isinstance(value, list) else value
