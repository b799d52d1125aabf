"""Phantoms with a known answer, written as DICOM: an asymmetric box world, plain and enhanced series.

The writer does its own arithmetic (no code of ours), so that it can contradict the reader.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import (
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

from tools.imaging.volume import Volume

CANARY_NAME = "CANARY^PATIENT"
CANARY_ID = "CANARY-4711"
CANARY_BIRTH_DATE = "19010203"

SOP_CLASSES = {"CT": CTImageStorage, "MR": MRImageStorage, "DX": DigitalXRayImageStorageForPresentation}


def asymmetric_array(shape: tuple[int, int, int] = (7, 6, 5)) -> np.ndarray:
    """int16, every voxel different: no flip, permutation or shift maps it onto itself."""
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape) - 100


def oblique_affine(
    spacing: tuple[float, float, float] = (0.7, 0.9, 2.5),
    angles_deg: tuple[float, float, float] = (12.0, -7.0, 20.0),
    origin: tuple[float, float, float] = (-31.0, 17.5, 240.25),
) -> np.ndarray:
    """float64 (4, 4) RAS+ mm: axes near L, P, S (as an axial scan lies), rotated by small angles."""
    x, y, z = np.radians(angles_deg)
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_y @ about_x @ np.diag([-1.0, -1.0, 1.0]) @ np.diag(spacing)
    affine[:3, 3] = origin
    return affine


def phantom_volume(
    shape: tuple[int, int, int] = (7, 6, 5), affine_ras: np.ndarray | None = None, modality: str = "CT"
) -> Volume:
    """The asymmetric phantom on an oblique grid, int16 HU."""
    affine = oblique_affine() if affine_ras is None else affine_ras
    return Volume(
        asymmetric_array(shape),
        affine,
        spacing_source="PixelSpacing",
        modality=modality,
        body_part="CHEST",
        units="HU" if modality == "CT" else "",
    )


def base_dataset(modality: str = "CT", **elements: object) -> FileDataset:
    """A dataset with patient canaries and acquisition facts, without geometry and pixels."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = SOP_CLASSES.get(modality, CTImageStorage)
    dataset.SOPInstanceUID = generate_uid()
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = CANARY_NAME, CANARY_ID, CANARY_BIRTH_DATE
    dataset.StudyDate, dataset.InstitutionName, dataset.AccessionNumber = "20260102", "CANARY HOSPITAL", "CANARY-ACC"
    dataset.ReferringPhysicianName = "CANARY^DOCTOR"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.4", "1.2.3.4.5"
    dataset.FrameOfReferenceUID, dataset.SeriesNumber = "1.2.3.4.9", 2
    dataset.Modality, dataset.BodyPartExamined, dataset.SeriesDescription = modality, "CHEST", f"{modality} phantom"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    return dataset


def set_pixels(dataset: Dataset, rows: np.ndarray, *, bits_stored: int = 16, photometric: str = "MONOCHROME2") -> None:
    """Store (row, column), (frame, row, column) or (row, column, 3) integers as native pixel data."""
    colour = rows.shape[-1] == 3 and rows.dtype == np.uint8 and rows.ndim == 3
    if rows.ndim == 3 and not colour:
        dataset.NumberOfFrames = rows.shape[0]
    dataset.Rows, dataset.Columns = rows.shape[:2] if colour else rows.shape[-2:]
    dataset.SamplesPerPixel = 3 if colour else 1
    if colour:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = rows.dtype.itemsize * 8
    dataset.BitsStored = min(bits_stored, dataset.BitsAllocated)
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(rows.dtype.kind == "i")
    data = rows.astype(rows.dtype.newbyteorder("<")).tobytes()
    dataset.add_new(0x7FE00010, "OW" if dataset.BitsAllocated == 16 else "OB", data + b"\0" * (len(data) % 2))


def save(dataset: FileDataset, path: Path) -> Path:
    """Write a DICOM file."""
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path, enforce_file_format=True)
    return path


def slice_geometry(affine_ras: np.ndarray, k: int) -> dict[str, list[float]]:
    """ImagePositionPatient, ImageOrientationPatient and PixelSpacing of slice k, computed here in LPS."""
    column_of = {axis: affine_ras[:3, axis] * [-1, -1, 1] for axis in range(3)}
    origin = affine_ras[:3, 3] * [-1, -1, 1] + k * column_of[2]
    step_i, step_j = np.linalg.norm(column_of[0]), np.linalg.norm(column_of[1])
    return {
        "ImagePositionPatient": [round(v, 10) for v in origin.tolist()],
        "ImageOrientationPatient": [
            round(v, 12) for v in [*(column_of[0] / step_i).tolist(), *(column_of[1] / step_j).tolist()]
        ],
        "PixelSpacing": [round(float(step_j), 10), round(float(step_i), 10)],
    }


def write_dicom_series(
    folder: Path,
    volume: Volume,
    *,
    intercept: int = -1024,
    edit: Callable[[FileDataset, int], None] | None = None,
    skip: Sequence[int] = (),
) -> list[Path]:
    """Write a volume as one DICOM file per slice and return the paths in slice order.

    Args:
        folder: made when missing.
        volume: int16; its affine and voxels are what the reader should find.
        intercept: RescaleIntercept; the stored values are the voxels minus it.
        edit: called with each dataset and its slice index before it is saved, to break or change something.
        skip: slices left out.

    The file names run against the slice order and InstanceNumber is random, so that only positions can sort them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = volume.shape[2]
    numbers = np.random.default_rng(3).permutation(count) + 1
    paths = []
    for k in range(count):
        if k in skip:
            continue
        dataset = base_dataset(volume.modality or "CT")
        for keyword, value in slice_geometry(volume.affine_ras, k).items():
            setattr(dataset, keyword, value)
        dataset.InstanceNumber = int(numbers[k])
        dataset.SliceThickness = round(float(np.linalg.norm(volume.affine_ras[:3, 2])), 6)
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, intercept
        set_pixels(dataset, (volume.array[:, :, k].T.astype(np.int32) - intercept).astype(np.int16))
        if edit is not None:
            edit(dataset, k)
        paths.append(save(dataset, folder / f"IM{count - k:04d}.dcm"))
    return paths


def write_enhanced(path: Path, volume: Volume, *, slopes: Sequence[float] | None = None) -> Path:
    """Write a volume as one enhanced multi-frame CT, frames in reverse order, each with its own rescale slope."""
    dataset = base_dataset(volume.modality or "CT", SOPClassUID=EnhancedCTImageStorage)
    order = list(reversed(range(volume.shape[2])))
    slopes = slopes or [1.0] * len(order)
    frames = []
    for k in order:
        geometry = slice_geometry(volume.affine_ras, k)
        frame = Dataset()
        position, transformation = Dataset(), Dataset()
        position.ImagePositionPatient = geometry["ImagePositionPatient"]
        transformation.RescaleSlope, transformation.RescaleIntercept = slopes[k], 0
        transformation.RescaleType = "HU"
        frame.PlanePositionSequence = DicomSequence([position])
        frame.PixelValueTransformationSequence = DicomSequence([transformation])
        frames.append(frame)
    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    geometry = slice_geometry(volume.affine_ras, 0)
    measures.PixelSpacing = geometry["PixelSpacing"]
    orientation.ImageOrientationPatient = geometry["ImageOrientationPatient"]
    shared.PixelMeasuresSequence = DicomSequence([measures])
    shared.PlaneOrientationSequence = DicomSequence([orientation])
    dataset.SharedFunctionalGroupsSequence = DicomSequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = DicomSequence(frames)
    set_pixels(dataset, np.stack([volume.array[:, :, k].T for k in order]))
    return save(dataset, path)
