"""Meshes, documents and FHIR: closed surfaces in mm, every sentence with its evidence, markup shown as text."""

from __future__ import annotations

import json

import numpy as np
import pytest
import trimesh

from tools.errors import UnsupportedError
from tools.exporting.mesh import surface_of
from tools.imaging.volume import Volume
from tools.places import Place, Region, Span
from tools.results import Claim, Draft
from tools.testing import chest_phantom
from tools.verbs.export import export
from tools.workspace import Artifact, Provenance

HOSTILE = "<script>alert(1)</script> & **bold** — σ ≥ 3 漢"


@pytest.fixture
def drafted(workspace):
    draft = Draft(
        summary="A draft.",
        findings=(Claim(text="Volume of the lungs: 2,430 ml.", evidence=("s2", "img1"), kind="measured"),),
        impression=(Claim(text=HOSTILE, evidence=("s2",), kind="measured"),),
        similar=(Claim(text="A stored report says: “clear”.", evidence=("CXR7",), kind="quoted"),),
    )
    provenance = Provenance(tool="draft_report", tool_version="1", params={}, inputs=("s2",))
    workspace.add_artifact(
        Artifact(
            id="s5",
            kind="report",
            summary=draft.summary,
            data=draft.model_dump(mode="json"),
            marks=("opinion",),
            provenance=provenance,
        )
    )
    return workspace


@pytest.fixture
def located(drafted):
    """The draft with places, the same evidence at two places, and a sentence that was held back."""
    seen = [
        Region(image="img1", mask="s1", target="lungs", plane="axial", slice_number=n, slice_count=20) for n in (7, 9)
    ]
    first, second = (Place(evidence="s2", region=region) for region in seen)
    span = Place(evidence="CXR7", span=Span(report="CXR7", section="findings", start=10, end=30))
    draft = Draft(
        summary="A draft.",
        findings=(
            Claim(text="Volume: 2,430 ml.", evidence=("s2", "img1"), kind="measured", where=(first,)),
            Claim(text="Longest diameter: 90.1 mm.", evidence=("s2",), kind="measured", where=(second,)),
        ),
        similar=(Claim(text="A stored report: “clear”.", evidence=("CXR7",), kind="quoted", where=(span,)),),
        limitations=(Claim(text=HOSTILE, evidence=("s2",), kind="general", where=(first,)),),
        held_back=("The lungs are normal. — held back: no tool judged it",),
    )
    artifact = drafted.artifact("s5")
    drafted.add_artifact(artifact.model_copy(update={"data": draft.model_dump(mode="json")}))
    return drafted


@pytest.mark.parametrize("form", ["stl", "obj"])
def test_a_mesh_is_closed_and_lies_in_lps_millimetres(make_ctx, workspace, form: str) -> None:
    ctx = make_ctx()
    (name,) = export(ctx, artifacts=["s1"], format=form).files
    mesh = trimesh.load_mesh(ctx.folder / name)
    _, lungs = chest_phantom()
    voxels_ml = lungs.sum() * 45 / 1000
    assert mesh.is_watertight
    assert mesh.volume / 1000 == pytest.approx(voxels_ml, rel=0.03)
    assert mesh.volume / 1000 < voxels_ml
    world = np.argwhere(lungs) * [3.0, 3.0, 5.0] * [-1, -1, 1]  # the phantom is RAS+, a mesh LPS+
    low, high = mesh.bounds
    half = np.array([1.5, 1.5, 2.5])
    assert np.allclose(low, world.min(axis=0) - half, atol=1e-3)
    assert np.allclose(high, world.max(axis=0) + half, atol=1e-3)


def test_every_mask_gives_a_closed_surface() -> None:
    inside = np.random.default_rng(0).random((14, 13, 12)) > 0.6  # voxels that touch at edges and at the border
    for sign in (1.0, -1.0):  # right- and left-handed grids
        grid = Volume(inside.astype(np.uint8), np.diag([sign, 1.0, 2.0, 1.0]), spacing_source="NIfTI header")
        surface = surface_of(inside, grid)
        assert surface.is_watertight
        assert surface.volume > 0


def test_no_spacing_no_mesh() -> None:
    inside = np.ones((4, 4, 4), bool)
    with pytest.raises(UnsupportedError, match="no physical spacing"):
        surface_of(inside, Volume(inside.astype(np.uint8), np.eye(4)))


def test_a_draft_as_pdf_has_evidence_notice_and_mark_on_it(make_ctx, drafted) -> None:
    from pypdf import PdfReader

    ctx = make_ctx()
    result = export(ctx, artifacts=["s5"], format="pdf")
    pages = [page.extract_text() for page in PdfReader(ctx.folder / "s5.pdf").pages]
    text = " ".join(" ".join(pages).split())
    assert "Volume of the lungs: 2,430 ml. 1, 2" in text
    assert "<script>alert(1)</script> & **bold**" in text
    assert "CXR7: a stored report of another patient" in text
    assert all("Research use only. Not a medical device. OPINION." in page for page in pages)
    assert (
        result.notes == ("The PDF's font cannot show 2 character(s) (σ 漢): they read '?'.",) or "漢" in result.notes[0]
    )


def test_a_draft_as_docx_shows_markup_as_text(make_ctx, drafted) -> None:
    from docx import Document

    ctx = make_ctx()
    export(ctx, artifacts=["s5"], format="docx")
    document = Document(str(ctx.folder / "s5.docx"))
    text = "\n".join(paragraph.text for paragraph in document.paragraphs)
    assert f"{HOSTILE} 1" in text
    assert "1. s2: phantom: The phantom's lungs were measured.; mock" in text
    assert document.sections[0].footer.paragraphs[0].text == "Research use only. Not a medical device. OPINION."


def test_each_number_in_a_pdf_leads_to_its_evidence(make_ctx, located) -> None:
    """Read back with pypdf: where a link points is where the line of evidence stands."""
    from pypdf import PdfReader

    ctx = make_ctx()
    export(ctx, artifacts=["s5"], format="pdf")
    reader = PdfReader(ctx.folder / "s5.pdf")
    links = [a.get_object() for page in reader.pages for a in page.get("/Annots", [])]
    assert len(links) == 5  # two, one, one, one
    lines = {n: _height_of(reader, f"{n}. ") for n in (1, 2, 3, 4)}
    tops = [float(link["/Dest"][3]) for link in links]  # page, /XYZ, left, top, zoom
    for link, top, number in zip(links, tops, (1, 2, 3, 4, 1), strict=True):
        assert link["/Subtype"] == "/Link"
        assert 0 <= top - lines[number] < 15, number
    text = " ".join(" ".join(page.extract_text() for page in reader.pages).split())
    assert "1. s2: phantom: The phantom's lungs were measured.; mock; img1, axial slice 7 of 20" in text
    assert "4. CXR7: a stored report of another patient; CXR7, findings, characters 10 to 30" in text
    assert "Held back" in text


def _height_of(reader, start: str) -> float:
    """Return how high the line of evidence stands that begins so."""
    found: list[float] = []

    def visit(text: str, page_matrix: list[float], text_matrix: list[float], *_: object) -> None:
        if text.strip().startswith(start):
            found.append(page_matrix[5] + text_matrix[5])

    for page in reader.pages:
        page.extract_text(visitor_text=visit)
    return found[-1]


def test_each_number_in_a_word_file_leads_to_its_evidence(make_ctx, located) -> None:
    """Read back from the file's own XML, without the library that wrote it."""
    import zipfile
    from xml.etree import ElementTree as ET

    ctx = make_ctx()
    export(ctx, artifacts=["s5"], format="docx")
    with zipfile.ZipFile(ctx.folder / "s5.docx") as file:
        root = ET.fromstring(file.read("word/document.xml"))
    w = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
    marks = {}
    for paragraph in root.iter(f"{w}p"):
        for mark in paragraph.iter(f"{w}bookmarkStart"):
            marks[mark.get(f"{w}name")] = "".join(t.text for t in paragraph.iter(f"{w}t"))
    links = [
        (link.get(f"{w}anchor"), "".join(t.text for t in link.iter(f"{w}t"))) for link in root.iter(f"{w}hyperlink")
    ]
    assert [number for _, number in links] == ["1", "2", "3", "4", "1"]
    assert all(marks[anchor].startswith(f"{number}. ") for anchor, number in links)
    assert "axial slice 7 of 20" in marks["evidence_1"]
    assert "characters 10 to 30" in marks["evidence_4"]


def test_each_number_on_a_web_page_leads_to_its_evidence_and_nothing_runs(make_ctx, located) -> None:
    from html.parser import HTMLParser

    ctx = make_ctx()
    export(ctx, artifacts=["s5"], format="html")
    page = (ctx.folder / "s5.html").read_text(encoding="utf-8")
    tags: list[tuple[str, dict[str, str | None]]] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append((tag, dict(attrs)))
    parser.feed(page)
    ids = {attrs["id"] for _, attrs in tags if "id" in attrs}
    links = [attrs["href"] for tag, attrs in tags if tag == "a"]
    assert [link for link in links if link.startswith("#evidence")] == [f"#evidence-{n}" for n in (1, 2, 3, 4, 1)]
    assert all(link.startswith("#") and link[1:] in ids for link in links)
    assert not {"script", "iframe", "link", "object"} & {tag for tag, _ in tags}
    assert all((attrs["src"] or "").startswith("data:image/png;base64,") for tag, attrs in tags if tag == "img")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "default-src 'none'" in page
    assert "The lungs are normal. — held back: no tool judged it" in page


def test_measurements_as_a_document(make_ctx) -> None:
    from docx import Document

    ctx = make_ctx()
    export(ctx, artifacts=["s2"], format="docx")
    (table,) = Document(str(ctx.folder / "s2.docx")).tables
    assert [cell.text for cell in table.rows[0].cells][:3] == ["Structure", "Quantity", "Value"]
    assert table.rows[1].cells[0].text == "lungs"
    assert table.rows[1].cells[2].text.endswith(" ml")


def test_an_attached_report_is_copied_word_for_word(make_ctx, workspace, tmp_path) -> None:
    from docx import Document

    from tools.facts import AttachmentFacts

    (tmp_path / "prior.txt").write_text("FINDINGS: Lungs clear. <b>x</b>\nIMPRESSION: Normal.")
    workspace.add_attachment(tmp_path / "prior.txt", AttachmentFacts(id="rep1", kind="report"))
    ctx = make_ctx()
    export(ctx, artifacts=["rep1"], format="docx")
    text = [p.text for p in Document(str(ctx.folder / "rep1.docx")).paragraphs]
    assert "FINDINGS: Lungs clear. <b>x</b>" in text
    assert any("nothing in it was checked" in line for line in text)


def test_fhir_is_valid_and_points_from_report_to_observation_to_value(make_ctx, drafted) -> None:
    from fhir.resources.R4B.bundle import Bundle

    ctx = make_ctx()
    export(ctx, artifacts=["s5"], format="fhir")
    data = json.loads((ctx.folder / "s5-fhir.json").read_text())
    Bundle.model_validate(data)
    by_url = {entry["fullUrl"]: entry["resource"] for entry in data["entry"]}
    report = next(r for r in by_url.values() if r["resourceType"] == "DiagnosticReport")
    observation = by_url[report["result"][0]["reference"]]
    assert report["status"] == "preliminary"
    assert report["conclusion"] == HOSTILE
    assert "&lt;script&gt;" in report["text"]["div"]
    assert [tag["code"] for tag in report["meta"]["tag"]] == ["research-use", "opinion"]
    assert observation["valueQuantity"]["code"] == "mL"
    assert observation["valueQuantity"]["value"] == drafted.artifact("s2").data["rows"][0]["value"]
    assert observation["bodySite"]["coding"][0]["code"] == "39607008"


def test_fhir_names_the_study_and_no_patient(make_ctx, workspace, tmp_path) -> None:
    from fhir.resources.R4B.bundle import Bundle

    from tests.phantoms import CANARY_ID, phantom_volume, write_dicom_series
    from tools.facts import AttachmentFacts
    from tools.results import Measurement, Measurements

    write_dicom_series(tmp_path / "series", phantom_volume())
    workspace.add_attachment(tmp_path / "series", AttachmentFacts(id="img9", modality="CT", dims=3))
    row = Measurement(
        target="liver", quantity="mean_intensity", value=55.0, unit="HU", image="img9", mask="", spacing_source="",
        method="phantom",
    )  # fmt: skip
    result = Measurements(summary="Measured.", rows=(row,))
    workspace.add_artifact(
        Artifact(
            id="s6",
            kind="measurements",
            summary="Measured.",
            data=result.model_dump(mode="json"),
            provenance=Provenance(tool="t", tool_version="1", params={}, inputs=()),
        )
    )
    ctx = make_ctx()
    export(ctx, artifacts=["s6"], format="fhir")
    text = (ctx.folder / "s6-fhir.json").read_text()
    Bundle.model_validate(json.loads(text))
    assert "urn:oid:1.2.3.4" in text
    assert CANARY_ID not in text
    assert "CANARY" not in text


@pytest.mark.parametrize(
    ("artifact", "form", "said"),
    [
        ("s2", "dicom-seg", "dicom-seg holds masks"),
        ("s2", "stl", "stl holds masks as surfaces"),
        ("s1", "pdf", "documents hold reports, measurements and comparisons"),
        ("s1", "fhir", "fhir holds reports, measurements and comparisons"),
        ("s3", "dicom-sr", "dicom-sr holds measurements and reports"),
    ],
)
def test_what_a_format_cannot_hold_is_said(make_ctx, artifact: str, form: str, said: str) -> None:
    with pytest.raises(UnsupportedError, match=said):
        export(make_ctx(), artifacts=[artifact], format=form)
