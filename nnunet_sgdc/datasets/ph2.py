"""Where PH2 keeps its images, masks and diagnoses.

PH2 is a database of 200 dermoscopic images from Pedro Hispano Hospital, Matosinhos, published as

    PH2Dataset/PH2_dataset.txt, PH2_dataset.xlsx
    PH2Dataset/PH2 Dataset images/IMD003/IMD003_Dermoscopic_Image/IMD003.bmp
                                         IMD003_lesion/IMD003_lesion.bmp
                                         IMD003_roi/IMD003_R1_Label4.bmp

of which the regions of interest are not used. Cases are known by their own folders, wherever those lie; only file names
and the table are looked at here.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import partial

from nnunet_sgdc.datasets.collection import Case, Collection, Split
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.images import load_photograph
from nnunet_sgdc.datasets.isic import LABELS
from nnunet_sgdc.datasets.ph2_table import ATTRIBUTES, DIAGNOSIS, TABLES, find_table, read_table
from nnunet_sgdc.datasets.resizing import Resizing
from nnunet_sgdc.datasets.source_files import SourceFile
from nnunet_sgdc.datasets.source_tree import SourceTree
from nnunet_sgdc.errors import counted

IMAGE_PARENT = "PH2 Dataset images"
PUBLISHED_CASES = 200
DEFAULT_SIZE = Resizing.square(256)
CASE_FOLDER = re.compile(r"IMD[0-9]+", re.IGNORECASE)
IMAGE_PATH = re.compile(r"(?:.*/)?(IMD[0-9]+)/\1_Dermoscopic_Image/\1\.bmp", re.IGNORECASE)
# Masks are also passed on in other formats.
MASK_PATH = re.compile(r"(?:.*/)?(IMD[0-9]+)/\1_lesion/\1_lesion\.(?:bmp|png|jpe?g|tiff?)", re.IGNORECASE)


def find_ph2(tree: SourceTree) -> Collection:
    """Find the cases by their folders, and their rows in the table.

    Args:
        tree: The download.

    Returns:
        All cases that are there, as training split.

    Raises:
        ConversionError: No case was found; a case lacks its image or mask or has two; or the table is not as published.
    """
    images, masks = _by_case(tree, IMAGE_PATH, "image"), _by_case(tree, MASK_PATH, "mask")
    identifiers = _identifiers(tree)
    _check_complete(identifiers, images, masks)
    file = find_table(tree)
    rows = {} if file is None else read_table(file)
    blank = {} if file is None else dict.fromkeys(ATTRIBUTES, "")
    cases = tuple(_case(name, images[name], masks[name], rows.get(name, blank)) for name in identifiers)
    return Collection(
        name="PH2",
        description="Skin lesion segmentation in dermoscopy, PH2",
        reference="Mendonca et al., PH2 - A dermoscopic image database for research and benchmarking (EMBC 2013), "
        "doi:10.1109/EMBC.2013.6610779",
        licence="for research and education",
        labels=LABELS,
        splits=(Split("training", "Tr", cases, PUBLISHED_CASES),),
        default_size=DEFAULT_SIZE,
        stratify_by=DIAGNOSIS if file else None,
        notes=_notes(file, [name for name in identifiers if name not in rows]),
    )


def _case(identifier: str, image: SourceFile, mask: SourceFile, row: Mapping[str, str]) -> Case:
    return Case(identifier, partial(load_photograph, image, mask), labelled=True, attributes=row)


def _identifiers(tree: SourceTree) -> list[str]:
    """Ordered, in the capitals of the release."""
    folders = {folder for file in tree.files for folder in file.path.parents}
    identifiers = {folder.name.upper() for folder in folders if CASE_FOLDER.fullmatch(folder.name)}
    if not identifiers:
        present = counted(tree.top_level_names()) if tree.files else "nothing"
        raise ConversionError(
            f"no PH2 case was found below {tree.location}: expected folders such as "
            f"{IMAGE_PARENT}/IMD003/IMD003_lesion, got {present}; keep the published folder names"
        )
    return sorted(identifiers)


def _by_case(tree: SourceTree, pattern: re.Pattern[str], kind: str) -> dict[str, SourceFile]:
    """The files whose path is like the pattern, whose first group is the case."""
    found: dict[str, list[SourceFile]] = defaultdict(list)
    for file in tree.files:
        if match := pattern.fullmatch(str(file.path)):
            found[match[1].upper()].append(file)
    repeated = sorted(name for name, files in found.items() if len(files) > 1)
    if repeated:
        raise ConversionError(
            f"every case must have one {kind}, but some have several ({counted(repeated)}), such as "
            f"{' and '.join(map(str, found[repeated[0]]))}: keep one, or give one copy of the release"
        )
    return {name: files[0] for name, files in found.items()}


def _check_complete(identifiers: list[str], images: Mapping[str, SourceFile], masks: Mapping[str, SourceFile]) -> None:
    imageless = [name for name in identifiers if name not in images]
    maskless = [name for name in identifiers if name not in masks]
    faults = []
    if imageless:
        faults.append(f"IMDxxx_Dermoscopic_Image/IMDxxx.bmp is missing ({counted(imageless)})")
    if maskless:
        faults.append(f"IMDxxx_lesion/IMDxxx_lesion.bmp is missing ({counted(maskless)})")
    if faults:
        raise ConversionError(
            f"every case must have an image and a mask, but {' and '.join(faults)}: unpack the release completely"
        )


def _notes(file: SourceFile | None, without_row: list[str]) -> tuple[str, ...]:
    if file is None:
        return (f"{TABLES[0]} with the diagnoses is not there, so the folds share small and large lesions instead",)
    if without_row:
        return (f"cases that are not in {file.path.name}, so without a diagnosis ({counted(without_row)})",)
    return ()
