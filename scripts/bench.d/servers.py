"""The servers that are measured or measured against: each a child process on a free loopback port."""

import json
import os
import signal
import socket
import subprocess
import time
import http.client
from pathlib import Path

HOST = "127.0.0.1"
# DCMTK and Orthanc leave Nagle's algorithm on unless told so in the environment.
PROMPT = {"TCP_NODELAY": "1"}
START = 60
STOP = 30


class Failure(Exception):
    """A run that cannot be counted, and why."""


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


class Server:
    """A child process that listens; ended by its own id, in its own process group."""

    name = "server"
    forks = False

    def __init__(self, folder, prompt=True):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.prompt = prompt
        self.process = None
        self.peak = 0  # resident memory at its most, where one process does all the work
        self.cpu = 0.0  # seconds of processor time, likewise

    def command(self):
        raise NotImplementedError

    def prepare(self):
        pass

    def start(self):
        self.prepare()
        env = dict(os.environ)
        env.pop("TCP_NODELAY", None)
        if self.prompt:
            env.update(PROMPT)
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            self.command(), cwd=self.folder, env=env, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, start_new_session=True,
        )
        log.close()
        deadline = time.monotonic() + START
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Failure(f"{self.name} did not start: see {self.folder / 'log'}")
            time.sleep(0.02)
        return self

    def ready(self):
        try:
            socket.create_connection((HOST, self.port), 1).close()
            return True
        except OSError:
            return False

    def stop(self):
        if self.process is None:
            return
        if not self.forks:
            self.cpu = cpu_time(self.process.pid)
            self.peak = max(self.peak, peak_memory(self.process.pid))
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP)
            except subprocess.TimeoutExpired:
                pass
        # What a forking server left behind is in its group.
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def peak_memory(pid):
    """Peak resident memory in bytes; 0 when the process is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def cpu_time(pid):
    """Seconds of processor time; 0 when the process is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(ticks) for ticks in fields[11:13]) / os.sysconf("SC_CLK_TCK")


class Storescp(Server):
    """DCMTK's fastest receiver: forking, bit-preserving, large PDUs; syncs nothing, keeps no catalog."""

    name = "storescp"
    forks = True
    ae_title = "STORESCP"

    def prepare(self):
        (self.folder / "in").mkdir(exist_ok=True)

    def command(self):
        return ["storescp", "--fork", "+B", "+xa", "-pm", "-dhl", "-pdu", "131072",
                "-od", str(self.folder / "in"), str(self.port)]

    def stored(self):
        return count_files(self.folder / "in")


class Orthanc(Server):
    """Orthanc with its SQLite index and its own default of syncing each object."""

    name = "Orthanc"

    def __init__(self, folder, ae_title="ORTHANC", prompt=True):
        super().__init__(folder, prompt)
        self.ae_title = ae_title
        self.http_port = free_port()
        self.modalities = {}

    def prepare(self):
        config = {
            "Name": self.ae_title,
            "StorageDirectory": str(self.folder / "db"),
            "IndexDirectory": str(self.folder / "db"),
            "StorageCompression": False,
            "DicomAet": self.ae_title,
            "DicomPort": self.port,
            "DicomCheckCalledAet": False,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "UnknownSopClassAccepted": True,
            "DicomThreadsCount": 8,
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "OrthancExplorerEnabled": False,
            "DicomModalities": self.modalities,
        }
        (self.folder / "orthanc.json").write_text(json.dumps(config, indent=1))

    def command(self):
        return ["Orthanc", str(self.folder / "orthanc.json")]

    def know(self, server):
        """From its next start it knows this one other, as destination or source, and no more."""
        self.modalities = {server.ae_title: [server.ae_title, HOST, server.port]}

    def ready(self):
        try:
            return super().ready() and self.ask("GET", "/system") is not None
        except (OSError, http.client.HTTPException, Failure):
            return False

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection(HOST, self.http_port, timeout=600)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise Failure(f"Orthanc: {method} {path}: {answer.status} {text[:200]!r}")
        return json.loads(text)

    def upload(self, files):
        connection = http.client.HTTPConnection(HOST, self.http_port, timeout=600)
        for path in files:
            with open(path, "rb") as file:
                connection.request("POST", "/instances", file.read())
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise Failure(f"Orthanc refused {path}: {answer.status}")
        connection.close()

    def stored(self):
        return self.ask("GET", "/statistics")["CountInstances"]


class Dcmqrscp(Server):
    """DCMTK's image archive over files that dcmqridx registered where they lie."""

    name = "dcmqrscp"
    forks = True

    def __init__(self, folder, ae_title="OLDPACS", prompt=True):
        super().__init__(folder, prompt)
        self.ae_title = ae_title
        self.hosts = []

    def know(self, server):
        """From its next start it knows this one move destination and no more."""
        self.hosts = [(server.ae_title, server.port)]

    def register(self, files):
        storage = self.folder / "storage"
        storage.mkdir(exist_ok=True)
        for start in range(0, len(files), 500):
            run(["dcmqridx", "-n", str(storage), *files[start : start + 500]], 1800)

    def prepare(self):
        hosts = "".join(f"h{n} = ({ae}, {HOST}, {port})\n" for n, (ae, port) in enumerate(self.hosts))
        (self.folder / "dcmqrscp.cfg").write_text(
            f"NetworkTCPPort = {self.port}\nMaxPDUSize = 131072\nMaxAssociations = 32\n"
            f"HostTable BEGIN\n{hosts}HostTable END\n"
            "VendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\n{self.ae_title} {self.folder / 'storage'} R (100000, 1024gb) ANY\nAETable END\n"
        )

    def command(self):
        return ["dcmqrscp", "-dhl", "-c", str(self.folder / "dcmqrscp.cfg")]


class Pacsferry(Server):
    """Ours: as a worker when started; `prepare` alone is enough for a `migrate` in the foreground."""

    name = "pacsferry"
    ae_title = "FERRY_RX"

    def __init__(self, folder, binary, answer="durable"):
        super().__init__(folder)
        self.binary = binary
        self.answer = answer
        self.sources = []

    def source(self, server, associations):
        """Adds a `[[source]]`."""
        self.sources.append(dict(
            name=server.name.lower(), ae_title=server.ae_title,
            address=f"{HOST}:{server.port}", associations=associations,
        ))

    @property
    def config(self):
        return str(self.folder / "pacsferry.toml")

    def prepare(self):
        sources = self.sources or [dict(name="sender", ae_title="SENDER", address=f"{HOST}:104")]
        lines = [
            "[storage]", f'folder = "{self.folder / "images"}"',
            f'catalog = "sqlite:{self.folder / "catalog.db"}"', 'minimum_free = "1 GiB"',
            "[node]", f'listen = "{HOST}:{free_port()}"',
            "[receiver]", f'ae_title = "{self.ae_title}"', f'listen = "{HOST}:{self.port}"',
        ]
        if self.answer:
            lines.append(f'answer = "{self.answer}"')
        for source in sources:
            lines.append("[[source]]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in source.items()]
        lines += ["[web]", f'listen = "{HOST}:{free_port()}"']
        Path(self.config).write_text("\n".join(lines) + "\n")

    def command(self):
        return [self.binary, "work", "--config", self.config]

    def stored(self):
        return count_files(self.folder / "images" / "images")


class Node(Server):
    """Ours as the hospital's node, over an archive that was imported before."""

    name = "pacsferry"
    ae_title = "PACSFERRY"

    def __init__(self, folder, binary):
        super().__init__(folder)
        self.binary = binary
        self.peers = []

    def know(self, server):
        """From its next start it knows this one move destination, and DCMTK's tools."""
        self.peers = [("MOVESCU", 104), (server.ae_title, server.port)]

    def register(self, files):
        self.prepare()
        folder = os.path.commonpath(files)
        run([self.binary, "import", folder, "--copy", "--config", str(self.folder / "pacsferry.toml")], 1800)

    def prepare(self):
        lines = [
            "[storage]", f'folder = "{self.folder / "images"}"',
            f'catalog = "sqlite:{self.folder / "catalog.db"}"', 'minimum_free = "1 GiB"',
            "[node]", f'listen = "{HOST}:{self.port}"', f'ae_title = "{self.ae_title}"',
            "[receiver]", f'listen = "{HOST}:{free_port()}"',
        ]
        for ae_title, port in [("GETSCU", 104), *self.peers]:
            lines += ["[[peer]]", f'ae_title = "{ae_title}"', f'address = "{HOST}:{port}"', 'allow = ["query", "retrieve"]']
        lines += ["[web]", f'listen = "{HOST}:{free_port()}"']
        (self.folder / "pacsferry.toml").write_text("\n".join(lines) + "\n")

    def command(self):
        return [self.binary, "serve", "--no-worker", "--config", str(self.folder / "pacsferry.toml")]


class Corrected(Node):
    """The same, where every object was moved to another study and patient: what leaves is rewritten."""

    def register(self, files):
        super().register(files)
        config = ["--config", str(self.folder / "pacsferry.toml")]
        rows = json.loads(run([self.binary, "find", "catalog", "--level", "series", "--json", *config], 600))
        series = {}
        for row in rows:
            series.setdefault(row["StudyInstanceUID"], []).append(row["SeriesInstanceUID"])
        studies = sorted(series)
        # Two studies change places, so that each still has as many objects as before; of an odd number three do.
        places = [studies[n:n + 2] for n in range(0, len(studies) - len(studies) % 2, 2)]
        if len(studies) % 2 and places:
            places[-1].append(studies[-1])
        for group in places:
            for study, other in zip(group, group[1:] + group[:1]):
                run([self.binary, "reallocate", *series[study], "--to", other, "--confirm-patient", *config], 600)


def count_files(folder):
    return sum(len(files) for _, _, files in os.walk(folder))


def run(command, limit, prompt=True, cwd=None):
    """One child process to its end, within `limit` seconds; its output, or a Failure."""
    env = dict(os.environ)
    env.pop("TCP_NODELAY", None)
    if prompt:
        env.update(PROMPT)
    try:
        done = subprocess.run(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, timeout=limit,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except subprocess.TimeoutExpired:
        raise Failure(f"{command[0]} took more than {limit} s") from None
    if done.returncode:
        tail = done.stdout.decode(errors="replace")[-500:]
        raise Failure(f"{command[0]} ended with {done.returncode}: {tail}")
    return done.stdout.decode(errors="replace")
