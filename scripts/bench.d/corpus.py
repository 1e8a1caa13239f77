"""A seeded corpus of synthetic Part 10 files: the same seed makes the same bytes anywhere."""

import hashlib
import os
import random
import struct
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

EXPLICIT_LE = "1.2.840.10008.1.2.1"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
NOISE = 64 << 20
LONG_FORM = {"OB", "OW", "SQ", "UN", "UT"}


@dataclass(frozen=True)
class Kind:
    """One sort of object, and how many of it in how many studies."""

    name: str
    sop_class: str
    modality: str
    rows: int
    columns: int
    frames: int
    studies: int
    per_study: int
    fragments: int = 0  # encapsulated, in so many fragments of 64 MiB


@dataclass
class Study:
    uid: str
    files: list
    size: int


@dataclass
class Corpus:
    """The studies of one kind, newest first, and the folder that holds their files."""

    kind: Kind
    folder: Path
    studies: list

    @property
    def files(self):
        return [path for study in self.studies for path in study.files]

    @property
    def size(self):
        return sum(study.size for study in self.studies)

    def newest(self, files):
        """The newest whole studies, until they hold `files` objects."""
        chosen = []
        for study in self.studies:
            if chosen and sum(len(s.files) for s in chosen) >= files:
                break
            chosen.append(study)
        return Corpus(self.kind, self.folder, chosen)

    def parts(self, count):
        """The files in `count` equal parts, study after study in each."""
        files = self.files
        share = -(-len(files) // count)
        return [files[i : i + share] for i in range(0, len(files), share)]


def make(folder, kind, seed):
    """Writes the corpus of `kind` into `folder`, and says what it wrote."""
    rng = random.Random(f"{seed}/{kind.name}")
    noise = rng.randbytes(NOISE)
    studies = []
    day = date(2024, 12, 31)
    for number in range(kind.studies):
        place = folder / kind.name / f"{number:05}"
        place.mkdir(parents=True)
        study = Study(uid(seed, kind.name, number), [], 0)
        series = uid(seed, kind.name, number, "series")
        for instance in range(kind.per_study):
            path = place / f"{instance:05}.dcm"
            head = header(kind, seed, study.uid, series, number, instance, day)
            with open(path, "wb", buffering=0) as out:
                write(out, head)
                pixels(out, kind, noise, rng)
            study.files.append(str(path))
            study.size += path.stat().st_size
        studies.append(study)
        day -= timedelta(days=rng.randint(0, 3))
    return Corpus(kind, folder / kind.name, studies)


def uid(*parts):
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:15], 'big')}"


def header(kind, seed, study, series, number, instance, day):
    """Preamble, file meta group, and the data set up to the pixel data."""
    sop = uid(seed, kind.name, number, instance)
    syntax = JPEG_2000 if kind.fragments else EXPLICIT_LE
    meta = b"".join([
        element(2, 0x01, "OB", b"\0\1"),
        element(2, 0x02, "UI", kind.sop_class),
        element(2, 0x03, "UI", sop),
        element(2, 0x10, "UI", syntax),
        element(2, 0x12, "UI", uid("implementation")),
    ])
    data = [
        element(8, 0x05, "CS", "ISO_IR 100"),
        element(8, 0x16, "UI", kind.sop_class),
        element(8, 0x18, "UI", sop),
        element(8, 0x20, "DA", f"{day:%Y%m%d}"),
        element(8, 0x30, "TM", f"{8 + number % 10:02}{instance % 60:02}00"),
        element(8, 0x50, "SH", f"A{number:06}"),
        element(8, 0x60, "CS", kind.modality),
        element(8, 0x1030, "LO", f"Benchmark {kind.name}"),
        element(0x10, 0x10, "PN", f"Bench^{kind.name}^{number:05}"),
        element(0x10, 0x20, "LO", f"{kind.name[:2].upper()}{number:06}"),
        element(0x20, 0x0D, "UI", study),
        element(0x20, 0x0E, "UI", series),
        element(0x20, 0x10, "SH", str(number)),
        element(0x20, 0x11, "IS", "1"),
        element(0x20, 0x13, "IS", str(instance + 1)),
        element(0x28, 0x02, "US", struct.pack("<H", 1)),
        element(0x28, 0x04, "CS", "MONOCHROME2"),
        element(0x28, 0x08, "IS", str(kind.frames)),
        element(0x28, 0x10, "US", struct.pack("<H", kind.rows)),
        element(0x28, 0x11, "US", struct.pack("<H", kind.columns)),
        element(0x28, 0x100, "US", struct.pack("<H", 16)),
        element(0x28, 0x101, "US", struct.pack("<H", 12)),
        element(0x28, 0x102, "US", struct.pack("<H", 11)),
        element(0x28, 0x103, "US", struct.pack("<H", 0)),
    ]
    length = element(2, 0, "UL", struct.pack("<I", len(meta)))
    return b"".join([b"\0" * 128, b"DICM", length, meta, *data])


def element(group, number, vr, value):
    if isinstance(value, str):
        value = value.encode("latin-1")
        if len(value) % 2:
            value += b"\0" if vr == "UI" else b" "
    if vr in LONG_FORM:
        return struct.pack("<HH2sHI", group, number, vr.encode(), 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr.encode(), len(value)) + value


def pixels(out, kind, noise, rng):
    """Pixel data of noise: native, or encapsulated in fragments of 64 MiB."""
    if kind.fragments:
        write(out, struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF))
        write(out, struct.pack("<HHI", 0xFFFE, 0xE000, 0))
        for _ in range(kind.fragments):
            write(out, struct.pack("<HHI", 0xFFFE, 0xE000, len(noise)))
            write(out, noise)
        write(out, struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))
        return
    left = kind.rows * kind.columns * 2 * kind.frames
    write(out, struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, left))
    view = memoryview(noise)
    while left:
        size = min(left, NOISE // 2)
        start = rng.randrange(NOISE - size)
        write(out, view[start : start + size])
        left -= size


def write(out, data):
    """All of it: an unbuffered file may take less than it is given."""
    view = memoryview(data)
    while view:
        view = view[out.write(view) :]


def warm(corpus):
    """Reads every byte once, so that no run pays for a cold page cache."""
    buffer = bytearray(1 << 20)
    for path in corpus.files:
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    os.sync()
