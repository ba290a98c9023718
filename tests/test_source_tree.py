"""Downloads of a few small files, as folders and as archives, are looked into without being unpacked."""

import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ordinary_user import as_ordinary_user

from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.source_files import SourceFile
from nnunet_sgdc.datasets.source_tree import SourceTree, opened_source

ROOT = PurePosixPath(".")
HELLO = b"hello " * 100


def write(folder: Path, *names: str, content: bytes = HELLO) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def pack(archive: Path, *names: str, content: bytes = HELLO) -> Path:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in names:
            packed.writestr(name, content)
    return archive


def paths(source: Path) -> list[str]:
    with opened_source(source) as tree:
        return [str(file.path) for file in tree.files]


def contents(source: Path) -> dict[str, bytes]:
    with opened_source(source) as tree:
        return {str(file.path): file.read() for file in tree.files}


def tree_of(*names: str) -> SourceTree:
    files: list[SourceFile] = [Named(PurePosixPath(name)) for name in sorted(names)]
    return SourceTree(Path("source"), tuple(files))


class Named:
    """A file of which only the path matters."""

    def __init__(self, path: PurePosixPath) -> None:
        self.path = path

    def read(self) -> bytes:
        raise NotImplementedError

    def local(self, scratch: Path) -> Path:
        raise NotImplementedError


def folders(tree: SourceTree, name: str) -> list[str]:
    return [str(folder) for folder in tree.folders_named(name)]


@pytest.fixture
def ordinary_folder() -> Iterator[Path]:
    """A folder of a user whom file modes keep out, unlike root."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    with as_ordinary_user(folder):
        yield folder
    for path in folder.rglob("*"):
        path.chmod(0o700)
    shutil.rmtree(folder)


@pytest.fixture(params=["folder", "archive"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A download with `data/a.txt`, as a folder and as an archive."""
    if request.param == "archive":
        return pack(tmp_path / "download.zip", "data/a.txt")
    return write(tmp_path / "download", "data/a.txt")


# What both kinds of source give


def test_files_are_read_by_their_path_in_the_source(source: Path) -> None:
    assert contents(source) == {"data/a.txt": HELLO}


def test_text_of_a_file_is_its_full_location(source: Path) -> None:
    with opened_source(source) as tree:
        assert [str(file) for file in tree.files] == [f"{source}/data/a.txt"]


def test_tree_knows_the_source_as_given(source: Path) -> None:
    with opened_source(source) as tree:
        assert tree.location == source


def test_array_can_be_mapped_into_memory(tmp_path: Path) -> None:
    buffer, scratch = io.BytesIO(), tmp_path / "scratch"
    scratch.mkdir()
    np.save(buffer, np.arange(6).reshape(2, 3))
    pack(tmp_path / "download.zip", "images.npy", content=buffer.getvalue())
    with opened_source(tmp_path / "download.zip") as tree:
        mapped = np.load(tree.files[0].local(scratch), mmap_mode="r")
    np.testing.assert_array_equal(mapped, [[0, 1, 2], [3, 4, 5]])


def test_file_in_a_folder_is_not_copied(tmp_path: Path) -> None:
    with opened_source(write(tmp_path, "a.txt")) as tree:
        assert tree.files[0].local(tmp_path / "nowhere") == tmp_path / "a.txt"


def test_copies_of_members_with_one_name_do_not_collide(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("1/x.npy", b"one")
        packed.writestr("2/x.npy", b"two")
    with opened_source(tmp_path / "a.zip") as tree:
        copies = [file.local(tmp_path) for file in tree.files]
    assert [copy.read_bytes() for copy in copies] == [b"one", b"two"]
    assert [copy.name for copy in copies] == ["x.npy", "x.npy"]


def test_failure_to_write_a_copy_is_not_blamed_on_the_archive(tmp_path: Path) -> None:
    with opened_source(pack(tmp_path / "a.zip", "x.npy")) as tree, pytest.raises(FileNotFoundError):
        tree.files[0].local(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["with space.txt", "Läsion/ü.txt", "病变.txt"])
def test_names_are_kept_as_they_are(tmp_path: Path, name: str) -> None:
    write(tmp_path / "folder", name)
    pack(tmp_path / "packed" / "a.zip", name)
    assert paths(tmp_path / "folder") == paths(tmp_path / "packed") == [name]


CLUTTER = [
    "._a.txt",
    ".hidden/x",
    "__MACOSX/a.txt",
    "data/__MACOSX/a.txt",
    "Thumbs.db",
    "data/THUMBS.DB",
    "Desktop.ini",
]


def test_clutter_of_desktops_is_ignored(tmp_path: Path) -> None:
    write(tmp_path / "folder", "data/a.txt", *CLUTTER)
    pack(tmp_path / "a.zip", "data/a.txt", *CLUTTER)
    assert paths(tmp_path / "folder") == paths(tmp_path / "a.zip") == ["data/a.txt"]


def test_source_in_a_hidden_folder_is_not_itself_ignored(tmp_path: Path) -> None:
    assert paths(write(tmp_path / ".cache", "a.txt")) == ["a.txt"]


# Sources that are none


def test_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"source must be a folder or a \.zip file, got '.*nowhere'.*check"):
        paths(tmp_path / "nowhere")


def test_single_file_as_source_is_answered_with_its_folder(tmp_path: Path) -> None:
    write(tmp_path, "images.npy")
    with pytest.raises(ConversionError, match=r"source must be .*images\.npy': give the folder that holds it"):
        paths(tmp_path / "images.npy")


# Folders


def test_files_are_ordered_by_path(tmp_path: Path) -> None:
    names = ["a-b/1", "a/2", "a/10", "b"]
    assert paths(write(tmp_path, *names)) == ["a/10", "a/2", "a-b/1", "b"]


def test_linked_folder_is_entered(tmp_path: Path) -> None:
    write(tmp_path / "disk", "a.txt")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "data").symlink_to(tmp_path / "disk")
    assert paths(tmp_path / "source") == ["data/a.txt"]


def test_folder_linked_twice_is_entered_once(tmp_path: Path) -> None:
    write(tmp_path / "disk", "a.txt")
    (tmp_path / "source").mkdir()
    for name in ("first", "second"):
        (tmp_path / "source" / name).symlink_to(tmp_path / "disk")
    assert paths(tmp_path / "source") == ["first/a.txt"]


def test_folder_inside_the_source_goes_by_its_own_name_rather_than_a_link(tmp_path: Path) -> None:
    write(tmp_path, "release/data/a.txt")
    (tmp_path / "latest").symlink_to(tmp_path / "release" / "data")
    assert paths(tmp_path) == ["release/data/a.txt"]


def test_links_that_lead_upwards_do_no_harm(tmp_path: Path) -> None:
    write(tmp_path, "data/a.txt")
    (tmp_path / "data" / "up").symlink_to(tmp_path)
    (tmp_path / "data" / "self").symlink_to(tmp_path / "data")
    assert paths(tmp_path) == ["data/a.txt"]


def test_eight_levels_are_looked_into_and_no_more(tmp_path: Path) -> None:
    write(tmp_path, "1/2/3/4/5/6/7/8/file", "1/2/3/4/5/6/7/8/9/file")
    assert paths(tmp_path) == ["1/2/3/4/5/6/7/8/file"]


def test_folder_whose_name_ends_like_an_archive_is_a_folder(tmp_path: Path) -> None:
    assert paths(write(tmp_path, "data.zip/a.txt")) == ["data.zip/a.txt"]


def test_pipe_is_ignored_as_it_would_never_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert paths(write(tmp_path, "a.txt")) == ["a.txt"]


@pytest.mark.parametrize(("target", "reason"), [("nowhere", "No such file"), ("link.txt", "Too many levels")])
def test_broken_link_is_listed_and_named_when_read(tmp_path: Path, target: str, reason: str) -> None:
    (tmp_path / "link.txt").symlink_to(tmp_path / target)
    with opened_source(tmp_path) as tree, pytest.raises(ConversionError, match=f"link.txt cannot be read .{reason}"):
        tree.files[0].read()


def test_broken_link_is_named_before_it_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "link.npy").symlink_to(tmp_path / "nowhere")
    with opened_source(tmp_path) as tree, pytest.raises(ConversionError, match=r"link\.npy cannot be read"):
        tree.files[0].local(tmp_path)


def test_file_that_has_vanished_is_named(tmp_path: Path) -> None:
    with opened_source(write(tmp_path, "a.txt")) as tree:
        (tmp_path / "a.txt").unlink()
        with pytest.raises(ConversionError, match=r"a\.txt cannot be read \(No such file.*download it again"):
            tree.files[0].read()


def test_unreadable_folder_is_named(ordinary_folder: Path) -> None:
    (write(ordinary_folder, "data/a.txt") / "data").chmod(0)
    with pytest.raises(ConversionError, match=r"folder .*/data cannot be read \(Permission denied\): .*chmod u\+rx"):
        paths(ordinary_folder)


def test_unreadable_file_is_named(ordinary_folder: Path) -> None:
    (write(ordinary_folder, "a.txt") / "a.txt").chmod(0)
    with opened_source(ordinary_folder) as tree, pytest.raises(ConversionError, match=r"a\.txt .*Permission denied"):
        tree.files[0].read()


def test_unreadable_archive_is_named(ordinary_folder: Path) -> None:
    pack(ordinary_folder / "a.zip", "x").chmod(0)
    with pytest.raises(ConversionError, match=r"a\.zip cannot be read \(Permission denied\): make it readable"):
        paths(ordinary_folder)


# Archives in folders


def test_archive_is_looked_into_where_it_lies(tmp_path: Path) -> None:
    pack(tmp_path / "release" / "A.ZIP", "data/a.txt")
    assert paths(tmp_path) == ["release/data/a.txt"]


def test_unpacked_file_takes_precedence(tmp_path: Path) -> None:
    pack(tmp_path / "a.zip", "data/1.txt", "data/2.txt", content=b"packed")
    write(tmp_path, "data/1.txt", content=b"unpacked")
    assert contents(tmp_path) == {"data/1.txt": b"unpacked", "data/2.txt": b"packed"}


def test_archive_beside_its_unpacked_folder_is_not_opened(tmp_path: Path) -> None:
    write(tmp_path, "data/a.txt", "data.zip")
    assert paths(tmp_path) == ["data/a.txt"]


def test_archive_beside_an_empty_folder_of_its_name_is_looked_into(tmp_path: Path) -> None:
    pack(tmp_path / "data.zip", "data/a.txt")
    write(tmp_path, "data/.DS_Store")
    assert paths(tmp_path) == ["data/a.txt"]


def test_archive_in_an_archive_is_an_ordinary_file(tmp_path: Path) -> None:
    inner = pack(tmp_path / "inner.zip", "a.txt").read_bytes()
    assert contents(pack(tmp_path / "outer.zip", "inner.zip", content=inner)) == {"inner.zip": inner}


def test_archive_downloaded_twice_counts_once(tmp_path: Path) -> None:
    pack(tmp_path / "data.zip", "data/a.txt")
    pack(tmp_path / "data (1).zip", "data/a.txt")
    assert contents(tmp_path) == {"data/a.txt": HELLO}


def test_archives_that_differ_on_a_file_are_refused(tmp_path: Path) -> None:
    pack(tmp_path / "1.zip", "data/a.txt", content=b"one")
    pack(tmp_path / "2.zip", "data/a.txt", content=b"two")
    with pytest.raises(ConversionError, match=r"1\.zip/data/a\.txt and .*/2\.zip/data/a\.txt differ.*remove one"):
        paths(tmp_path)


def test_only_the_named_folders_and_archives_are_looked_into(tmp_path: Path) -> None:
    write(tmp_path, "images/a.txt", "images.old/b.txt", "movie.zip", "broken/c.txt")
    pack(tmp_path / "masks.zip", "masks/a.txt")
    with opened_source(tmp_path, only={"images", "masks"}) as tree:
        assert tree.top_level_names() == ("images", "masks")


def test_choice_of_names_holds_for_the_top_level_only(tmp_path: Path) -> None:
    with opened_source(write(tmp_path, "images/deeper/a.txt"), only={"images"}) as tree:
        assert len(tree.files) == 1


# Archives themselves


def test_backslashes_of_windows_separate_folders(tmp_path: Path) -> None:
    assert paths(pack(tmp_path / "a.zip", "data\\", "data\\a.txt")) == ["data/a.txt"]


def test_folders_in_an_archive_are_no_files(tmp_path: Path) -> None:
    assert paths(pack(tmp_path / "a.zip", "data/", "data/a.txt", "empty/", content=b"")) == ["data/a.txt"]


@pytest.mark.parametrize(
    "name", ["/etc/x", "C:/x", "C:x", "c:\\x", "\\\\host\\share\\x", "../x", "a/../../x", "a\\..\\x"]
)
def test_paths_that_lead_out_of_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    pack(tmp_path / "a.zip", "good.txt", name)
    with pytest.raises(ConversionError, match=r"a\.zip holds a path that leads out of it \('.*x'\): do not use it"):
        paths(tmp_path)


@pytest.mark.parametrize("twin", ["data\\a.txt", "./data/a.txt", "data//a.txt"])
def test_members_of_one_path_are_refused(tmp_path: Path, twin: str) -> None:
    pack(tmp_path / "a.zip", "data/a.txt", twin)
    with pytest.raises(ConversionError, match=r"a\.zip/data/a\.txt is in the archive twice: download it again"):
        paths(tmp_path)


def test_archive_that_is_none_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.zip")
    with pytest.raises(ConversionError, match=r"a\.zip cannot be read as a zip archive \(.*\): download it again"):
        paths(tmp_path / "a.zip")


def test_truncated_archive_is_refused(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", "a.txt")
    archive.write_bytes(archive.read_bytes()[:-30])
    with pytest.raises(ConversionError, match=r"a\.zip cannot be read as a zip archive \(.*\): download it again"):
        paths(archive)


def test_member_with_a_wrong_checksum_is_named(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_STORED) as packed:
        packed.writestr("data/a.txt", HELLO)
    (tmp_path / "a.zip").write_bytes((tmp_path / "a.zip").read_bytes().replace(b"hello", b"hallo", 1))
    with pytest.raises(ConversionError, match=r"a\.zip/data/a\.txt is damaged \(Bad CRC.*\): download"):
        contents(tmp_path)


def test_damaged_member_is_named_when_it_is_copied(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", "a.txt")
    damaged = bytearray(archive.read_bytes())
    damaged[35:40] = bytes(5)  # a stored block whose length and its complement agree, as they must not
    archive.write_bytes(damaged)
    with opened_source(archive) as tree, pytest.raises(ConversionError, match=r"a\.zip/a\.txt is damaged"):
        tree.files[0].local(tmp_path)


def test_archive_cut_short_while_it_is_open_is_named(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", "a.bin", content=np.random.default_rng(0).bytes(100_000))
    with opened_source(archive) as tree:
        os.truncate(archive, 50_000)
        with pytest.raises(ConversionError, match=r"a\.bin is damaged \(it ends too early\)"):
            tree.files[0].read()


def test_encrypted_archive_is_refused_at_once(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", "a.txt")
    flagged = bytearray(archive.read_bytes())
    flagged[flagged.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(flagged)
    with pytest.raises(ConversionError, match=r"a\.zip is encrypted: unpack it with its password and give the folder"):
        paths(tmp_path)


def test_unusual_compression_is_refused_at_once(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_BZIP2) as packed:
        packed.writestr("a.txt", HELLO)
    with pytest.raises(ConversionError, match=r"deflate.*'a\.txt' has method 12: unpack it and give the folder"):
        paths(tmp_path)


@pytest.mark.parametrize(("unpacked", "packed"), [(4 * 1024**3, 1), (5 * 1024**3, 5 * 1024**3 // 1000 + 1)])
def test_large_members_and_small_ones_that_expand_are_let_through(tmp_path: Path, unpacked: int, packed: int) -> None:
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.npy", b"")
        archive.infolist()[0].file_size, archive.infolist()[0].compress_size = unpacked, packed
    assert paths(tmp_path) == ["a.npy"]


def test_zip_bomb_is_refused(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.npy", b"")
        archive.infolist()[0].file_size, archive.infolist()[0].compress_size = 5 * 1024**3, 5 * 1024**3 // 1001
    with pytest.raises(ConversionError, match=r"a\.zip looks like a zip bomb, as 'a\.npy' .* 5368709120 bytes: do not"):
        paths(tmp_path)


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_no_damage_gives_wrong_content_or_a_foreign_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    archive = pack(tmp_path_factory.getbasetemp() / "damaged.zip", "data/a.txt", "b.txt")
    content = bytearray(archive.read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[position] = data.draw(st.sampled_from([0, 255, content[position] ^ 1, content[position] ^ 128]))
    archive.write_bytes(content[: data.draw(st.integers(0, 3 * len(content)))])
    with suppress(ConversionError):
        assert set(contents(archive).values()) <= {HELLO}


# How long archives stay open


def test_threads_read_one_archive_at_once(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    wanted = {f"{number}.bin": random.bytes(50_000) for number in range(40)}
    with ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in wanted.items():
            packed.writestr(name, content)
    with opened_source(tmp_path) as tree, ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert dict(zip([str(f.path) for f in tree.files], pool.map(read, tree.files), strict=True)) == wanted


def read(file: SourceFile) -> bytes:
    return file.read()


def test_archives_are_closed_at_the_end(tmp_path: Path) -> None:
    pack(tmp_path / "a.zip", "a")
    with opened_source(tmp_path) as tree:
        pass
    with pytest.raises(ConversionError, match="already closed"):
        tree.files[0].read()


def test_archives_are_closed_when_the_block_fails(tmp_path: Path) -> None:
    pack(tmp_path / "a.zip", "a")
    with pytest.raises(KeyboardInterrupt), opened_source(tmp_path) as tree:
        raise KeyboardInterrupt
    with pytest.raises(ConversionError, match="already closed"):
        tree.files[0].read()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files cannot be counted here")
def test_archives_are_closed_when_a_later_one_is_broken(tmp_path: Path) -> None:
    write(pack(tmp_path / "1.zip", "a").parent, "2.zip")
    before = os.listdir("/proc/self/fd")
    with pytest.raises(ConversionError, match=r"2\.zip") as caught, opened_source(tmp_path):
        pass
    # The traceback keeps the archive from being closed by the garbage collector.
    assert os.listdir("/proc/self/fd") == before, caught


# Questions to the tree


def test_folders_are_found_at_any_level_outermost_first() -> None:
    assert folders(tree_of("a/b/data/1", "z/data/2", "data/deeper/3"), "data") == ["data", "z/data", "a/b/data"]


def test_folder_names_must_match_exactly() -> None:
    assert folders(tree_of("Data/1", "data2/2", "data"), "data") == []


def test_folder_that_repeats_itself_is_given_once() -> None:
    assert folders(tree_of("data/data/data/1"), "data") == ["data/data/data"]


@pytest.mark.parametrize("beside", ["data/2", "data/other/2"])
def test_folder_that_holds_more_than_its_namesake_is_given_too(beside: str) -> None:
    assert folders(tree_of("data/data/1", beside), "data") == ["data", "data/data"]


def test_files_in_a_folder_are_its_own_only() -> None:
    tree = tree_of("1", "data/2", "data/3", "data/deeper/4")
    assert [file.path.name for file in tree.files_in(PurePosixPath("data"))] == ["2", "3"]
    assert [file.path.name for file in tree.files_in(ROOT)] == ["1"]
    assert tree.files_in(PurePosixPath("nowhere")) == ()


def test_names_at_the_top_are_listed_once() -> None:
    assert tree_of("data/1", "data/2", "b/c/3", "README").top_level_names() == ("README", "b", "data")
