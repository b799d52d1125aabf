import pytest

from tools.errors import BadInputError, NotFoundError
from tools.imaging.read import list_series, read_image


@pytest.mark.parametrize("ask", [read_image, list_series])
def test_nothing_there(tmp_path, ask):
    with pytest.raises(NotFoundError, match=r"'none.nii.gz' does not exist"):
        ask(tmp_path / "none.nii.gz")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.dcm", b"Dear colleague, please find attached the scan.\n", "named .dcm but is not DICOM .it is text"),
        ("x.dcm", "Grüße aus der Radiologie, ".encode() * 20, "named .dcm but is not DICOM .it is text"),
        ("x.dcm", bytes(range(200, 256)) * 10, "named .dcm but is not DICOM .it is of an unknown kind"),
        ("x.nii", b"hello", "named .nii but is not NIfTI .it is text"),
        ("x.png", b"%PDF-1.7 ...", "named .png but is not PNG .it is a PDF"),
        ("x.zip", b"Rar!\x1a\x07", "named .zip but is not zip .it is a RAR archive"),
        ("report.pdf", b"%PDF-1.7 ...", "'report.pdf' is a PDF, which is no image we read"),
        ("x.nrrd", b"NRRD0004\n", "is an NRRD image"),
        ("x.tif", b"II*\0abcdefgh", "is a TIFF picture"),
        ("x.nii.gz", b"\x1f\x8bxx", "damaged gzip"),
        ("x.nii.gz", b"", "is empty"),
        ("x.dcm", b"", "is empty"),
        ("notes", b"hello", "'notes' is text"),
    ],
)
def test_what_is_no_image_is_told_in_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInputError, match=message) as refusal:
        read_image(tmp_path / name)
    assert "\n" not in str(refusal.value)
    assert repr(name) in str(refusal.value)
