"""The study of a search in Optuna's storage: which trials there are, whose they are, and what became of them.

A trial has a *place*: its turn, from 0, whatever its number in the study. Where a trial is lost with the process that
ran it, another trial takes its place and its values, so that the places below the number of trials that is asked for
are each done once.
"""

import threading
import time
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.exceptions import ExperimentalWarning, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from snnsim.errors import InputError
from snnsim.files import write_text
from snnsim.run_directory import differences
from snnsim.sweeps.samplers import PlacedSampler, decoded, distributions
from snnsim.sweeps.space import LoadedSearch

OWNER = "owner.txt"
DIRECTIONS = {"accuracy": StudyDirection.MAXIMIZE, "synops": StudyDirection.MINIMIZE}

# Seconds: how often a process says that its trials are alive, after how long a silence they count as lost, and what
# another process may take for what it does at once: make the tables, give a trial its owner.
BEAT, GRACE, SETTLING = 30, 300, 3

# What a trial carries in the study: the folder it runs in, its place where it repeats another, its figures, and why it
# came to no end that a repetition could change.
_OWNER, _PLACE, _RESULT, _REASON = "owner", "place", "result", "reason"
_DEFINITION = "snnsim search"


@dataclass(frozen=True)
class Proposal:
    """A trial to be done: its number in the study, its place, and the value of each key."""

    number: int
    place: int
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Record:
    """A trial that has ended: its figures, or why it has none."""

    place: int
    values: Mapping[str, Any]
    result: Mapping[str, Any] | None
    reason: str


class Study:
    """The study that processes of one search share.

    Parameters
    ----------
    storage
        Where it is kept.
    shown
        What messages call that.
    owner
        Stands for the folder that this process works in, where others may be at work on the study; None where none
        can.

    Raises
    ------
    InputError
        The folder that it is in is that of another search.
    """

    def __init__(self, loaded: LoadedSearch, storage: RDBStorage, shown: str, owner: str | None) -> None:
        search = loaded.search
        self._search, self._storage, self._shown = search, storage, shown
        self._shared, self._owner = owner is not None, owner or ""
        self._distributions = distributions(search.space)
        self._require_own_file(loaded.name)
        self._study = optuna.create_study(
            storage=storage,
            study_name=loaded.name,
            directions=[DIRECTIONS[name] for name in search.objectives],
            sampler=PlacedSampler(search, self._place),
            load_if_exists=True,
        )
        self._id = storage.get_study_id_from_name(loaded.name)
        self._alive: set[int] = set()

    def define(self, definition: Mapping[str, Any]) -> None:
        """Store what is searched, or check that it is what was searched before.

        Raises
        ------
        InputError
            It is something else; names the keys that differ.
        """
        has_trials = bool(self._trials())  # asked before: who makes the first trial has defined the search
        stored = self._study.user_attrs.get(_DEFINITION)
        if stored is None:
            if has_trials:
                raise InputError(f"{self._shown}: holds a study {self._study.study_name!r} that is no search of snnsim")
            self._study.set_user_attr(_DEFINITION, dict(definition))
        elif found := differences(stored, definition):
            raise InputError(
                f"{self._shown}: its study {self._study.study_name!r} is of another search: {found}; give the sweep "
                "file another name, or choose another --out"
            )

    def left_running(self) -> list[Proposal]:
        """Return the trials that a process which was killed left in this folder; they are ours to finish."""
        proposals = []
        for place, trial in self._placed():
            own = trial.user_attrs.get(_OWNER) == self._owner or not self._shared
            if trial.state == TrialState.RUNNING and own:
                if trial.params.keys() == self._distributions.keys():
                    self._keep_alive(trial.number)
                    proposals.append(self._proposal(place, trial))
                else:  # killed before it had all its values
                    self._give_back(trial.number)
        if self._shared:
            self._give_back_unowned()
        return proposals

    def ask(self) -> Proposal | None:
        """Return a trial that nobody has done or is at; None where there is none."""
        while self._is_open():
            trial = self._study.ask()
            with suppress(UpdateFinishedTrialError):  # we were so slow that another process took it for left behind
                if (proposal := self._drawn(trial)) is not None:
                    return proposal
            self._give_back(trial.number)
        return None

    def complete(self, proposal: Proposal, result: Mapping[str, Any], values: Sequence[float]) -> bool:
        """Note what a trial reached, ``values`` one an objective; False where it was given to another process."""
        return self._end(proposal, _RESULT, dict(result), TrialState.COMPLETE, values)

    def fail(self, proposal: Proposal, reason: str) -> bool:
        """Note that a trial came to nothing, and would again; False where it was given to another process."""
        return self._end(proposal, _REASON, reason, TrialState.FAIL)

    def records(self) -> list[Record]:
        """Return the trials that have ended, by place."""
        ended = [(place, trial) for place, trial in self._placed() if trial.state.is_finished() and _holds(trial)]
        return [
            Record(place, self._values(trial), trial.user_attrs.get(_RESULT), trial.user_attrs.get(_REASON, ""))
            for place, trial in sorted(ended, key=lambda pair: pair[0])
        ]

    def running(self) -> int:
        """Return how many trials are being done, here or elsewhere."""
        return sum(trial.state == TrialState.RUNNING for trial in self._trials())

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Tell other processes, as long as this lasts, that the trials of this one are alive."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(BEAT):
                for number in tuple(self._alive) if self._shared else ():
                    with suppress(StorageInternalError, sqlalchemy.exc.SQLAlchemyError):  # the next one may get through
                        self._storage.record_heartbeat(self._trial_id(number))

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _require_own_file(self, name: str) -> None:
        """Refuse the file of another search's folder: its trials are in the folders that ours would take."""
        others = [] if self._shared else [other for other in optuna.get_all_study_names(self._storage) if other != name]
        if others:
            raise InputError(f"{self._shown}: holds the search {others[0]!r}; choose another --out")

    def _is_open(self) -> bool:
        """Whether there is a trial to be done; those that were lost are put in the queue again."""
        if self._shared:
            fail_stale_trials(self._study)
        placed = self._placed()
        held = {place for place, trial in placed if _holds(trial)}
        begun = {place for place, _ in placed}
        for place in sorted(begun - held):
            if place < self._search.asked:
                self._queue(place, next(trial for at, trial in reversed(placed) if at == place))
                held.add(place)
        is_waiting = any(trial.state == TrialState.WAITING for trial in self._trials())
        return is_waiting or len(begun) < self._search.asked

    def _drawn(self, trial: optuna.Trial) -> Proposal | None:
        """Draw a trial's values; None where another process was faster and has its place."""
        self._storage.set_trial_user_attr(self._trial_id(trial.number), _OWNER, self._owner)
        self._keep_alive(trial.number)
        for key, distribution in self._distributions.items():
            _suggest(trial, key, distribution)
        placed = self._placed()
        place, drawn = next((place, other) for place, other in placed if other.number == trial.number)
        before = [other for at, other in placed if at == place and other.number < trial.number]
        if place >= self._search.asked or any(map(_holds, before)):
            return None
        return self._proposal(place, drawn)

    def _queue(self, place: int, lost: FrozenTrial) -> None:
        is_whole = lost.params.keys() == self._distributions.keys()
        self._study.add_trial(
            optuna.create_trial(
                state=TrialState.WAITING,
                params=lost.params if is_whole else {},
                distributions=lost.distributions if is_whole else {},
                user_attrs={_PLACE: place},
                system_attrs=lost.system_attrs,
            )
        )

    def _give_back(self, number: int) -> None:
        self._alive.discard(number)
        self._study.tell(number, state=TrialState.FAIL, skip_if_finished=True)

    def _give_back_unowned(self) -> None:
        """Give back what a process left that was killed between asking for a trial and naming itself."""
        unowned = self._unowned()
        if unowned:
            time.sleep(SETTLING)
            for number in unowned & self._unowned():
                self._give_back(number)

    def _unowned(self) -> set[int]:
        running = (trial for trial in self._trials() if trial.state == TrialState.RUNNING)
        return {trial.number for trial in running if _OWNER not in trial.user_attrs}

    def _end(
        self, proposal: Proposal, key: str, note: Any, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        self._alive.discard(proposal.number)
        try:
            self._storage.set_trial_user_attr(self._trial_id(proposal.number), key, note)
        except UpdateFinishedTrialError:
            return False
        told = self._study.tell(
            proposal.number, None if values is None else list(values), state=state, skip_if_finished=True
        )
        return told.state == state

    def _keep_alive(self, number: int) -> None:
        self._alive.add(number)
        if self._shared:
            self._storage.record_heartbeat(self._trial_id(number))

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _placed(self) -> list[tuple[int, FrozenTrial]]:
        """Return all trials by number, each with its place."""
        placed, fresh = [], 0
        for trial in self._trials():
            repeated = trial.user_attrs.get(_PLACE)
            placed.append((fresh if repeated is None else int(repeated), trial))
            fresh += repeated is None
        return placed

    def _place(self, trial: FrozenTrial) -> int:
        return next(place for place, other in self._placed() if other.number == trial.number)

    def _values(self, trial: FrozenTrial) -> dict[str, Any]:
        return {key: decoded(values, trial.params[key]) for key, values in self._search.space.items()}

    def _proposal(self, place: int, trial: FrozenTrial) -> Proposal:
        return Proposal(trial.number, place, self._values(trial))


def _holds(trial: FrozenTrial) -> bool:
    """Whether a trial keeps its place: it is done, will be done, or need not be done again."""
    return trial.state != TrialState.FAIL or _REASON in trial.user_attrs


def _suggest(trial: optuna.Trial, key: str, distribution: Any) -> None:
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        trial.suggest_categorical(key, distribution.choices)
    elif isinstance(distribution, optuna.distributions.IntDistribution):
        trial.suggest_int(key, distribution.low, distribution.high, step=distribution.step, log=distribution.log)
    else:
        trial.suggest_float(key, distribution.low, distribution.high, step=distribution.step, log=distribution.log)


@contextmanager
def open_study(loaded: LoadedSearch, out: Path, url: str | None) -> Iterator[Study]:
    """Open the study of a search: in a database by its URL, or in a file of the sweep's folder.

    Raises
    ------
    InputError
        The URL is none, its driver is not installed, or the database cannot be used, now or later.
    """
    shown = f"{out / 'study.db'}" if url is None else _without_password(url)
    address = _address(out / "study.db") if url is None else url
    with _quiet():
        try:
            try:
                storage = _storage(address, shown, shared=url is not None)
            except sqlalchemy.exc.DBAPIError:
                time.sleep(SETTLING)  # of two processes that make the tables at the same moment one fails
                storage = _storage(address, shown, shared=url is not None)
            try:
                yield Study(loaded, storage, shown, None if url is None else _owner(out))
            finally:
                storage.remove_session()
                storage.engine.dispose()
        except (StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
            cause = error.__cause__ or error
            said = str(getattr(cause, "orig", None) or cause).splitlines()[0]
            raise InputError(f"{shown}: the study cannot be used ({said}); the same command goes on") from None


def _storage(url: str, shown: str, *, shared: bool) -> RDBStorage:
    is_sqlite = url.startswith("sqlite")
    try:
        # Optuna fills in {SCHEMA_VERSION}; a brace of ours is a brace.
        return RDBStorage(
            url.replace("{", "{{").replace("}", "}}"),
            # Processes that share a file wait for each other.
            engine_kwargs={"connect_args": {"timeout": 60}} if is_sqlite else {"pool_pre_ping": True},
            heartbeat_interval=BEAT if shared else None,
            grace_period=GRACE if shared else None,
        )
    except ImportError as error:
        missing = getattr(error.__cause__, "name", None) or "its driver"
        raise InputError(f"{shown}: the database's driver is missing: pip install {missing}") from None
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise InputError(
            f"{shown}: --storage must be the URL of a database, like postgresql+psycopg://user@host/name"
        ) from None
    except RuntimeError as error:  # tables of another version of Optuna
        raise InputError(f"{shown}: {error}") from None


def _address(file: Path) -> str:
    return sqlalchemy.engine.URL.create("sqlite", database=str(file.absolute())).render_as_string()


def _without_password(url: str) -> str:
    try:
        return sqlalchemy.engine.make_url(url).render_as_string()
    except (sqlalchemy.exc.ArgumentError, ValueError):
        return "--storage"


def _owner(out: Path) -> str:
    """Return what stands for a folder, on whatever machine."""
    path = out / OWNER
    if not path.exists():
        write_text(path, f"{uuid.uuid4().hex}\n")
    return path.read_text(encoding="utf-8").strip()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's log out of our progress, and its remarks on what it calls experimental."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            # It beats here too, see `Study.beating`.
            warnings.filterwarnings("ignore", "Heartbeat of storage is supposed to be used with Study.optimize")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
