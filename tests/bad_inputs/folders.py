"""Folders and archives that are not as downloaded."""

import zipfile
from pathlib import Path
from zipfile import ZipFile

from releases import write_release

from bad_inputs.entry import CONIC, PH2, Spoil, refused, repaired
from bad_inputs.photographs import IMAGE, IMAGES, MASK, MASKS, shows
from bad_inputs.spoiling import (
    altered,
    both,
    closed,
    copied,
    emptied,
    holding,
    linked,
    moved,
    removed,
    truncated,
    unspoilt,
)

ARCHIVE = f"{IMAGES}.zip"
TEST_FOLDERS = "ISBI2016_ISIC_Part1_Test_Data, ISBI2016_ISIC_Part1_Test_GroundTruth"
TRAINING_FOLDERS = "ISBI2016_ISIC_Part1_Training_Data, ISIC-2017_Training_Data, ISIC2018_Task1-2_Training_Input"


def packed(*members: str, method: int = zipfile.ZIP_DEFLATED) -> Spoil:
    """Put the training images into an archive, with further members of these names."""

    def spoil(folder: Path) -> None:
        with ZipFile(folder / ARCHIVE, "w", method) as archive:
            for path in sorted((folder / IMAGES).iterdir()):
                archive.write(path, f"{IMAGES}/{path.name}")
            for member in members:
                archive.writestr(member, b"content")
        removed(IMAGES)(folder)

    return spoil


def packed_twice_differently(folder: Path) -> None:
    packed()(folder)
    with ZipFile(folder / "other.zip", "w") as archive:
        archive.writestr(IMAGE, b"other content")


def encrypted(archive: bytes) -> bytes:
    """Say in the directory of an archive that its first member is encrypted."""
    flags = archive.index(b"PK\1\2") + 8
    return archive[:flags] + b"\1\0" + archive[flags + 2 :]


def zip_bomb(folder: Path) -> None:
    """Say in the directory of an archive that an empty member has 5 GiB."""
    with ZipFile(folder / "bomb.zip", "w") as archive:
        archive.writestr("zeros", b"")
        archive.infolist()[0].file_size = 5 * 1024**3


# The table

FOLDERS = [
    refused(
        "folder that does not exist",
        unspoilt,
        "source must be a folder or a .zip file, got 'FOLDER/nowhere', which is neither: check the path",
        source="nowhere",
    ),
    refused(
        "a single file",
        unspoilt,
        f"source must be a folder or a .zip file, got 'FOLDER/{IMAGE}': give the folder that holds it",
        source=IMAGE,
    ),
    refused(
        "empty folder",
        emptied,
        f"no ISIC training images were found below FOLDER: expected a folder {TRAINING_FOLDERS}, got nothing; keep the "
        "published folder names",
    ),
    refused(
        "renamed folder of images",
        moved(IMAGES, "images"),
        f"no ISIC training images were found below FOLDER: expected a folder {TRAINING_FOLDERS}, got {TEST_FOLDERS}, "
        f"{MASKS}, images; keep the published folder names",
    ),
    refused(
        "ISIC given to the command of PH2",
        both(emptied, write_release),
        "no PH2 case was found below FOLDER: expected folders such as PH2 Dataset images/IMD003/IMD003_lesion, got 4: "
        f"{TEST_FOLDERS}, {IMAGES}, ...; keep the published folder names",
        release=PH2,
    ),
    refused(
        "ISIC given to the command of CoNIC",
        both(emptied, write_release),
        "images.npy was not found below FOLDER: expected images.npy, labels.npy, counts.csv, patch_info.csv, got "
        f"{TEST_FOLDERS}, {IMAGES}, {MASKS}; download it",
        release=CONIC,
    ),
    refused(
        "wrong edition given",
        unspoilt,
        "edition 2017 was asked for, but FOLDER holds ISIC 2016: give that with --edition",
        options=("--edition", "2017"),
    ),
    refused(
        "several editions in one folder",
        lambda folder: write_release(folder, 2018),
        "several ISIC editions lie below FOLDER (2016, 2018): give --edition",
    ),
    refused(
        "training masks not downloaded",
        removed(MASKS),
        f"{MASKS} with the training masks was not found below FOLDER: download it",
    ),
    refused(
        "folder of images without images",
        both(removed(IMAGES), lambda folder: (folder / IMAGES).mkdir(), holding(f"{IMAGES}/README.txt", b"")),
        f"{IMAGES} in FOLDER must hold images named <id>.jpg, but holds none: unpack the release completely",
    ),
    refused(
        "published folder twice",
        copied(IMAGES, f"old/{IMAGES}"),
        f"{IMAGES} was found more than once below FOLDER: {IMAGES}, old/{IMAGES}; keep one of them",
    ),
    repaired(
        "folder nested once too deep, in one of its own name",
        both(moved(IMAGES, "moved"), moved("moved", f"{IMAGES}/{IMAGES}")),
        "the inner one is read",
        shows(),
    ),
    repaired(
        "published folders in further folders",
        both(moved(IMAGES, f"a/b/{IMAGES}"), moved(MASKS, f"c/{MASKS}")),
        "found by their names",
        shows(),
    ),
    refused(
        "published folders more than eight folders deep",
        moved(IMAGES, f"1/2/3/4/5/6/7/8/{IMAGES}"),
        f"no ISIC training images were found below FOLDER: expected a folder {TRAINING_FOLDERS}, got {TEST_FOLDERS}, "
        f"{MASKS}; keep the published folder names",
    ),
    repaired(
        "only one of the published folders given",
        unspoilt,
        "those beside it are read as well",
        shows(),
        source=MASKS,
    ),
    # Links and permissions
    repaired("folder linked into itself", linked(f"{IMAGES}/loop", "."), "every folder is entered once", shows()),
    repaired(
        "folders linked in a circle",
        both(linked(f"{IMAGES}/masks", f"../{MASKS}"), linked(f"{MASKS}/images", f"../{IMAGES}")),
        "every folder is entered once",
        shows(),
    ),
    refused(
        "file linked to itself",
        linked(IMAGE, "0.jpg"),
        f"FOLDER/{IMAGE} cannot be read (REASON): make it readable, or download it again",
    ),
    refused(
        "link to a file that is gone",
        linked(IMAGE, "nowhere.jpg"),
        f"FOLDER/{IMAGE} cannot be read (No such file or directory): make it readable, or download it again",
    ),
    refused(
        "unreadable folder",
        closed(IMAGES),
        f"folder FOLDER/{IMAGES} cannot be read (Permission denied): make it readable, for example with chmod u+rx",
        unprivileged=True,
    ),
    refused(
        "unreadable file",
        closed(IMAGE),
        f"FOLDER/{IMAGE} cannot be read (Permission denied): make it readable, or download it again",
        unprivileged=True,
    ),
    refused(
        "unreadable archive",
        both(packed(), closed(ARCHIVE)),
        f"FOLDER/{ARCHIVE} cannot be read (Permission denied): make it readable",
        unprivileged=True,
    ),
    # Left by desktops
    repaired(
        "._ files of macOS",
        copied(MASK, f"{IMAGES}/._0.jpg", f"{MASKS}/._0_Segmentation.png"),
        "ignored",
        shows(),
    ),
    repaired(
        "Thumbs.db and desktop.ini of Windows",
        copied(MASK, f"{IMAGES}/Thumbs.db", f"{MASKS}/desktop.ini"),
        "ignored",
        shows(),
    ),
    repaired("archive with __MACOSX", packed(f"__MACOSX/{IMAGE}"), "ignored", shows()),
    # Archives
    refused(
        "archive with a path that escapes",
        packed("../escaped.jpg"),
        f"FOLDER/{ARCHIVE} holds a path that leads out of it ('../escaped.jpg'): do not use it, download it again",
    ),
    refused(
        "archive with an absolute path",
        packed("/etc/escaped.jpg"),
        f"FOLDER/{ARCHIVE} holds a path that leads out of it ('/etc/escaped.jpg'): do not use it, download it again",
    ),
    refused(
        "archive with a path to another drive",
        packed("C:\\escaped.jpg"),
        f"FOLDER/{ARCHIVE} holds a path that leads out of it ('C:\\\\escaped.jpg'): do not use it, download it again",
    ),
    refused(
        "web page saved as an archive",
        holding("images.zip", b"<html>404</html>"),
        "FOLDER/images.zip cannot be read as a zip archive (REASON): download it again",
    ),
    refused(
        "truncated archive",
        both(packed(), truncated(ARCHIVE)),
        f"FOLDER/{ARCHIVE} cannot be read as a zip archive (REASON): download it again",
    ),
    refused(
        "archive with a damaged file",
        both(packed(method=zipfile.ZIP_STORED), altered(ARCHIVE, lambda archive: archive.replace(b"JFIF", b"jfif", 1))),
        f"FOLDER/{ARCHIVE}/{IMAGE} is damaged (REASON): download the archive again",
    ),
    refused(
        "encrypted archive",
        both(packed(), altered(ARCHIVE, encrypted)),
        f"FOLDER/{ARCHIVE} is encrypted: unpack it with its password and give the folder",
    ),
    refused(
        "archive compressed by another method",
        packed(method=zipfile.ZIP_BZIP2),
        f"FOLDER/{ARCHIVE} must be compressed by the deflate method, but '{IMAGE}' has method 12: unpack it and give "
        "the folder",
    ),
    refused(
        "zip bomb",
        zip_bomb,
        "FOLDER/bomb.zip looks like a zip bomb, as 'zeros' would grow from 0 to 5368709120 bytes: do not use it, "
        "download it again",
    ),
    refused(
        "archive that holds a file twice",
        packed(f"{IMAGES}\\0.jpg"),
        f"FOLDER/{ARCHIVE}/{IMAGE} is in the archive twice: download it again",
    ),
    repaired(
        "archive downloaded twice",
        both(packed(), copied(ARCHIVE, f"{IMAGES} (1).zip")),
        "counts once",
        shows(),
    ),
    refused(
        "archives that disagree",
        packed_twice_differently,
        f"FOLDER/{ARCHIVE}/{IMAGE} and FOLDER/other.zip/{IMAGE} differ, but have the same place: remove one of the "
        "archives",
    ),
    repaired(
        "archive beside what was unpacked from it",
        holding(ARCHIVE, b"never opened"),
        "the unpacked folder is read",
        shows(),
    ),
]
