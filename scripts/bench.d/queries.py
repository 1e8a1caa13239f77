"""Queries: `findscu` asks archives that hold the same studies for all of them, with counts and modalities."""

import os
import time

from servers import HOST, Dcmqrscp, Failure, Node, Orthanc, run
from ways import PATIENCE, Run

KEYS = ["QueryRetrieveLevel=STUDY", "StudyInstanceUID", "StudyDate", "StudyTime", "PatientName", "PatientID",
        "AccessionNumber", "StudyDescription", "ModalitiesInStudy", "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances"]
DCMQRSCP_HOLDS = 500  # studies; its index takes no more


def ours(folder, binary, corpus):
    """A node that holds the corpus."""
    node = Node(folder, binary)
    node.peers = [("FINDER", 104)]
    node.register(corpus.files)
    return node


def orthanc(folder, corpus):
    server = Orthanc(folder)
    with server:
        server.upload(corpus.files)
    return server


def dcmqrscp(folder, corpus):
    server = Dcmqrscp(folder)
    server.register(corpus.files)
    return server


def findscu(server, keys, *options):
    keys = [word for key in keys for word in ("-k", key)]
    return ["findscu", "-S", *options, "-aet", "FINDER", "-aec", server.ae_title, *keys, HOST, str(server.port)]


def all_studies(server, corpus):
    """Every study, to a `findscu` that prints nothing; what it is told is counted once, before."""

    def way(folder):
        with server:
            if not getattr(server, "counted", False):
                told = run(findscu(server, KEYS, "-v"), PATIENCE).count("Find Response:")
                if told != len(corpus.studies):
                    raise Failure(f"{server.name} tells {told} of {len(corpus.studies)} studies")
                server.counted = True
            started = time.monotonic()
            run(findscu(server, KEYS), PATIENCE)
            seconds = time.monotonic() - started
        return Run(len(corpus.studies), 0, seconds, server.peak, server.cpu)

    return way


def one_by_one(server, corpus, count):
    """So many queries for one patient each, an association each: what a viewer does all day."""

    def way(folder):
        step = max(1, len(corpus.studies) // count)
        patients = [f"{corpus.kind.name[:2].upper()}{number:06}" for number in range(0, len(corpus.studies), step)]
        with server:
            os.sync()
            started = time.monotonic()
            for patient in patients:
                run(findscu(server, [*KEYS, f"PatientID={patient}"]), PATIENCE)
            seconds = time.monotonic() - started
        return Run(len(patients), 0, seconds, server.peak, server.cpu)

    return way
