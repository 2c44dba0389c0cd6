"""Official archives: found on disk or downloaded once, checked, and read without unpacking anything."""

import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mpdviz.errors import BadInput
from mpdviz.system.files import exists
from mpdviz.system.progress import bar
from mpdviz.system.reading import opened, read_bytes


@dataclass(frozen=True)
class Archive:
    """A gzipped tar file that a data set is published as."""

    url: str
    md5: str
    """The checksum that its publisher states."""
    folder: str
    """The folder in it that holds the members."""

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.url.rpartition("/")[2]


def members(archive: Archive, data_dir: Path | None, names: tuple[str, ...]) -> dict[str, bytes]:
    """The contents of the named files, by name.

    Args:
        archive: where they are published.
        data_dir: the unpacked folder, the folder that holds it, or the one that holds the archive itself;
            None downloads the archive to the user's cache folder, once.
        names: names of files in `archive.folder`.

    Raises:
        BadInput: a file is missing or unreadable, or the archive is damaged, incomplete or not the right one.
    """
    if data_dir is None:
        path = downloaded(archive.url, archive.md5, archive.name, remedy(archive))
        return _from_archive(archive, path, names)
    unpacked = data_dir / archive.folder if exists(data_dir / archive.folder) else data_dir
    packed = data_dir / archive.name
    if exists(packed) and not exists(unpacked / names[0]):
        return _from_archive(archive, packed, names)
    return {name: _read(unpacked / name, archive) for name in names}


def remedy(archive: Archive) -> str:
    """What to do where files are missing or wrong."""
    return f"give as data_dir the folder that holds {archive.folder} or {archive.name}, from {archive.url}"


def _read(path: Path, archive: Archive) -> bytes:
    if not exists(path):
        raise BadInput(f"no file {path}", remedy(archive))
    return read_bytes(path, "data", may_be_empty=True)


def check_md5(path: Path, expected: str, again: str) -> None:
    """Refuse a file that is not, to the bit, the one that was published.

    Args:
        path: the file.
        expected: its MD5 in hexadecimal digits.
        again: what to do about another one.

    Raises:
        BadInput: it is another one, or cannot be read.
    """
    with opened(path, "data") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != expected:
        raise BadInput(f"{path} is damaged or incomplete: md5 {found}, expected {expected}", again)


def check_member(name: str, path: Path, again: str) -> PurePosixPath:
    """The place of an archive's member, which must not lead out of the archive.

    Raises:
        BadInput: it does.
    """
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts:
        raise BadInput(f"{path} holds a path outside its folder: {name}", again)
    return place


def _from_archive(archive: Archive, path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    again = f"remove it and download it again from {archive.url}"
    check_md5(path, archive.md5, again)
    contents: dict[str, bytes] = {}
    wanted = {f"{archive.folder}/{name}": name for name in names}
    try:
        with tarfile.open(path, "r:gz") as tar:
            for member in tar:
                place = check_member(member.name, path, again)
                # Read in memory: nothing in the archive gets to choose where it is written.
                if str(place) in wanted and member.isfile():
                    file_ = tar.extractfile(member)
                    assert file_ is not None
                    contents[wanted[str(place)]] = file_.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise BadInput(f"{path} cannot be read as an archive: {error}", again) from None
    missing = [name for name in names if name not in contents]
    if missing:
        raise BadInput(f"{path} has no {archive.folder}/{missing[0]}", again)
    return contents


def downloaded(url: str, md5: str, name: str, otherwise: str) -> Path:
    """A file in the user's cache folder, downloaded unless it is there.

    Args:
        url: where it is published.
        md5: its checksum; another file is not kept.
        name: what it is called in the cache.
        otherwise: what to do where it cannot be downloaded.

    Raises:
        BadInput: it cannot be.
    """
    import pooch  # slow to import, and rarely needed
    from requests import RequestException

    pooch.get_logger().setLevel("WARNING")
    try:
        with bar(f"downloading {name}", as_bytes=True) as progress:
            path = pooch.retrieve(
                url,
                known_hash=f"md5:{md5}",
                fname=name,
                path=pooch.os_cache("mpdviz"),
                downloader=pooch.HTTPDownloader(progressbar=progress, timeout=30),
            )
    except (RequestException, OSError, ValueError) as error:
        # pooch answers a wrong checksum with a ValueError, and keeps nothing of the file.
        reason = str(error).splitlines()[0]
        raise BadInput(f"cannot download {url}: {reason}", otherwise) from None
    return Path(path)
