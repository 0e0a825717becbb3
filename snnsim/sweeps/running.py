"""The runs of a sweep, in parallel processes: whatever is killed goes on where it was when it is started again."""

import json
import multiprocessing
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for
from pathlib import Path

from snnsim.config import LoadedConfig
from snnsim.errors import DivergedError, InputError, RunInterrupted
from snnsim.execution import thread_count
from snnsim.experiment import prepare, run_experiment
from snnsim.files import write_text
from snnsim.progress import Progress, duration
from snnsim.run_directory import RunDirectory
from snnsim.sweeps.language import LoadedSweep
from snnsim.sweeps.trials import Plan, plan

LOG = "log.json"


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
    folder = _Folder(out)
    folder.require_usable()
    planned = plan(loaded, out)
    if planned.trials:
        prepare(planned.trials[0].loaded, data_dir)  # what is wrong with the data, say before anything is written
    folder.begin(loaded.text)
    teachers = [Job(f"teacher, seed {config.config.seed}", config, path) for config, path in planned.teachers]
    # Seed by seed, so that what there is halfway compares all settings.
    by_seed = sorted(planned.trials, key=lambda trial: loaded.sweep.seeds.index(trial.seed))
    students = [Job(f"{k.setting}, seed {k.seed}", k.loaded, k.folder) for k in by_seed]
    runner = _Runner(at_once, data_dir, progress, folder)
    runner.total = len(teachers) + len(students)
    runner.unfinished = sum(not RunDirectory(job.folder).finished for job in (*teachers, *students))
    failed = runner.run(teachers)
    if failed:
        raise DivergedError(
            "\n".join(f"{path}: the teacher's training diverged: {text}" for path, text in failed.items())
        )
    return Swept(planned, runner.run(students))


class _Folder:
    """A sweep's folder: the sweep file as it was last run, the runs, and what they took."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._started = time.strftime("%Y-%m-%d %H:%M:%S")

    def require_usable(self) -> None:
        try:
            known = (self.path / "sweep.yaml").exists()
            if not known and self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                raise InputError(f"{self.path}: exists and holds no sweep; choose another --out")
        except OSError as error:
            raise InputError(f"{self.path}: cannot be used ({error.strerror})") from None

    def begin(self, text: str) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be created ({error.strerror}); choose another --out") from None
        write_text(self.path / "sweep.yaml", text)

    def log(self, runs: int, jobs: int, seconds: float, busy: float) -> None:
        """Note what this call did so far: runs done, at how many a time, by the clock and in the runs together."""
        path = self.path / LOG
        before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        entry = {"started": self._started, "runs": runs, "jobs": jobs}
        entry |= {"seconds": round(seconds, 1), "busy_seconds": round(busy, 1)}
        kept = [other for other in before if other["started"] != self._started]
        write_text(path, json.dumps([*kept, entry], indent=1) + "\n")


class _Runner:
    """Does jobs in processes of their own, and tells how far they are."""

    def __init__(self, at_once: int, data_dir: Path | None, progress: Progress, folder: _Folder) -> None:
        self.total = self.unfinished = 0
        self._at_once, self._data_dir = at_once, data_dir
        self._progress, self._folder = progress, folder
        self._began, self._busy = time.monotonic(), 0.0
        self._seen = self._run = 0

    def run(self, jobs: Sequence[Job]) -> dict[Path, str]:
        """Do all jobs; return those whose training diverged."""
        workers = min(self._at_once, max(1, len(jobs)))
        threads = 1 if workers > 1 else None
        diverged: dict[Path, str] = {}
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_end_with_parent)
        try:
            waiting = {pool.submit(_do, job, threads, self._data_dir): job for job in jobs}
            while waiting:
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    self._finish(waiting.pop(future), future, diverged)
        except BrokenProcessPool:
            raise InputError(
                f"{self._folder.path}: a run was killed from outside, perhaps for want of memory; what is finished is "
                "kept, and the same command goes on, with --jobs 1 in less memory"
            ) from None
        except KeyboardInterrupt:
            raise RunInterrupted("interrupted; the same command goes on where the runs are") from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return diverged

    def _finish(self, job: Job, future: "Future[float | None]", diverged: dict[Path, str]) -> None:
        self._seen += 1
        try:
            seconds = future.result()
        except DivergedError as error:
            diverged[job.folder] = str(error)
            self._progress.warn(f"{job.name}: {error}")
            return
        if seconds is None:  # was finished before
            return
        self._run += 1
        self._busy += seconds
        elapsed = time.monotonic() - self._began
        self._folder.log(self._run, self._at_once, elapsed, self._busy)
        left = elapsed / self._run * (self.unfinished - self._run)
        self._progress.note(
            f"{self._seen}/{self.total} {job.name}: {_reached(job.folder)}, {duration(seconds)}; {duration(left)} left"
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


def _end_with_parent() -> None:
    """Let a worker die with the process that began it, so that nobody writes where a new start goes on."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
