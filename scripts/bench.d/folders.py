"""The ways a folder of files gets into an archive, or is read at all."""

import json
import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from servers import Failure, Orthanc, run
from ways import PATIENCE, Run, expect, watched

CP = "cp -r; sync"
INDEX = "dcmqridx on copied files"
UPLOAD = "Orthanc's REST upload, 4 clients"
HEADS = "reading 64 KiB of each file"
WHOLE = "reading each file"
HEAD = 64 * 1024
CLIENTS = 4


def imported(make, corpus, *how):
    """The whole way, walk to proof, by `pacsferry import` in the foreground."""

    def way(folder):
        ferry = make(folder)
        ferry.prepare()
        os.sync()
        command = [ferry.binary, "import", str(corpus.folder), *how, "--config", ferry.config]
        started = time.monotonic()
        peak, cpu = watched(command, folder)
        seconds = time.monotonic() - started
        report = json.loads(run([ferry.binary, "report", "last", "--format", "json", "--config", ferry.config], 600))
        items, objects = report["items"], report["objects"]
        if items["proven"] != len(corpus.studies) or objects["filed"] != len(corpus.files):
            raise Failure(f"not everything is proven: {items} {objects}")
        return Run(len(corpus.files), corpus.size, seconds, peak, cpu)

    return way


def cp_and_sync(corpus):
    def way(folder):
        os.sync()
        started = time.monotonic()
        subprocess.run(["cp", "-r", str(corpus.folder), str(folder / "copy")], check=True, timeout=PATIENCE)
        os.sync()
        return Run(len(corpus.files), corpus.size, time.monotonic() - started)

    return way


def dcmqridx(corpus):
    """DCMTK's index over files that were copied before the clock runs."""

    def way(folder):
        storage = folder / "storage"
        storage.mkdir()
        copies = []
        for number, path in enumerate(corpus.files):
            copies.append(str(storage / f"{number:06}.dcm"))
            shutil.copyfile(path, copies[-1])
        os.sync()
        started = time.monotonic()
        for start in range(0, len(copies), 500):
            run(["dcmqridx", "-n", str(storage), *copies[start : start + 500]], PATIENCE)
        return Run(len(copies), corpus.size, time.monotonic() - started)

    return way


def uploaded(corpus):
    """POST /instances into Orthanc over connections that are kept."""

    def way(folder):
        orthanc = Orthanc(folder)
        with orthanc, ThreadPoolExecutor(CLIENTS) as pool:
            started = time.monotonic()
            list(pool.map(orthanc.upload, corpus.parts(CLIENTS)))
            seconds = time.monotonic() - started
            expect(orthanc, corpus)
        return Run(len(corpus.files), corpus.size, seconds, orthanc.peak, orthanc.cpu)

    return way


def heads(corpus):
    return reading(corpus, HEAD)


def whole(corpus):
    return reading(corpus, None)


def reading(corpus, most):
    """What the file system gives when nothing is done with it."""

    def way(_):
        buffer = bytearray(most or 1 << 20)
        started = time.monotonic()
        for path in corpus.files:
            with open(path, "rb", buffering=0) as file:
                while file.readinto(buffer) and not most:
                    pass
        return Run(len(corpus.files), corpus.size, time.monotonic() - started)

    return way
