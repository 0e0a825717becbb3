"""A search: trials that a study proposes, run in parallel processes, and gone on with where they were."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnsim.config import LoadedConfig
from snnsim.errors import ConfigError, InputError, SnnsimError
from snnsim.execution import thread_count
from snnsim.progress import Progress, count
from snnsim.run_directory import RunDirectory
from snnsim.sweeps.candidates import Candidates
from snnsim.sweeps.folder import SweepFolder
from snnsim.sweeps.found import COST, WORTH, Found, name_of, slug_of
from snnsim.sweeps.results import read_run
from snnsim.sweeps.running import Job, Runner, train_teachers
from snnsim.sweeps.space import LoadedSearch
from snnsim.sweeps.trials import Setting, Trial, taught_by, teacher_of, teacher_run

if TYPE_CHECKING:
    from snnsim.sweeps.study import Proposal, Study

_MEASURES = {"accuracy": WORTH, "synops": COST}


def run_search(
    loaded: LoadedSearch,
    out: Path,
    *,
    jobs: int | None,
    data_dir: Path | None,
    progress: Progress,
    storage: str | None = None,
) -> Found:
    """Do the trials of a search that are still to be done, and return what all trials came to.

    Parameters
    ----------
    out
        New, empty, or the folder of a sweep: the trials in it go on.
    jobs
        Runs at a time, each on a thread of its own; by default one per core. Alone, a run takes all cores.
    storage
        URL of a database that keeps the study, so that processes in other folders and on other machines share it; by
        default a file in ``out``.

    Raises
    ------
    InputError
        Optuna is not installed, keys or values are not accepted, the study is of another search or cannot be used, or
        nothing came of any trial.
    """
    if find_spec("optuna") is None:
        raise InputError("a search needs the extra 'sweep': pip install 'snnsim[sweep]'")
    from snnsim.sweeps.study import open_study

    at_once = thread_count(jobs)
    folder = SweepFolder(out)
    candidates = Candidates(loaded)
    candidates.require_fitting(data_dir)  # what is wrong with the data, say before anything is written
    with folder.begin(loaded.file.text), open_study(loaded, out, storage) as study:
        study.define(_definition(loaded, candidates.first))
        runner = Runner(at_once, data_dir, progress, folder)
        work = _Trials(loaded, candidates, study, runner, progress, out)
        if work.tally():
            work.train_teacher()
            with study.beating():
                runner.run(work, work.tally())
        return Found(loaded, candidates, study.records(), study.running())


def _definition(loaded: LoadedSearch, first: LoadedConfig) -> dict[str, Any]:
    """Return what makes a search this one; the number of trials may grow."""
    search = loaded.search
    return {
        "base": first.config.resolved(),
        "search": {key: values.resolved() for key, values in search.space.items()},
        "sampler": search.sampler.resolved(),
        "objectives": list(search.objectives),
        "seed": search.seed,
    }


class _Trials:
    """The trials of a search that this process does: those that were left running in its folder, then new ones."""

    def __init__(
        self,
        loaded: LoadedSearch,
        candidates: Candidates,
        study: "Study",
        runner: Runner,
        progress: Progress,
        out: Path,
    ) -> None:
        self._asked, self._objectives = loaded.search.asked, loaded.search.objectives
        self._candidates, self._study, self._runner = candidates, study, runner
        self._progress, self._out = progress, out
        self._teacher = candidates.teacher(out)
        self._left_running: list[Proposal] | None = None
        self._running: dict[Path, tuple[Proposal, Trial]] = {}

    def train_teacher(self) -> None:
        """Train the teacher that all trials share, if there is one, and if that is not done already."""
        if self._teacher is not None and not RunDirectory(self._teacher[1]).finished:
            config, folder = self._teacher
            self._runner.total = self._runner.unfinished = 1
            run = teacher_run(self._candidates.first, config)
            train_teachers(self._runner, [Job(f"teacher, seed {config.seed}", run, folder)])

    def tally(self) -> int:
        """Tell the runner how many trials have ended, whoever did them; return how many have not."""
        ended = len(self._study.records())
        left = max(0, self._asked - ended)
        self._runner.total, self._runner.seen = self._asked, ended
        self._runner.unfinished = self._runner.ran + left
        return left

    def next_job(self) -> Job | None:
        """Return the next trial as a run; one whose values do not go together comes to nothing here."""
        if self._left_running is None:
            self._left_running = self._study.left_running()
        while proposal := self._left_running.pop(0) if self._left_running else self._study.ask():
            name = name_of(proposal.place)
            setting = Setting(name, self._candidates.label(proposal.values))
            try:
                loaded = self._candidates.at(proposal.values)
            except ConfigError as error:
                self._study.fail(proposal, str(error))
                self.tally()
                self._progress.warn(f"{setting}: {error}")
                continue
            wanted = teacher_of(loaded.config, self._out)
            if wanted is not None and self._teacher is not None and wanted[1] == self._teacher[1]:
                loaded = taught_by(loaded, wanted[1])
            folder = self._out / "runs" / slug_of(proposal.place)
            self._running[folder] = proposal, Trial(setting, loaded.config.seed, loaded, folder)
            return Job(str(setting), loaded, folder)
        return None

    def finished(self, job: Job) -> str:
        """Tell the study what a trial reached in validation."""
        proposal, trial = self._running.pop(job.folder)
        run = read_run(trial)
        if not self._study.complete(proposal, run.plain(), [run.values[_MEASURES[name]] for name in self._objectives]):
            self._progress.warn(f"{job.name}: was given to another process, which had not heard of this one for long")
        self.tally()
        return f"{run.values[WORTH]:.2%} valid, {count(run.values[COST])} SynOps a sample"

    def failed(self, job: Job, error: SnnsimError) -> None:
        """Tell the study that a trial diverged, or that its sizes do not fit."""
        proposal, _ = self._running.pop(job.folder)
        self._study.fail(proposal, str(error))
        self.tally()
