import base64
import gzip
import io
import json
import tarfile
import zipfile
from datetime import date
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from knowledge.errors import BadInputError, BadRecordError, NotFoundError
from knowledge.readers.formats import read_reports
from knowledge.readers.incoming import Incoming
from knowledge.readers.openi import read_openi, read_openi_headings
from knowledge.report import Report

OPENI = """<?xml version="1.0" encoding="utf-8"?><eCitation><uId id="CXR{n}"/>
<licenseURL>http://example.org/by-nc-nd</licenseURL><title>Collection</title>
<AbstractText Label="INDICATION">cough</AbstractText><AbstractText Label="FINDINGS">{findings}</AbstractText>
<AbstractText Label="IMPRESSION">{impression}</AbstractText><MeSH><major>Canaryheading/lung</major></MeSH>
<parentImage id="CXR{n}_IM-1"/></eCitation>"""


def read(path: Path, **options: object) -> tuple[list[Report], list[Incoming], list[str]]:
    records = list(read_reports(path, **options)[0])  # type: ignore[arg-type]
    incoming = [record for record in records if isinstance(record, Incoming)]
    reports = [
        record.report if isinstance(record, Incoming) else record
        for record in records
        if not isinstance(record, BadRecordError)
    ]
    return reports, incoming, [str(record) for record in records if isinstance(record, BadRecordError)]


def openi_tgz(path: Path, count: int = 3, **extra: bytes) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        files = {
            f"{n}.xml": OPENI.format(n=n, findings="The heart is large.", impression="Cardiomegaly.").encode()
            for n in range(1, count + 1)
        }
        for name, data in {**files, **{f"{key}.xml": value for key, value in extra.items()}}.items():
            info = tarfile.TarInfo(f"ecgen/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_openi_gives_sections_and_never_the_headings(tmp_path: Path) -> None:
    path = openi_tgz(tmp_path / "r.tgz", count=11)

    reports, _, bad = read(path)

    assert [report.id for report in reports] == [f"CXR{n}" for n in range(1, 12)]
    assert not bad
    first = reports[0]
    assert [section.name for section in first.sections] == ["indication", "findings", "impression"]
    assert first.section_text("findings") == "The heart is large."
    assert first.images == ("CXR1_IM-1",)
    assert "anaryheading" not in first.model_dump_json().lower()
    assert read_openi_headings(path)["CXR1"] == {"canaryheading"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (OPENI.format(n=9, findings="x", impression="y").encode()[:300], "not well-formed XML"),
        ("<eCitation>\xe9</eCitation>".encode("latin-1"), "not well-formed XML"),
        (b"<other/>", "must be an Open-i <eCitation>"),
        (OPENI.format(n=9, findings=" ", impression="").replace("cough", "").encode(), "holds no text"),
        (b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><eCitation>&c;</eCitation>', "defines XML entities"),
        (b"", "not well-formed XML"),
    ],
    ids=["truncated", "wrong encoding", "other xml", "empty", "entity bomb", "no bytes"],
)
def test_a_bad_xml_is_listed_and_the_others_are_read(tmp_path: Path, data: bytes, reason: str) -> None:
    reports, _, bad = read(openi_tgz(tmp_path / "r.tgz", 2, broken=data))

    assert [report.id for report in reports] == ["CXR1", "CXR2"]
    assert len(bad) == 1
    assert reason in bad[0]
    assert "broken.xml" in bad[0]


def test_a_truncated_archive_is_one_clear_error(tmp_path: Path) -> None:
    path = openi_tgz(tmp_path / "r.tgz", 40)
    path.write_bytes(path.read_bytes()[:-200])

    with pytest.raises(BadInputError, match=r"must be a readable .*archive; it is damaged"):
        list(read_openi(path))


def test_a_zip_bomb_is_refused_before_it_unpacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowledge.readers.archive.MAX_ARCHIVE_BYTES", 50_000)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "0" * 60_000)

    with pytest.raises(BadInputError, match="would unpack to"):
        read(path)


def test_a_report_of_50_mb_is_listed_and_not_read(tmp_path: Path) -> None:
    (tmp_path / "huge.txt").write_bytes(b"The heart is large. " * 2_600_000)
    (tmp_path / "small.txt").write_text("The heart is large.")

    reports, _, bad = read(tmp_path)

    assert [report.text for report in reports] == ["The heart is large."]
    assert bad == ["huge.txt is 52 MB; a report may have 50 MB: split it if it holds several"]


def test_a_gzip_that_lies_about_its_content_ends_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "r.tgz"
    path.write_bytes(gzip.compress(b"no tar inside"))

    with pytest.raises(BadInputError, match="damaged"):
        read(path)


def test_plain_text_is_split_at_its_headings(tmp_path: Path) -> None:
    (tmp_path / "Doe Jane.txt").write_text(
        "CT CHEST\r\n\r\nHISTORY: cough\r\nFINDINGS:\r\nSmall effusion.\r\n\r\nIMPRESSION\r\n1. Effusion."
    )

    reports, _, _ = read(tmp_path, source="ward")

    assert reports[0].section_text("findings") == "Small effusion."
    assert reports[0].section_text("impression") == "1. Effusion."
    assert reports[0].modality == "CT"
    assert reports[0].body_part == "chest"
    assert reports[0].id.startswith("ward-")
    assert "Doe" not in reports[0].id


@pytest.mark.parametrize(
    ("data", "reason"),
    [("Überlauf".encode("cp1252"), "is no utf-8 text"), (b"abc\x00def", "zero bytes"), (b"123 456", "holds no text")],
)
def test_a_text_in_another_encoding_says_so(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "a.txt").write_bytes(data)

    reports, _, bad = read(tmp_path)

    assert not reports
    assert reason in bad[0]


def test_the_encoding_can_be_given(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Herz vergrößert".encode("cp1252"))
    (tmp_path / "b.txt").write_bytes("Herz vergrößert".encode("utf-16"))

    assert [report.text for report in read(tmp_path, encoding="cp1252")[0]] == ["Herz vergrößert"] * 2
    with pytest.raises(BadInputError, match="encoding must be a name Python knows"):
        read(tmp_path, encoding="cp9999x")


COLUMNS = {"text": "report", "id": "key", "study_date": "day", "patient": "pid"}


def test_csv_with_mapped_columns(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(
        'key;day;pid;report\nA1;2024-05-06;77;"FINDINGS: Two\nlines; one cell."\nA2;;78;Clear.\nA3;soon;79;Clear.\n',
        encoding="utf-8-sig",
    )

    reports, incoming, bad = read(path, columns=COLUMNS, source="ris")

    assert [report.id for report in reports] == ["A1", "A2"]
    assert reports[0].study_date == date(2024, 5, 6)
    assert reports[0].section_text("findings") == "Two\nlines; one cell."
    assert incoming[0].identifiers == ("77",)
    assert bad == ["r.csv row 4: study_date must look like 2026-11-23 or 20261123, got 'soon'"]


def test_csv_without_the_mapped_column_names_those_it_has(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("id,findings\n1,Clear.\n")

    with pytest.raises(
        BadInputError, match=r"r\.csv must have column 'key', 'report', 'day', 'pid'; it has 'id', 'findings'"
    ):
        read(path, columns=COLUMNS)
    with pytest.raises(BadInputError, match="columns must say which column holds what"):
        read(path)
    with pytest.raises(BadInputError, match="columns must say where 'text'"):
        read(path, columns={"id": "id"})
    with pytest.raises(BadInputError, match="columns must map fields"):
        read(path, columns={"findigs": "findings"})


def test_jsonl_lists_its_bad_lines(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    lines = [
        '{"f": "Effusion.", "i": "x"}',
        "{broken",
        "[1]",
        '{"f": ""}',
        '{"i": "only"}',
        '{"f": "Clear.", "i": null}',
    ]
    path.write_text("\n".join(lines))

    reports, _, bad = read(path, columns={"findings": "f"})

    assert [report.section_text("findings") for report in reports] == ["Effusion.", "Clear."]
    assert ["row 2" in bad[0], "row 3" in bad[1], "row 4" in bad[2], "row 5 lacks 'f'" in bad[3]] == [True] * 4


def test_an_id_that_can_not_be_cited_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("id,t\na b,Clear.\n")

    assert "must have no blank" in read(tmp_path / "r.csv", columns={"id": "id", "text": "t"})[2][0]


HL7 = (
    "MSH|^~\\&|RIS|H|X|Y|20240506||ORU^R01|M1|P|2.5\r"
    "PID|1||4711^^^H^MR||DOE^JANE^A||19500102|F|||||||||ACC-9\r"
    "OBR|1|P1|F77|71020^CHEST XRAY PA^L|||20240506101500|||||||||WELBY^MARCUS\r"
    "OBX|1|TX|71020&GDT^CHEST||The heart is large.\\.br\\No effusion \\T\\ no mass.\r"
    "OBX|2|TX|71020&GDT^CHEST||Seen by Marcus Welby.\r"
    "OBX|3|TX|71020&IMP^CHEST||Cardiomegaly.\r"
)


def test_hl7_oru_with_framing_and_escapes(tmp_path: Path) -> None:
    path = tmp_path / "m.hl7"
    path.write_bytes(b"\x0b" + HL7.encode() + b"\x1c\r\x0b" + HL7.replace("F77", "F78").encode() + b"\x1c\r")

    reports, incoming, bad = read(path)

    assert not bad
    assert len({report.id for report in reports}) == 2
    assert reports[0].section_text("findings") == "The heart is large.\nNo effusion & no mass.\nSeen by Marcus Welby."
    assert reports[0].section_text("impression") == "Cardiomegaly."
    assert (reports[0].modality, reports[0].body_part, reports[0].study_date) == ("DX", "chest", date(2024, 5, 6))
    assert "DOE JANE A" in incoming[0].identifiers
    assert "F77" not in reports[0].id


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HL7.replace("ORU^R01", "ADT^A01"), "must be an ORU^R01 message, got 'ADT^A01'"),
        (HL7.split("OBR", maxsplit=1)[0], "has no OBR segment"),
        (HL7.split("OBX", maxsplit=1)[0], "holds no text in its OBX segments"),
        ("PID|1", "must begin with an MSH segment"),
    ],
)
def test_a_bad_hl7_message_is_listed(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "m.hl7").write_text(text)

    reports, _, bad = read(tmp_path)

    assert not reports
    assert reason in bad[0]


def fhir_bundle() -> dict[str, object]:
    return {
        "resourceType": "Bundle",
        "entry": [
            {
                "resource": {
                    "resourceType": "Patient",
                    "id": "p1",
                    "name": [{"family": "Doe", "given": ["Jane"]}],
                    "identifier": [{"value": "4711"}],
                }
            },
            {
                "resource": {
                    "resourceType": "Observation",
                    "id": "o1",
                    "code": {"text": "Heart"},
                    "valueString": "Enlarged.",
                }
            },
            {
                "resource": {
                    "resourceType": "DiagnosticReport",
                    "id": "d1",
                    "code": {"text": "CT chest"},
                    "subject": {"reference": "Patient/p1"},
                    "effectiveDateTime": "2024-05-06T10:00:00Z",
                    "result": [{"reference": "Observation/o1"}],
                    "conclusion": "Cardiomegaly.",
                }
            },
        ],
    }


def test_fhir_bundle_resolves_patient_and_observations(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(json.dumps(fhir_bundle()))

    reports, incoming, bad = read(tmp_path)

    assert not bad
    assert reports[0].section_text("findings") == "Heart: Enlarged."
    assert reports[0].section_text("impression") == "Cardiomegaly."
    assert (reports[0].modality, reports[0].body_part, reports[0].study_date) == ("CT", "chest", date(2024, 5, 6))
    assert incoming[0].identifiers == ("Jane Doe", "4711")


def test_fhir_presented_form_and_html(tmp_path: Path) -> None:
    text = base64.b64encode(b"FINDINGS: Small effusion.").decode()
    plain = {
        "resourceType": "DiagnosticReport",
        "id": "a",
        "presentedForm": [{"contentType": "text/plain", "data": text}],
    }
    markup = {
        "resourceType": "DiagnosticReport",
        "id": "b",
        "text": {"div": "<div><p>Heart &amp; lungs normal.</p></div>"},
    }
    (tmp_path / "r.ndjson").write_text(json.dumps(plain) + "\n" + json.dumps(markup))

    reports, _, _ = read(tmp_path, format_name="fhir")

    assert [report.text for report in reports] == ["FINDINGS: Small effusion.", "Heart & lungs normal."]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"resourceType": "DiagnosticReport", ', "is no JSON"),
        ('{"resourceType": "Patient"}', "holds no FHIR DiagnosticReport"),
        ('{"resourceType": "DiagnosticReport", "id": "x"}', "holds no text"),
        ('{"resourceType": "DiagnosticReport", "presentedForm": [{"data": "%%%"}]}', "is no base64"),
        ('{"resourceType": "DiagnosticReport", "result": [3]}', "does not have the shape of FHIR R4"),
    ],
)
def test_a_bad_fhir_resource_is_listed(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "r.json").write_text(text)

    reports, _, bad = read(tmp_path)

    assert not reports
    assert reason in bad[0]


def code(meaning: str, value: str = "1") -> list[Dataset]:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return [item]


def content(kind: str, meaning: str, **values: object) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType, item.ConceptNameCodeSequence = "CONTAINS", kind, code(meaning)
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def write_sr(path: Path, items: list[Dataset], sop_class: str = "1.2.840.10008.5.1.4.1.1.88.11") -> None:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid(entropy_srcs=[path.name])
    dataset.PatientName, dataset.PatientID, dataset.StudyDate = "Doe^Jane", "4711", "20240506"
    dataset.StudyDescription, dataset.Modality = "CT Chest", "SR"
    dataset.ConceptNameCodeSequence = code("Diagnostic imaging report")
    dataset.ContentSequence = items
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)


def test_dicom_sr_basic_text(tmp_path: Path) -> None:
    findings = content(
        "CONTAINER", "Findings", ContentSequence=[content("TEXT", "Finding", TextValue="Small effusion.")]
    )
    impression = content(
        "CONTAINER", "Impressions", ContentSequence=[content("TEXT", "Impression", TextValue="Effusion.")]
    )
    write_sr(tmp_path / "a.dcm", [findings, impression])

    reports, incoming, bad = read(tmp_path)

    assert not bad
    assert reports[0].section_text("findings") == "Small effusion."
    assert reports[0].section_text("impression") == "Effusion."
    assert (reports[0].modality, reports[0].body_part, reports[0].study_date) == ("CT", "chest", date(2024, 5, 6))
    assert incoming[0].identifiers == ("Doe Jane", "4711")


def test_dicom_sr_tid_1500_measurements(tmp_path: Path) -> None:
    measured = Dataset()
    measured.NumericValue, measured.MeasurementUnitsCodeSequence = "12.5", code("millimeter", "mm")
    group = content(
        "CONTAINER",
        "Measurement Group",
        ContentSequence=[
            content("CODE", "Finding", ConceptCodeSequence=code("Nodule")),
            content("NUM", "Length", MeasuredValueSequence=[measured]),
        ],
    )
    write_sr(
        tmp_path / "m.dcm",
        [content("CONTAINER", "Imaging Measurements", ContentSequence=[group])],
        "1.2.840.10008.5.1.4.1.1.88.33",
    )

    reports, _, bad = read(tmp_path)

    assert not bad
    assert "Nodule." in reports[0].text
    assert "Length: 12.5 mm." in reports[0].text


def test_a_dicom_image_or_cut_file_is_no_report(tmp_path: Path) -> None:
    write_sr(tmp_path / "a.dcm", [content("TEXT", "Finding", TextValue="x")], sop_class="1.2.840.10008.5.1.4.1.1.2")
    (tmp_path / "b.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\x01\x02")
    (tmp_path / "c.dcm").write_bytes(b"hello")

    reports, _, bad = read(tmp_path)

    assert not reports
    assert "must be a DICOM structured report" in bad[0]
    assert len(bad) == 3


def write_docx(path: Path, body: str) -> None:
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "word/document.xml", f'<?xml version="1.0"?><w:document {space}><w:body>{body}</w:body></w:document>'
        )


def test_docx_paragraphs_and_tables(tmp_path: Path) -> None:
    write_docx(
        tmp_path / "r.docx",
        "<w:p><w:r><w:t>FINDINGS: Small </w:t></w:r><w:r><w:t>effusion.</w:t></w:r></w:p>"
        "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>IMPRESSION: Effusion.</w:t></w:r></w:p></w:tc></w:tr></w:tbl>",
    )

    for path in (tmp_path, tmp_path / "r.docx"):
        report = read(path)[0][0]
        assert report.section_text("findings") == "Small effusion."
        assert report.section_text("impression") == "Effusion."


def test_docx_bombs_and_damage_are_listed(tmp_path: Path) -> None:
    write_docx(tmp_path / "big.docx", "<w:p><w:r><w:t>" + "a" * 60_000_000 + "</w:t></w:r></w:p>")
    (tmp_path / "cut.docx").write_bytes((tmp_path / "big.docx").read_bytes()[:500])

    reports, _, bad = read(tmp_path)

    assert not reports
    assert "unpacks to more than 50 MB" in bad[0]
    assert "is no readable Word document" in bad[1]


def pdf(text: str) -> bytes:
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start


def test_pdf_text(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("FINDINGS: Small effusion."))
    (tmp_path / "b.pdf").write_bytes(pdf(""))
    (tmp_path / "c.pdf").write_bytes(pdf("x")[:150])

    reports, _, bad = read(tmp_path)

    assert [report.section_text("findings") for report in reports] == ["Small effusion."]
    assert "holds no text: it is a scan" in bad[0]
    assert "c.pdf" in bad[1]


def test_a_path_that_can_not_be_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="does not exist"):
        read(tmp_path / "nothing")
    with pytest.raises(BadInputError, match="no file of a known format"):
        read(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "b.pdf").write_bytes(b"x")
    with pytest.raises(BadInputError, match="several formats"):
        read(tmp_path)
    with pytest.raises(BadInputError, match="format must be one of"):
        read(tmp_path, format_name="word")


def test_what_is_read_twice_has_the_same_ids(tmp_path: Path) -> None:
    (tmp_path / "m.hl7").write_text(HL7)

    assert [report.id for report in read(tmp_path)[0]] == [report.id for report in read(tmp_path)[0]]


@pytest.mark.parametrize(
    ("name", "said"), [("reportsi.dcm", "Report Text: Enter text"), ("test-SR.dcm", "A mass of\nDiameter: 3 cm.")]
)
def test_real_dicom_sr_files_of_pydicom(name: str, said: str) -> None:
    from pydicom.data import get_testdata_file

    path = get_testdata_file(name, download=False)
    assert path is not None
    reports, incoming, bad = read(Path(path), format_name="dicom-sr", source="pydicom")

    assert not bad
    assert said in reports[0].text
    assert all("^" not in text for text in incoming[0].identifiers)
