"""The tab Settings as a form: what can be set, what is set elsewhere and by what, and what can be done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ui.components.html import element, text
from ui.components.settings import table_html

if TYPE_CHECKING:
    from agent.settings import Settings
    from tools.pacs.server import PacsServer

NOT_YOURS = "Only a person named in READINGROOM_ADMINS may do this here."
POLICIES = (
    ("", "as the address asks for"),
    ("local", "everything (a model on this machine)"),
    ("remote-deidentified", "text with pseudonyms, no pictures"),
    ("remote-allowed", "everything, written down"),
)
APPROVALS = (
    ("auto", "runs at once"),
    ("ask-before-running", "always waits for me"),
    ("ask-before-export", "waits before it exports or sends"),
)
PLACE = element("div", element("p", text("Reading the settings …"), css="rr-hint", role="status"), id="rr-settings")
"""The tab before its script (static/settings.js) has asked for the rest."""


class Form:
    """Makes the parts of the form for one person.

    Args:
        fixed: settings that are set elsewhere, and by what.
        may_change: whether the person may change anything.
    """

    def __init__(self, fixed: Mapping[str, str], *, may_change: bool) -> None:
        self._fixed = fixed
        self._may_change = may_change

    def language_model(self, settings: Settings) -> str:
        """Return the fields of the language model, and what may leave to it."""
        kept = "One is kept; it is never shown." if settings.llm_api_key else "None is kept."
        return "".join(
            (
                self._field("llm_base_url", "rr-llm-url", "Address", settings.llm_base_url or "",
                            "Of an OpenAI-compatible server. Empty: the small model inside this program."),
                self._field("llm_model", "rr-llm-model", "Model", settings.llm_model or ""),
                self._field("llm_api_key", "rr-llm-key", "Key", "", kept, kind="password"),
                self._choice("egress", "rr-egress", "What may leave to it", settings.egress or "", POLICIES),
                self._choice("approval", "rr-approval", "A plan", settings.approval, APPROVALS),
                self._endpoints(settings.egress_by_endpoint),
                _place("rr-preview"),
                element("p", self.button("rr-llm-test", "Test"), self.button("rr-llm-save", "Keep"), css="rr-bar-row"),
                _place("rr-llm-told"),
            )
        )  # fmt: skip

    def _endpoints(self, by_endpoint: Mapping[str, str]) -> str:
        """Return a row for each endpoint with a policy of its own, and an empty one for another."""
        off = self._off("egress_by_endpoint")
        rows = [
            element(
                "div",
                _void("input", type="text", value=address, aria_label="Address or host", placeholder="llm.example",
                      autocomplete="off", **off),
                _select(policy, POLICIES[1:] if address else POLICIES, aria_label="What may leave to it", **off),
                css="rr-endpoint",
            )
            for address, policy in (*sorted(by_endpoint.items()), ("", ""))
        ]  # fmt: skip
        hint = "For one address or host; goes before the choice above. An emptied address is forgotten."
        return element(
            "fieldset", element("legend", text("Other rules for single endpoints")), element("small", text(hint)),
            *rows, id="rr-endpoints", css="rr-field",
        )  # fmt: skip

    def models(self, names: Iterable[str], table: str) -> str:
        """Return every model with its state, and what can be done for one."""
        options = [(name, name) for name in names]
        chosen = element("label", text("Model"), for_="rr-card") + _select("", options, id="rr-card")
        hint = "Folder, file, zip, address or hf:OWNER/NAME. Empty: as its card says."
        return "".join(
            (
                table,
                element("div", chosen, css="rr-field"),
                self._field("", "rr-card-place", "Weights from", "", hint),
                element("p", self.button("rr-card-get", "Get its weights"),
                        self.button("rr-card-check", "Load it and try it once"), css="rr-bar-row"),
                _place("rr-models-told"),
            )
        )  # fmt: skip

    def reports(self, stored: str) -> str:
        """Return how many reports are stored, and how to store more."""
        label = "Reports: text, tables, PDF, DOCX, FHIR, HL7 or DICOM SR"
        files = _void("input", type="file", multiple="multiple", id="rr-reports-files", **self._off(""))
        store = self.button("rr-ingest", "Store them, patient identifiers taken out")
        field = element("div", element("label", text(label), for_="rr-reports-files"), files, css="rr-field")
        return stored + field + element("p", store, css="rr-bar-row") + _place("rr-reports-told")

    def pacs(self, servers: Mapping[str, PacsServer]) -> str:
        """Return the PACS that are set up, each with a button that asks it; credentials are not among it."""
        if not servers:
            words = "No PACS is set up. Name one in readingroom.toml as [pacs.NAME]; docs/pacs.md says how."
            return element("p", text(words), css="rr-hint")
        named = sorted(servers.items())
        rows = [(name, server.protocol, server.address, server.own_ae_title) for name, server in named]
        table = table_html(("name", "speaks", "address", "we are called"), rows, "PACS")
        buttons = [self.button("", f"Ask {name} whether it answers", data_pacs=name) for name, _ in named]
        return table + element("p", *buttons, css="rr-bar-row") + _place("rr-pacs-told")

    def button(self, name: str, words: str, **more: str) -> str:
        """Return a button; one that the person may not press says why."""
        given = {"id": name, **more} if name else more
        return element("button", text(words), type="button", css="rr-small", **given, **self._off(""))

    def _off(self, setting: str) -> dict[str, str]:
        """Return what makes a control unusable, with the reason; nothing where it is usable."""
        if not self._may_change:
            return {"disabled": "disabled", "title": NOT_YOURS}
        if origin := self._fixed.get(setting):
            return {"disabled": "disabled", "title": f"set by {origin}; change it there"}
        return {}

    def _field(self, setting: str, name: str, label: str, value: str, hint: str = "", kind: str = "text") -> str:
        given = _void(
            "input", type=kind, id=name, value=value, autocomplete="off", aria_describedby=f"{name}-hint",
            **self._off(setting),
        )  # fmt: skip
        return element("div", element("label", text(label), for_=name), given, self._hint(setting, name, hint),
                       css="rr-field")  # fmt: skip

    def _choice(self, setting: str, name: str, label: str, value: str, options: Iterable[tuple[str, str]]) -> str:
        given = _select(value, options, id=name, aria_describedby=f"{name}-hint", **self._off(setting))
        return element("div", element("label", text(label), for_=name), given, self._hint(setting, name, ""),
                       css="rr-field")  # fmt: skip

    def _hint(self, setting: str, name: str, hint: str) -> str:
        off = self._off(setting).get("title", "") if self._may_change else ""
        return element("small", text(off or hint), id=f"{name}-hint")


def section(title: str, name: str, content: str, *, is_open: bool = False) -> str:
    """Return a part that folds up."""
    state = {"open": "open"} if is_open else {}
    return element("details", element("summary", text(title)), element("div", content, id=name), css="rr-part", **state)


def _select(value: str, options: Iterable[tuple[str, str]], **more: str) -> str:
    rows = [
        element("option", text(words), value=code, **({"selected": "selected"} if code == value else {}))
        for code, words in options
    ]
    return element("select", *rows, **more)


def _place(name: str) -> str:
    """Return where something will be told."""
    return element("div", id=name)


def _void(tag: str, **attributes: str) -> str:
    return element(tag, **attributes).removesuffix(f"</{tag}>")
