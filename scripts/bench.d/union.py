"""The first object of a study that is still on the old PACS: asked of the archive with `union`, and of the old PACS itself."""

import os
import subprocess
import time
from pathlib import Path

from retrieve import getscu_command
from servers import HOST, Failure, Pacsferry, Server, free_port, run
from ways import PATIENCE


class Worker(Pacsferry):
    """Carries the source over, with one association for that and one for who waits."""

    def prepare(self):
        super().prepare()
        self.node_port = free_port()
        path = Path(self.config)
        before, after = path.read_text().split("[node]\n")
        after = after.split("\n", 1)[1]
        peer = f'[[peer]]\nae_title = "GETSCU"\naddress = "{HOST}:104"\nallow = ["query", "retrieve"]\n'
        path.write_text(f'{before}[node]\nunion = true\nlisten = "{HOST}:{self.node_port}"\n{after}{peer}')


class Node(Server):
    """Shows and fetches what that has listed."""

    name = "pacsferry"
    ae_title = "PACSFERRY"

    def __init__(self, folder, worker):
        super().__init__(folder)
        self.worker = worker
        self.port = worker.node_port

    def command(self):
        return [self.worker.binary, "serve", "--no-worker", "--config", self.worker.config]


def first(server, study, folder):
    """Seconds from starting `getscu` to the first byte of an object; it must bring the whole study."""
    out = folder / "in"
    out.mkdir(parents=True)
    started = time.monotonic()
    process = subprocess.Popen(getscu_command(server, study, "+B", "-od", str(out)), stdin=subprocess.DEVNULL)
    seconds = None
    while process.poll() is None:
        if seconds is None and any(entry.stat().st_size for entry in os.scandir(out)):
            seconds = time.monotonic() - started
        if time.monotonic() - started > PATIENCE:
            process.kill()
        time.sleep(0.001)
    came = len(os.listdir(out))
    if process.returncode or came != len(study.files):
        raise Failure(f"{server.name} gave {came} of {len(study.files)} objects")
    return seconds if seconds is not None else time.monotonic() - started


def pair(binary, source, made, folder):
    """One round, while the archive carries the source over: of the source, and of the archive for the oldest study, which
    comes last. Both under the same load: many a source is slower while it sends to somebody else."""
    worker = Worker(folder / "worker", binary)
    source.know(worker)
    study, other = made.studies[-1], made.studies[-2]
    worker.source(source, 2)
    worker.prepare()
    run([binary, "migrate", source.name.lower(), "--detach", "--config", worker.config], PATIENCE)
    with source, worker, Node(folder / "node", worker) as node:
        still_there(node, study)
        theirs = first(source, other, folder / "theirs")
        still_there(node, study)
        return first(node, study, folder / "ours"), theirs


def still_there(node, study):
    """Waits until the study is listed; it must not be filed."""
    wanted = ["findscu", "-S", "-aet", "GETSCU", "-aec", node.ae_title, "-k", "QueryRetrieveLevel=STUDY",
              "-k", f"StudyInstanceUID={study.uid}", "-k", "InstanceAvailability", HOST, str(node.port)]
    until = time.monotonic() + PATIENCE
    while "NEARLINE" not in (said := run(wanted, PATIENCE)):
        if "ONLINE" in said or time.monotonic() > until:
            raise Failure("the oldest study was there before it could be asked for: take a larger corpus")
        time.sleep(0.02)
