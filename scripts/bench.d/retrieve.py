"""Objects on their way out: C-GET and C-MOVE from archives that hold the same corpus, to the same receiver."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

from servers import HOST, Failure, run
from ways import PATIENCE, Run


def getscu_command(source, study, *more):
    return ["getscu", "-q", "-S", "-aet", "GETSCU", "-aec", source.ae_title, "-pdu", "131072", *more,
            "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study.uid}", HOST, str(source.port)]


def got(source, corpus, at_once):
    """Each study by one bit-preserving `getscu`, so many of them at once."""

    def way(folder):
        out = folder / "in"
        out.mkdir(parents=True)
        with source, ThreadPoolExecutor(at_once) as pool:
            started = time.monotonic()
            list(pool.map(
                lambda study: run(getscu_command(source, study, "+B", "-od", str(out)), PATIENCE), corpus.studies))
            seconds = time.monotonic() - started
        stored = len(os.listdir(out))
        if stored != len(corpus.files):
            raise Failure(f"getscu holds {stored} of {len(corpus.files)} objects")
        return Run(len(corpus.files), corpus.size, seconds, source.peak, source.cpu)

    return way


def crowd(source, corpus, retrieves):
    """So many retrieves at once of whole studies, received and dropped."""

    def way(_):
        studies = [corpus.studies[n % len(corpus.studies)] for n in range(retrieves)]
        with source, ThreadPoolExecutor(retrieves) as pool:
            started = time.monotonic()
            list(pool.map(lambda study: run(getscu_command(source, study, "--ignore"), PATIENCE), studies))
            seconds = time.monotonic() - started
        files, size = sum(len(study.files) for study in studies), sum(study.size for study in studies)
        return Run(files, size, seconds, source.peak, source.cpu)

    return way
