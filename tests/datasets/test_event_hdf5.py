import sys
from pathlib import Path

import numpy as np
import pytest

from datasets.builders import Request
from datasets.event_builders import some_hdf5, write_hdf5
from snnsim.datasets import Binning, Recordings, load
from snnsim.datasets.event_hdf5 import read_hdf5
from snnsim.datasets.event_sets import read_event_set
from snnsim.errors import DataError

TIMES, UNITS, LABELS = [[0.0, 0.25, 0.5], [0.125]], [[5, 699, 5], [0]], [1, 0]


def test_times_become_microseconds(tmp_path: Path) -> None:
    """Spike times in seconds are rounded to microseconds, units are addresses, labels stand beside them."""
    found = read_event_set(write_hdf5(tmp_path / "a.h5", TIMES, UNITS, LABELS), Binning(1), None, skip_bad=False)

    assert found.x.shape == (2, 700)
    assert found.labels == [1, 0]
    dense = found.x.events(500_001).to_dense()
    assert np.argwhere(dense[:, 0]).tolist() == [[0, 5], [250_000, 699], [500_000, 5]]
    assert np.argwhere(dense[:, 1]).tolist() == [[125_000, 0]]


def test_train_and_test_files_are_the_parts(tmp_path: Path) -> None:
    """A folder of shd_train.h5 and shd_test.h5 is split as its files say."""
    some_hdf5(tmp_path / "shd_train.h5", each=10)
    some_hdf5(tmp_path / "shd_test.h5", each=4)

    found = load(Request(events=tmp_path), binning=Binning(1000))

    assert (len(found.train), len(found.valid), len(found.test)) == (18, 2, 8)
    assert (found.input_shape, found.classes) == ((700,), 2)
    assert isinstance(found.train.x, Recordings)


def test_named_classes_must_suffice(tmp_path: Path) -> None:
    """A number that no given name belongs to is refused."""
    where = some_hdf5(tmp_path / "a.h5", labels=3)

    assert load(Request(events=where, classes=["a", "b", "c"]), binning=Binning(1000)).classes == 3
    with pytest.raises(DataError, match="has the class 2, but 2 classes are named"):
        load(Request(events=where, classes=["a", "b"]), binning=Binning(1000))


@pytest.mark.parametrize("field", ["spikes/times", "spikes/units", "labels"])
def test_a_missing_field_is_named(tmp_path: Path, field: str) -> None:
    """The message names the file, the field, and what there is."""
    path = write_hdf5(tmp_path / "a.h5", TIMES, UNITS, LABELS, leave_out=[field])

    with pytest.raises(DataError, match=rf"a\.h5: has no {field} \(found: .*\); an SHD or SSC file"):
        list(read_hdf5(path))


def test_faults_name_the_recording(tmp_path: Path) -> None:
    """A time that goes backwards and a unit outside are told with recording and record; skipping keeps the others."""
    times, units = [[0.5, 0.25], [0.1], [0.1], [0.1, 0.2]], [[1, 2], [700], [3], [3]]
    path = write_hdf5(tmp_path / "a.h5", times, units, [0, 0, 1, 1])

    with pytest.raises(DataError, match=r"a\.h5: recording 0: record 1 goes backwards in time"):
        read_event_set(path, Binning(1000), None, skip_bad=False)
    found = read_event_set(path, Binning(1000), None, skip_bad=True)

    assert (len(found.x), found.labels) == (1, [1])
    assert [fault.split(": ", 1)[1] for fault in found.skipped] == [
        "recording 0: record 1 goes backwards in time: 250000 microseconds after 500000 of the record before",
        "recording 1: record 0 lies outside the sensor: unit 700, but the sensor has 700 units",
        "recording 3: has 2 times for 1 units",
    ]


def test_fields_of_different_lengths(tmp_path: Path) -> None:
    """Labels for other recordings than there are cannot be right."""
    with pytest.raises(DataError, match=r"differ in length \(2 spikes/times, 2 spikes/units, 3 labels\)"):
        list(read_hdf5(write_hdf5(tmp_path / "a.h5", TIMES, UNITS, [0, 1, 2])))


def test_damage(tmp_path: Path) -> None:
    """A file that is cut short is one clear fault."""
    path = some_hdf5(tmp_path / "a.h5")
    path.write_bytes(path.read_bytes()[:2000])

    with pytest.raises(DataError, match=r"a\.h5: damaged or not an HDF5 file"):
        list(read_hdf5(path))


def test_without_the_reader_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who lacks h5py is told what to install."""
    path = some_hdf5(tmp_path / "a.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)

    with pytest.raises(DataError, match=r"pip install 'snnsim\[events\]'"):
        list(read_hdf5(path))
