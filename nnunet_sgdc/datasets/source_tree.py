"""A download as one read-only tree, whether it is a folder, a zip archive or a folder that holds zip archives.

The files of an archive appear where unpacking it on the spot would put them, so that a release is found in the same
way however it is kept. Nothing is unpacked: a file is read when it is asked for, from any number of threads at once.
"""

import os
import tempfile
import zipfile
import zlib
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Protocol

from nnunet_sgdc.datasets.errors import ConversionError

DEEPEST_LEVEL = 8
# Left behind by desktops; names that begin with a dot are ignored as well.
CLUTTER = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
# The others can expand without bound while one block of them is read, or need modules that Python may lack.
READABLE_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
ENCRYPTED = 0x1
# A member that exceeds both is a zip bomb: deflate reaches 1000 only for runs of one value.
LARGEST_MEMBER = 4 * 1024**3
LARGEST_EXPANSION = 1000
CHUNK = 1024**2
# What a damaged archive makes the standard library raise, besides OSError.
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError)


class SourceFile(Protocol):
    """A file of a source; its text is the full location, as in `/data/x/y.jpg` or `/data/a.zip/x/y.jpg`."""

    @property
    def path(self) -> PurePosixPath:
        """Where the file lies in the source, as if all archives were unpacked."""

    def read(self) -> bytes:
        """The whole content.

        Raises:
            ConversionError: The file cannot be read, or is damaged.
        """

    def local(self, scratch: Path) -> Path:
        """A file on disk with this content, for memory mapping.

        Args:
            scratch: A folder that receives a copy if the file lies in an archive.

        Raises:
            ConversionError: The file cannot be read, or is damaged.
            OSError: The copy cannot be written.
        """


@dataclass(frozen=True)
class FolderFile:
    """A file that lies in a folder, at `location` on disk."""

    path: PurePosixPath
    location: Path

    def read(self) -> bytes:
        """The whole content."""
        with _faults_named(self):
            return self.location.read_bytes()

    def local(self, scratch: Path) -> Path:
        """The file itself, once it has proved readable."""
        with _faults_named(self), self.location.open("rb"):
            return self.location

    def __str__(self) -> str:
        return str(self.location)


@dataclass(frozen=True)
class ArchiveMember:
    """A file that lies in an open zip archive, described there by `entry`."""

    path: PurePosixPath
    location: Path
    archive: zipfile.ZipFile
    entry: zipfile.ZipInfo

    def read(self) -> bytes:
        """The whole content."""
        return b"".join(self._chunks())

    def local(self, scratch: Path) -> Path:
        """A copy in a folder of its own in `scratch`."""
        copy = Path(tempfile.mkdtemp(dir=scratch)) / self.path.name
        with copy.open("wb") as file:
            file.writelines(self._chunks())
        return copy

    def same_content(self, other: "ArchiveMember") -> bool:
        """Whether checksum and size agree."""
        return (self.entry.CRC, self.entry.file_size) == (other.entry.CRC, other.entry.file_size)

    def _chunks(self) -> Iterator[bytes]:
        with _faults_named(self), self.archive.open(self.entry) as stream:
            while chunk := stream.read(CHUNK):
                yield chunk

    def __str__(self) -> str:
        return str(self.location)


@dataclass(frozen=True)
class SourceTree:
    """The files of a source, ordered by path; folders are given relative to it, the source itself as `.`."""

    location: Path
    files: tuple[SourceFile, ...]

    def files_in(self, folder: PurePosixPath) -> tuple[SourceFile, ...]:
        """The files that lie directly in a folder."""
        return tuple(self._files_by_folder.get(folder, ()))

    def folders_named(self, name: str) -> tuple[PurePosixPath, ...]:
        """All folders of this name that hold files directly or deeper, outermost first.

        Unpackers like to repeat a folder inside itself; of a folder that holds only one of its own name, the inner one
        is given.
        """
        named = (folder for folder in self._subfolders if folder.name == name and not self._wraps(folder))
        return tuple(sorted(named, key=lambda folder: (len(folder.parts), folder)))

    def top_level_names(self) -> tuple[str, ...]:
        """The files and folders directly in the source, without folders that hold no file."""
        return tuple(sorted({file.path.parts[0] for file in self.files}))

    def _wraps(self, folder: PurePosixPath) -> bool:
        return self._subfolders[folder] == {folder / folder.name} and not self.files_in(folder)

    @cached_property
    def _files_by_folder(self) -> dict[PurePosixPath, list[SourceFile]]:
        folders: dict[PurePosixPath, list[SourceFile]] = defaultdict(list)
        for file in self.files:
            folders[file.path.parent].append(file)
        return dict(folders)

    @cached_property
    def _subfolders(self) -> dict[PurePosixPath, set[PurePosixPath]]:
        """The folders directly in each folder that holds files directly or deeper."""
        folders = _with_parents(self._files_by_folder)
        subfolders: dict[PurePosixPath, set[PurePosixPath]] = {folder: set() for folder in folders}
        for folder in folders - {PurePosixPath()}:
            subfolders[folder.parent].add(folder)
        return subfolders


@contextmanager
def opened_source(source: Path, only: Collection[str] | None = None) -> Iterator[SourceTree]:
    """Open a download; its archives stay open until the block ends.

    Hidden files and what desktops leave behind are ignored. An unpacked file takes precedence over its equal in an
    archive, and an unpacked folder `NAME` over all of the `NAME.zip` beside it. Archives within archives stay closed.

    Args:
        source: A folder or a .zip file.
        only: Names of the folders and archives directly in the source to look into, archives without their ending; None
            looks into all.

    Raises:
        ConversionError: The source is neither, a folder cannot be read, or an archive is damaged, encrypted, ambiguous
            or dangerous.
    """
    found = _found(source, only)
    occupied = _with_parents({file.path.parent for file in found})
    packed = [file for file in found if _is_archive(file.path) and file.path.with_suffix("") not in occupied]
    with ExitStack() as opened:
        members = _merged(member for archive in packed for member in _members(archive, opened))
        unpacked = {file.path: file for file in found if not _is_archive(file.path)}
        files: dict[PurePosixPath, SourceFile] = {**members, **unpacked}
        yield SourceTree(source, tuple(files[path] for path in sorted(files)))


def _found(source: Path, only: Collection[str] | None) -> list[FolderFile]:
    if os.path.isdir(source):
        return list(_walked(source, only))
    if not os.path.isfile(source):
        raise ConversionError(
            f"source must be a folder or a .zip file, got {str(source)!r}, which is neither: check the path"
        )
    if not _is_archive(source):
        raise ConversionError(
            f"source must be a folder or a .zip file, got {str(source)!r}: give the folder that holds it"
        )
    return [FolderFile(PurePosixPath(source.name), source)]


def _is_archive(path: PurePath) -> bool:
    return path.suffix.lower() == ".zip"


def _name_unpacked(name: str) -> str:
    return PurePath(name).stem if _is_archive(PurePath(name)) else name


def _walked(source: Path, only: Collection[str] | None) -> Iterator[FolderFile]:
    """The files below a folder. Links come last, so that a folder inside the source is known by its own name."""
    entered: set[tuple[int, int]] = set()
    pending = deque([(source, PurePosixPath())])
    while pending:
        folder, path = pending.popleft()
        for entry in _new_entries(folder, entered):
            if folder == source and only is not None and _name_unpacked(entry.name) not in only:
                continue
            if not _is_folder(entry):
                yield FolderFile(path / entry.name, Path(entry.path))
            elif len(path.parts) < DEEPEST_LEVEL:
                add = pending.append if entry.is_symlink() else pending.appendleft
                add((Path(entry.path), path / entry.name))


def _new_entries(folder: Path, entered: set[tuple[int, int]]) -> list[os.DirEntry[str]]:
    """What is worth a look in a folder; nothing if it has been entered before, by whatever path."""
    try:
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in entered:
            return []
        entered.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not _is_clutter(entry.name) and not _is_special(entry)]
    except OSError as error:
        raise ConversionError(
            f"folder {folder} cannot be read ({error.strerror}): make it readable, for example with chmod u+rx"
        ) from error
    return sorted(visible, key=lambda entry: entry.name)


def _is_clutter(name: str) -> bool:
    return name.startswith(".") or name.lower() in CLUTTER


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # A link in a loop raises; it is kept as a file, so that reading it says what is wrong.
    with suppress(OSError):
        return entry.is_dir()
    return False


def _is_special(entry: os.DirEntry[str]) -> bool:
    """Whether it is a pipe, socket or device, reading from which may never end."""
    with suppress(OSError):
        return not entry.is_file() and not entry.is_dir() and os.path.exists(entry.path)
    return False


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
        if inner.parts and not any(map(_is_clutter, inner.parts)):
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
    """The members by path; several archives may hold the same file, as those that were downloaded twice do."""
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


def _with_parents(folders: Iterable[PurePosixPath]) -> set[PurePosixPath]:
    return {path for folder in folders for path in (folder, *folder.parents)}


@contextmanager
def _faults_named(file: SourceFile) -> Iterator[None]:
    """Turn what goes wrong while a file is read into one sentence that names it."""
    try:
        yield
    except DAMAGE as error:
        raise ConversionError(
            f"{file} is damaged ({str(error) or 'it ends too early'}): download the archive again"
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConversionError(f"{file} cannot be read ({reason}): make it readable, or download it again") from error
