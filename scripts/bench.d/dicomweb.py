"""DICOMweb: an HTTP client that keeps its connection asks archives that hold the same studies."""

import http.client
import json
import time

from servers import HOST, Failure, Node, Orthanc, free_port, run
from ways import PATIENCE, Run

PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
OBJECTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
JSON = "application/dicom+json"


class WebNode(Node):
    """Ours, with an account whose token the client shows."""

    def prepare(self):
        super().prepare()
        self.http_port = free_port()
        path = self.folder / "pacsferry.toml"
        text, _ = path.read_text().split("[web]")
        path.write_text(f'{text}[web]\nlisten = "{HOST}:{self.http_port}"\n')

    def register(self, files):
        super().register(files)
        config = ["--json", "--config", str(self.folder / "pacsferry.toml")]
        run([self.binary, "user", "add", "bench", "--role", "administrator", *config], PATIENCE)
        said = run([self.binary, "user", "token", "bench", *config], PATIENCE)
        # Beside the document it says that this is shown once.
        self.token = json.loads(said[said.index("{"):said.rindex("}") + 1])["token"]

    def ready(self):
        try:
            return super().ready() and ask(self, "/studies?limit=1", JSON)[0] in (200, 204)
        except (OSError, http.client.HTTPException):
            return False


class WebOrthanc(Orthanc):
    """Orthanc with Debian's `orthanc-dicomweb`."""

    token = ""

    def prepare(self):
        super().prepare()
        path = self.folder / "orthanc.json"
        config = json.loads(path.read_text())
        config |= {"Plugins": [PLUGIN], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}
        path.write_text(json.dumps(config, indent=1))


def asker(server):
    return http.client.HTTPConnection(HOST, server.http_port, timeout=600)


def asked(server, path, accept, connection=None):
    connection = connection or asker(server)
    headers = {"Accept": accept} | ({"Authorization": f"Bearer {server.token}"} if server.token else {})
    connection.request("GET", f"/dicom-web{path}", headers=headers)
    return connection.getresponse()


def ask(server, path, accept, connection=None):
    answer = asked(server, path, accept, connection)
    return answer.status, answer.read()


def received(answer, mark):
    """How long an answer is, and how often the mark is in it: received into one buffer, so that it is the server that
    is measured, and not how Python joins hundreds of megabytes."""
    buffer, near = bytearray(1 << 20), len(mark) - 1
    size, marks, before = 0, 0, b""
    while count := answer.readinto(buffer):
        # The end of the buffer before and the beginning of this one have only marks that begin there and end here.
        marks += buffer.count(mark, 0, count) + (before + buffer[: min(count, near)]).count(mark)
        before = (before + buffer[max(0, count - near) : count])[-near:]
        size += count
    return size, marks


def found(server, corpus):
    """QIDO-RS: every study with what viewers list, then the series of each."""

    def way(_):
        with server:
            started = time.monotonic()
            connection = asker(server)
            status, text = ask(server, "/studies?includefield=StudyDescription", JSON, connection)
            studies = json.loads(text or "[]")
            for study in studies:
                uid = study["0020000D"]["Value"][0]
                status, text = ask(server, f"/studies/{uid}/series", JSON, connection)
                if status != 200 or not json.loads(text):
                    raise Failure(f"{server.name}: no series of {uid}: {status}")
            seconds = time.monotonic() - started
        if len(studies) != len(corpus.studies):
            raise Failure(f"{server.name} tells {len(studies)} of {len(corpus.studies)} studies")
        return Run(len(corpus.studies), 0, seconds, server.peak, server.cpu)

    return way


def fetched(server, corpus):
    """WADO-RS: each study whole, as it is held, received and counted."""

    def way(_):
        objects = 0
        with server:
            started = time.monotonic()
            connection = asker(server)
            for study in corpus.studies:
                answer = asked(server, f"/studies/{study.uid}", OBJECTS, connection)
                if answer.status != 200:
                    raise Failure(f"{server.name}: {study.uid}: {answer.status} {answer.read(200)!r}")
                size, found = received(answer, b"\r\nContent-Type: application/dicom")
                if size < study.size:
                    raise Failure(f"{server.name}: {study.uid}: {size} bytes of {study.size}")
                objects += found
            seconds = time.monotonic() - started
        if objects != len(corpus.files):
            raise Failure(f"{server.name} sent {objects} of {len(corpus.files)} objects")
        return Run(len(corpus.files), corpus.size, seconds, server.peak, server.cpu)

    return way
