"""The files in zip archives, as far as an archive is whole and does no harm."""

import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import PurePosixPath, PureWindowsPath

from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.source_files import DAMAGE, ArchiveMember, FolderFile

# Left behind by desktops; names that begin with a dot are ignored as well.
CLUTTER = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
# The others can expand without bound while one block of them is read, or need modules that Python may lack.
READABLE_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
ENCRYPTED = 0x1
# A member that exceeds both is a zip bomb: deflate reaches 1000 only for runs of one value.
LARGEST_MEMBER = 4 * 1024**3
LARGEST_EXPANSION = 1000


def archive_members(archives: Iterable[FolderFile], opened: ExitStack) -> dict[PurePosixPath, ArchiveMember]:
    """The files in all archives by path; several archives may hold the same file, as those downloaded twice do.

    Args:
        archives: Zip archives; their files appear where unpacking on the spot would put them.
        opened: Closes the archives, after which nothing can be read.

    Raises:
        ConversionError: An archive is damaged, encrypted, ambiguous or dangerous.
    """
    return _merged(member for archive in archives for member in _members(archive, opened))


def is_clutter(name: str) -> bool:
    """Whether a file or folder of this name is hidden or left behind by a desktop."""
    return name.startswith(".") or name.lower() in CLUTTER


def _members(archive: FolderFile, opened: ExitStack) -> Iterator[ArchiveMember]:
    """The files in an archive, which is closed together with `opened`."""
    try:
        content = opened.enter_context(zipfile.ZipFile(archive.location))
    except OSError as error:
        raise ConversionError(f"{archive} cannot be read ({error.strerror or error}): make it readable") from error
    except DAMAGE as error:
        raise ConversionError(f"{archive} cannot be read as a zip archive ({error}): download it again") from error
    for entry in content.infolist():
        inner = _inner_path(archive, entry)
        if inner.parts and not any(map(is_clutter, inner.parts)):
            _check_entry(archive, entry)
            yield ArchiveMember(archive.path.parent / inner, archive.location / inner, content, entry)


def _inner_path(archive: FolderFile, entry: zipfile.ZipInfo) -> PurePosixPath:
    """The path of a file in an archive, empty for a folder; it stays within the archive on every system."""
    path = PureWindowsPath(entry.filename)
    if path.anchor or ".." in path.parts:
        raise ConversionError(
            f"{archive} holds a path that leads out of it ({entry.filename!r}): do not use it, download it again"
        )
    return PurePosixPath() if entry.filename.endswith(("/", "\\")) else PurePosixPath(*path.parts)


def _check_entry(archive: FolderFile, entry: zipfile.ZipInfo) -> None:
    if entry.flag_bits & ENCRYPTED:
        raise ConversionError(f"{archive} is encrypted: unpack it with its password and give the folder")
    if entry.compress_type not in READABLE_METHODS:
        raise ConversionError(
            f"{archive} must be compressed by the deflate method, but {entry.filename!r} has method "
            f"{entry.compress_type}: unpack it and give the folder"
        )
    if entry.file_size > max(LARGEST_MEMBER, LARGEST_EXPANSION * entry.compress_size):
        raise ConversionError(
            f"{archive} looks like a zip bomb, as {entry.filename!r} would grow from {entry.compress_size} to "
            f"{entry.file_size} bytes: do not use it, download it again"
        )


def _merged(members: Iterable[ArchiveMember]) -> dict[PurePosixPath, ArchiveMember]:
    merged: dict[PurePosixPath, ArchiveMember] = {}
    for member in members:
        first = merged.setdefault(member.path, member)
        if first is member:
            continue
        if first.archive is member.archive:
            raise ConversionError(f"{member} is in the archive twice: download it again")
        if not first.same_content(member):
            raise ConversionError(f"{first} and {member} differ, but have the same place: remove one of the archives")
    return merged
