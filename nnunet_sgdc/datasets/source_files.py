"""The files of a download, each readable wherever it lies: in a folder or in a zip archive."""

import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from nnunet_sgdc.datasets.errors import ConversionError

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
