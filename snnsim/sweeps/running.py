"""The runs of a sweep, in parallel processes: whatever is killed goes on where it was when it is started again."""

import json
import multiprocessing
import os
import re
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Protocol

from snnsim.config import LoadedConfig
from snnsim.errors import ConfigError, DivergedError, InputError, RunInterrupted, SnnsimError
from snnsim.execution import thread_count
from snnsim.experiment import prepare, run_experiment
from snnsim.progress import Progress, duration
from snnsim.run_directory import RunDirectory
from snnsim.sweeps.folder import SweepFolder
from snnsim.sweeps.language import LoadedSweep
from snnsim.sweeps.trials import Plan, plan


@dataclass(frozen=True)
class Job:
    """A run to be done, under the name that progress calls it by."""

    name: str
    loaded: LoadedConfig
    folder: Path


@dataclass(frozen=True)
class Swept:
    """What became of a sweep: its plan, and the runs that diverged, by their folders, with what they said."""

    plan: Plan
    diverged: dict[Path, str]


class Work(Protocol):
    """What a `Runner` does: jobs one after another, and what is to be noted of each."""

    def next_job(self) -> Job | None:
        """Return the job to be started next; None where there is none at present."""

    def finished(self, job: Job) -> str:
        """Take note of a finished run, and say in a few words what it reached."""

    def failed(self, job: Job, error: SnnsimError) -> None:
        """Take note of a run that diverged or could not be done; what this raises ends all."""


def run_sweep(loaded: LoadedSweep, out: Path, *, jobs: int | None, data_dir: Path | None, progress: Progress) -> Swept:
    """Do every run of a sweep that is not finished yet.

    Parameters
    ----------
    out
        New, empty, or the folder of a sweep: finished runs in it are left as they are, others go on.
    jobs
        Runs at a time, each on a thread of its own; by default one per core. Alone, a run takes all cores.

    Raises
    ------
    InputError
        A run that cannot be done as it is asked for; runs that are finished are kept.
    """
    at_once = thread_count(jobs)
    folder = SweepFolder(out)
    planned = plan(loaded, out)
    if planned.trials:
        prepare(planned.trials[0].loaded, data_dir)  # what is wrong with the data, say before anything is written
    teachers = [Job(f"teacher, seed {config.config.seed}", config, path) for config, path in planned.teachers]
    # Seed by seed, so that what there is halfway compares all settings.
    by_seed = sorted(planned.trials, key=lambda trial: loaded.sweep.seeds.index(trial.seed))
    students = [Job(f"{k.setting}, seed {k.seed}", k.loaded, k.folder) for k in by_seed]
    runner = Runner(at_once, data_dir, progress, folder)
    runner.total = len(teachers) + len(students)
    runner.unfinished = sum(not RunDirectory(job.folder).finished for job in (*teachers, *students))
    with folder.begin(loaded.text):
        train_teachers(runner, teachers)
        work = _Listed(students)
        runner.run(work, len(students))
    return Swept(planned, work.diverged)


def train_teachers(runner: "Runner", teachers: Sequence[Job]) -> None:
    """Do the runs that others learn from.

    Raises
    ------
    DivergedError
        One did not come to an end.
    """
    work = _Listed(teachers)
    runner.run(work, len(teachers))
    if work.diverged:
        said = (f"{path}: the teacher's training diverged: {text}" for path, text in work.diverged.items())
        raise DivergedError("\n".join(said))


class _Listed:
    """Jobs that are all known beforehand."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.diverged: dict[Path, str] = {}
        self._left = iter(jobs)

    def next_job(self) -> Job | None:
        return next(self._left, None)

    def finished(self, job: Job) -> str:
        return _reached(job.folder)

    def failed(self, job: Job, error: SnnsimError) -> None:
        if not isinstance(error, DivergedError):
            raise error
        self.diverged[job.folder] = str(error)


class Runner:
    """Does jobs in processes of their own, and tells how far they are.

    Attributes
    ----------
    total, seen, unfinished
        Runs in all, those that were seen to end, and those that were still to be done when this began.
    ran
        Runs done here.
    """

    def __init__(self, at_once: int, data_dir: Path | None, progress: Progress, folder: SweepFolder) -> None:
        self.total = self.seen = self.unfinished = self.ran = 0
        self._at_once, self._data_dir = at_once, data_dir
        self._progress, self._folder = progress, folder
        self._began, self._busy = time.monotonic(), 0.0

    def run(self, work: Work, most: int) -> None:
        """Do the jobs of a work, of which there are at ``most`` so many."""
        workers = min(self._at_once, max(1, most))
        threads = 1 if workers > 1 else None
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_begin_worker)
        running: dict[Future[float | None], Job] = {}
        try:
            while True:
                while len(running) < workers and (job := work.next_job()) is not None:
                    running[pool.submit(_do, job, threads, self._data_dir)] = job
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    self._finish(running.pop(future), future, work)
        except BrokenProcessPool:
            raise InputError(
                f"{self._folder.path}: a run was killed from outside, perhaps for want of memory; what is finished is "
                "kept, and the same command goes on, with --jobs 1 in less memory"
            ) from None
        except KeyboardInterrupt:
            raise RunInterrupted("interrupted; the same command goes on where the runs are") from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _finish(self, job: Job, future: "Future[float | None]", work: Work) -> None:
        self.seen += 1
        try:
            seconds = future.result()
        except (DivergedError, ConfigError) as error:
            work.failed(job, error)
            self._progress.warn(f"{job.name}: {error}")
            return
        if seconds is not None:  # otherwise it was finished before
            self.ran += 1
            self._busy += seconds
        reached = work.finished(job)
        if seconds is None:
            return
        elapsed = time.monotonic() - self._began
        self._folder.log(self.ran, self._at_once, elapsed, self._busy)
        left = elapsed / self.ran * (self.unfinished - self.ran)
        self._progress.note(
            f"{self.seen}/{self.total} {job.name}: {reached}, {duration(seconds)}; {duration(left)} left"
        )


def _reached(folder: Path) -> str:
    test = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["test"]
    reached = f"loss {test['loss']:.4g}" if test["accuracy"] is None else f"{test['accuracy']:.2%}"
    return f"{reached}, {test['spikes_per_sample']:.1f} spikes a sample" if test["spikes"] else reached


def _do(job: Job, threads: int | None, data_dir: Path | None) -> float | None:
    """Do one run, or go on with it; return its seconds, or None where it was finished already."""
    finished = RunDirectory(job.folder).finished
    began = time.monotonic()
    run_experiment(job.loaded, job.folder, resume=True, threads=threads, data_dir=data_dir)
    return None if finished else time.monotonic() - began


def _begin_worker() -> None:
    """Let a worker die with the process that began it, so that nobody writes where a new start goes on."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    # A run notes the command it came from; the password of a database is not for everybody who sees the run.
    sys.argv[1:] = [without_password(word) for word in sys.argv[1:]]

    def watch() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def without_password(text: str) -> str:
    """Put stars in the place of the password in a URL; leave all other text as it is."""
    return re.sub(r"(://[^:/@]*):.*@", r"\1:***@", text)
