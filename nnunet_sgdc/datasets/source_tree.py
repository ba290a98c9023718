"""A download as one read-only tree, whether it is a folder, a zip archive or a folder that holds zip archives.

The files of an archive appear where unpacking it on the spot would put them, so that a release is found in the same
way however it is kept. Nothing is unpacked: a file is read when it is asked for, from any number of threads at once.
"""

import os
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath, PurePosixPath

from nnunet_sgdc.datasets.archives import archive_members, is_clutter
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.source_files import FolderFile, SourceFile

DEEPEST_LEVEL = 8


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
        members = archive_members(packed, opened)
        unpacked = {file.path: file for file in found if not _is_archive(file.path)}
        files: dict[PurePosixPath, SourceFile] = {**members, **unpacked}
        yield SourceTree(source, tuple(files[path] for path in sorted(files)))


def opened_release(
    source: Path, parts: Collection[str], beside: Collection[str] = ()
) -> AbstractContextManager[SourceTree]:
    """Open a download in which one published part stands for those that lie beside it.

    Of the folder around a part only what was published is looked into, for it may hold anything else.

    Args:
        source: A folder or a .zip file, of the release or of one part.
        parts: Names of the published folders or archives that may be given alone, archives without their ending.
        beside: Names of what else was published beside them.

    Raises:
        ConversionError: As `opened_source` says.
    """
    path = source.resolve()
    return opened_source(path.parent, {*parts, *beside}) if path.stem in parts else opened_source(source)


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
            visible = [entry for entry in entries if not is_clutter(entry.name) and not _is_special(entry)]
    except OSError as error:
        raise ConversionError(
            f"folder {folder} cannot be read ({error.strerror}): make it readable, for example with chmod u+rx"
        ) from error
    return sorted(visible, key=lambda entry: entry.name)


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


def _with_parents(folders: Iterable[PurePosixPath]) -> set[PurePosixPath]:
    return {path for folder in folders for path in (folder, *folder.parents)}
