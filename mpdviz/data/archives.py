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
        return _from_archive(archive, _downloaded(archive), names)
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


def _from_archive(archive: Archive, path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    again = f"remove it and download it again from {archive.url}"
    with opened(path, "data") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != archive.md5:
        raise BadInput(f"{path} is damaged or incomplete: md5 {found}, expected {archive.md5}", again)
    contents: dict[str, bytes] = {}
    wanted = {f"{archive.folder}/{name}": name for name in names}
    try:
        with tarfile.open(path, "r:gz") as tar:
            for member in tar:
                place = PurePosixPath(member.name)
                if place.is_absolute() or ".." in place.parts:
                    raise BadInput(f"{path} holds a path outside its folder: {member.name}", again)
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


def _downloaded(archive: Archive) -> Path:
    import pooch  # slow to import, and rarely needed
    from requests import RequestException

    pooch.get_logger().setLevel("WARNING")
    cache = pooch.os_cache("mpdviz")
    try:
        with bar(f"downloading {archive.name}", as_bytes=True) as progress:
            path = pooch.retrieve(
                archive.url,
                known_hash=f"md5:{archive.md5}",
                fname=archive.name,
                path=cache,
                downloader=pooch.HTTPDownloader(progressbar=progress, timeout=30),
            )
    except (RequestException, OSError, ValueError) as error:
        # pooch answers a wrong checksum with a ValueError, and keeps nothing of the file.
        reason = str(error).splitlines()[0]
        raise BadInput(f"cannot download {archive.url}: {reason}", remedy(archive)) from None
    return Path(path)
