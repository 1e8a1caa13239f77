"""The ways that are compared: each moves a corpus once, into a fresh folder, and says how long it took.

A way is a function of a fresh folder; it returns a `Run`. Servers start before and end after the
clock runs; what arrived is counted before a run counts.
"""

import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import limit
from servers import HOST, Failure, Orthanc, Pacsferry, Storescp, cpu_time, free_port, peak_memory, run

PATIENCE = 1800


@dataclass
class Run:
    files: int
    size: int
    seconds: float
    memory: int = 0  # peak resident memory of the process that is measured, in bytes
    cpu: float = 0.0  # processor time of the receiver or puller, in seconds

    @property
    def rate(self):
        return self.files / self.seconds


# C-STORE: a sender pushes into a receiver.


def dcmsend(port, parts, called, prompt=True):
    """Seconds that `len(parts)` associations at once take to send everything."""
    with ThreadPoolExecutor(len(parts)) as pool:
        started = time.monotonic()
        list(pool.map(lambda part: run(
            ["dcmsend", "-q", "-nuc", "-aet", "SENDER", "-aec", called, "-ma", HOST, str(port), *part],
            PATIENCE, prompt), parts))
        return time.monotonic() - started


def into(make, corpus, associations, prompt=True):
    """Receiver alone: the corpus by `dcmsend` into the server that `make` makes of a folder."""

    def way(folder):
        server = make(folder)
        with server:
            seconds = dcmsend(server.port, corpus.parts(associations), server.ae_title, prompt)
            expect(server, corpus)
        return Run(len(corpus.files), corpus.size, seconds, server.peak, server.cpu)

    return way


def raw_tcp(corpus, associations):
    def way(folder):
        seconds = limit.raw_tcp(corpus.parts(associations), folder, PATIENCE)
        return Run(len(corpus.files), corpus.size, seconds)

    return way


def expect(server, corpus):
    """What a sender was told is not believed: the receiver must have it."""
    stored = server.stored()
    if stored != len(corpus.files):
        raise Failure(f"{server.name} holds {stored} of {len(corpus.files)} objects")


# Pulls: the corpus is in a source, which is restarted so that it knows the receiver of this run.


def migrate(binary, source, corpus, associations=4):
    """The whole way, list to proof, by `pacsferry migrate` in the foreground."""

    def way(folder):
        ferry = Pacsferry(folder, binary, answer=None)
        source.know(ferry)
        ferry.source(source, associations)
        ferry.prepare()
        with source:
            started = time.monotonic()
            peak, cpu = watched([binary, "migrate", source.name.lower(), "--config", ferry.config], folder)
            seconds = time.monotonic() - started
        report = json.loads(run([binary, "report", "last", "--format", "json", "--config", ferry.config], 600))
        items = report["items"]
        if items["proven"] != items["total"] or items["total"] != len(corpus.studies):
            raise Failure(f"not everything is proven: {items}")
        if report["objects"]["filed"] != len(corpus.files):
            raise Failure(f"filed {report['objects']} of {len(corpus.files)}")
        return Run(len(corpus.files), corpus.size, seconds, peak, cpu)

    return way


def watched(command, folder):
    """Runs pacsferry to its end; its peak memory and processor time."""
    with open(folder / "migrate.log", "wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        peak, cpu = 0, 0.0
        try:
            while process.poll() is None:
                peak, cpu = max(peak, peak_memory(process.pid)), max(cpu, cpu_time(process.pid))
                if time.monotonic() > deadline:
                    raise Failure(f"pacsferry migrate took more than {PATIENCE} s")
                time.sleep(0.02)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode:
        tail = (folder / "migrate.log").read_bytes()[-500:].decode(errors="replace")
        raise Failure(f"pacsferry migrate ended with {process.returncode}: {tail}")
    return peak, cpu


def movescu_command(source, destination, study, *more):
    return ["movescu", "-q", "-S", "-aet", "MOVESCU", "-aec", source.ae_title, "-aem", destination, *more,
            "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study.uid}", HOST, str(source.port)]


def movescu_into_storescp(source, corpus, at_once=4, measured="receiver"):
    """The fastest chain of peers: several `movescu` at once into one forking `storescp`. Memory and processor time are
    those of the source, if that is what is `measured`."""

    def way(folder):
        receiver = Storescp(folder)
        source.know(receiver)
        with source, receiver, ThreadPoolExecutor(at_once) as pool:
            started = time.monotonic()
            list(pool.map(
                lambda study: run(movescu_command(source, receiver.ae_title, study), PATIENCE), corpus.studies))
            seconds = time.monotonic() - started
            expect(receiver, corpus)
        if measured == "source":
            return Run(len(corpus.files), corpus.size, seconds, source.peak, source.cpu)
        return Run(len(corpus.files), corpus.size, seconds, cpu=receiver.cpu)

    return way


class Destination:
    """Where `movescu` itself listens."""

    ae_title = "MOVESCU"

    def __init__(self):
        self.port = free_port()


def movescu_alone(source, corpus):
    """What a shell script does: one `movescu` with its own receiver a study."""

    def way(folder):
        own = Destination()
        source.know(own)
        out = folder / "in"
        out.mkdir(parents=True)
        with source:
            started = time.monotonic()
            for study in corpus.studies:
                run(movescu_command(source, own.ae_title, study, "-pdu", "131072", "-od", str(out),
                                    "+P", str(own.port)), PATIENCE)
            seconds = time.monotonic() - started
        stored = len(os.listdir(out))
        if stored != len(corpus.files):
            raise Failure(f"movescu holds {stored} of {len(corpus.files)} objects")
        return Run(len(corpus.files), corpus.size, seconds)

    return way


def orthanc_pulls(source, corpus, prompt=True):
    """Another Orthanc has the source move study by study to itself."""

    def way(folder):
        puller = Orthanc(folder, "PULLER", prompt)
        puller.know(source)
        source.know(puller)
        with source, puller:
            started = time.monotonic()
            for study in corpus.studies:
                puller.ask("POST", f"/modalities/{source.ae_title}/move", json.dumps({
                    "Level": "Study", "Resources": [{"StudyInstanceUID": study.uid}],
                    "Synchronous": True, "Timeout": PATIENCE,
                }))
            seconds = time.monotonic() - started
            expect(puller, corpus)
        return Run(len(corpus.files), corpus.size, seconds, puller.peak, puller.cpu)

    return way

