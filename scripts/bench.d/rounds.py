"""Runs ways in turn, round after round, and says what came of it: medians, and ratios of pairs."""

import os
import statistics
import sys
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from servers import Failure

OURS = "pacsferry"


@dataclass
class Experiment:
    """Ways side by side. `ours` is divided by each other way that is on its way round."""

    title: str
    ways: dict
    targets: dict = field(default_factory=dict)  # way -> the ratio that we want at least
    ours: str = OURS


@dataclass
class Result:
    experiment: Experiment
    runs: dict  # way -> one Run or None a round
    failures: dict  # way -> why it failed first


class Scratch:
    """Fresh folders for runs. Nothing is unlinked until the very end: creating files is slow on
    ext4 for a minute after many were deleted, so what a run left is truncated instead."""

    def __init__(self, root):
        self.root = Path(root)
        self.numbers = count()

    def fresh(self):
        folder = self.root / f"{next(self.numbers):05}"
        folder.mkdir(parents=True)
        return folder

    @staticmethod
    def empty(folder):
        for place, _, names in os.walk(folder):
            for name in names:
                if name not in ("log", "migrate.log"):
                    os.truncate(os.path.join(place, name), 0)
        os.sync()


def measure(experiment, rounds, scratch):
    """Each way once a round, each round beginning with another way."""
    names = list(experiment.ways)
    runs = {name: [] for name in names}
    failures = {}
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            folder = scratch.fresh()
            started = time.monotonic()
            try:
                done = experiment.ways[name](folder)
                runs[name].append(done)
                said = f"{done.rate:8.1f} files/s"
            except Failure as failure:
                runs[name].append(None)
                failures.setdefault(name, str(failure))
                said = f"failed: {failure}"
            scratch.empty(folder)
            print(f"{experiment.title} | {number + 1}/{rounds} | {name}: {said}"
                  f" ({time.monotonic() - started:.1f} s in all)", file=sys.stderr, flush=True)
    return Result(experiment, runs, failures)


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def ratio(result, other):
    """The median over the rounds of ours / other, each pair from one round."""
    pairs = zip(result.runs[result.experiment.ours], result.runs[other])
    return median([a.rate / b.rate for a, b in pairs if a and b])


def table(result):
    """The result as lines of Markdown."""
    experiment = result.experiment
    lines = [
        f"### {experiment.title}", "",
        "| | objects | files/s, median (least to most) | MB/s | CPU, ms an object | peak memory | pacsferry is | target |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, runs in result.runs.items():
        done = [run for run in runs if run]
        if not done:
            lines.append(f"| {name} | | failed: {result.failures[name]} | | | | | |")
            continue
        rates = [run.rate for run in done]
        speed = median([run.size / run.seconds for run in done]) / 1e6
        memory = max(run.memory for run in done)
        times = target = ""
        if name != experiment.ours and experiment.ours in result.runs:
            value = ratio(result, name)
            times = f"{value:.2f} ×" if value else ""
            wanted = experiment.targets.get(name)
            if wanted and value:
                target = f"{wanted:g} × {'met' if value >= wanted else 'MISSED'}"
        note = f" ({len(done)} of {len(runs)} runs: {result.failures[name]})" if name in result.failures else ""
        cpu = median([run.cpu / run.files * 1000 for run in done])
        cpu = f"{cpu:.2f}" if cpu else ""
        peak = f"{memory / 2**20:.0f} MiB" if memory else ""
        lines.append(
            f"| {name}{note} | {done[0].files:,} | {figure(median(rates))} ({figure(min(rates))} to {figure(max(rates))})"
            f" | {figure(speed)} | {cpu} | {peak} | {times} | {target} |"
        )
    return lines + [""]


def figure(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
