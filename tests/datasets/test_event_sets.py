import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from datasets.builders import Request
from datasets.event_builders import aedat4_bytes, bin_bytes, bin_members, some_events, write_members, write_zip
from snnsim.datasets import Binning, Recordings, Wanted, load, load_inputs
from snnsim.datasets.event_sets import read_event_set
from snnsim.errors import DataError

BINNING = Binning(1000)
CSV = b"t,x,y,p\n0,0,0,0\n10,1,2,1\n"


def dense(x: object, steps: int = 6) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    assert isinstance(x, Recordings)
    return x.events(steps).to_dense()


def test_a_folder_and_a_zip_archive_of_it_are_alike(tmp_path: Path) -> None:
    """The same recordings in the same order, labels by folder, split by the same rows."""
    members = bin_members()
    folder = load(Request(events=write_members(tmp_path / "a", members)), binning=BINNING)
    archive = load(Request(events=write_zip(tmp_path / "b.zip", members)), binning=BINNING)

    assert (len(folder.train), len(folder.valid), len(folder.test)) == (15, 1, 4)
    assert (folder.input_shape, folder.classes, folder.scale) == ((2, 34, 34), 2, 1.0)
    assert np.bincount(folder.test.y).tolist() == [2, 2]
    for one, other in ((folder.train, archive.train), (folder.test, archive.test)):
        np.testing.assert_array_equal(dense(one.x), dense(other.x))
        np.testing.assert_array_equal(one.y, other.y)
        np.testing.assert_array_equal(one.index, other.index)


@pytest.mark.parametrize("kind", ["folders", "archives", "one archive"])
def test_the_full_distribution_has_a_test_part(tmp_path: Path, kind: str) -> None:
    """Train/ and Test/, as folders, as Train.zip and Test.zip, or in one archive, are the parts."""
    members = bin_members(each=10) | bin_members(each=3, part="Test")
    if kind == "folders":
        where = write_members(tmp_path / "n", members)
    elif kind == "one archive":
        where = write_zip(tmp_path / "n.zip", members)
    else:
        where = tmp_path / "n"
        for part in ("Train", "Test"):
            chosen = {name: content for name, content in members.items() if name.startswith(part)}
            write_zip(where / f"{part}.zip", chosen)

    found = load(Request(events=where), binning=BINNING)

    assert (len(found.train) + len(found.valid), len(found.test)) == (20, 6)


def test_nmnist_is_looked_for_like_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder or archive whose name begins with the set's, in --data-dir or SNNSIM_DATA."""
    with pytest.raises(DataError, match="'nmnist' is not on this machine"):
        load(Request("nmnist"), tmp_path, BINNING)
    write_zip(tmp_path / "nmnist-1000" / "nmnist-train-1000.zip", bin_members())

    by_folder = load(Request("nmnist"), tmp_path, BINNING)
    monkeypatch.setenv("SNNSIM_DATA", str(tmp_path))
    by_variable = load(Request("nmnist"), None, BINNING)

    assert (by_folder.name, by_folder.classes, by_folder.input_shape) == ("nmnist", 10, (2, 34, 34))
    np.testing.assert_array_equal(dense(by_folder.test.x), dense(by_variable.test.x))


@pytest.mark.parametrize("suffix", [".csv", ".aedat4"])
def test_other_formats_find_their_sensor(tmp_path: Path, suffix: str) -> None:
    """Columns are measured over all recordings, a camera's file says its size, and data.sensor overrides both."""
    if suffix == ".aedat4":
        pytest.importorskip("aedat", reason="AEDAT4 is read by the extra events")
    for label in ("left", "right"):
        for k in range(3):
            content = CSV if suffix == ".csv" else aedat4_bytes([(0, 0, 0, 0), (10, 1, 2, 1)], 8, 6)
            write_members(tmp_path / "d", {f"{label}/{k}{suffix}": content})

    found = load(Request(events=tmp_path / "d"), binning=BINNING)
    larger = load(Request(events=tmp_path / "d", sensor=[9, 10]), binning=BINNING)

    assert found.class_names == ("left", "right")
    assert found.input_shape == ((2, 3, 2) if suffix == ".csv" else (2, 6, 8))
    assert larger.input_shape == (2, 9, 10)
    assert np.argwhere(dense(larger.test.x, 1)[0, 0]).tolist() == [[0, 0, 0], [1, 2, 1]]


def test_names_of_classes(tmp_path: Path) -> None:
    """Given names fix the numbers of classes, also where not all are there; a stranger is refused."""
    members = {f"{label}/{k}.csv": CSV for label in ("b", "c") for k in range(3)}
    where = write_members(tmp_path / "d", members)

    found = load(Request(events=where, classes=["a", "b", "c"]), binning=BINNING)

    assert (found.classes, sorted(set(found.train.y.tolist()))) == (3, [1, 2])
    with pytest.raises(DataError, match=r"'c' is none of the classes \(a, b\)"):
        load(Request(events=where, classes=["a", "b"]), binning=BINNING)


def test_damaged_recordings_are_refused_or_skipped_and_counted(tmp_path: Path) -> None:
    """Each is named with its file and record; the others are used."""
    members = bin_members()
    members["Train/0/00003.bin"] = members["Train/0/00003.bin"][:-2]
    members["Train/1/00001.bin"] = bin_bytes([(0, 0, 0, 0), (5, 34, 0, 0)])
    members["Train/1/00002.bin"] = b""
    where = write_members(tmp_path / "d", members)

    with pytest.raises(DataError, match=r"00003\.bin: record 29 is truncated") as caught:
        load(Request(events=where), binning=BINNING)
    assert caught.value.path == ("data", "events")
    for _ in range(2):  # read, then from the cache
        found = load(Request(events=where, skip_bad=True), binning=BINNING)
        assert [fault.removeprefix(f"{where}/Train/").split(";")[0] for fault in found.skipped] == [
            "0/00003.bin: record 29 is truncated (3 of 5 bytes)",
            "1/00001.bin: record 1 lies outside the sensor: x 34, y 0, but the sensor has 34 x 34 pixels",
            "1/00002.bin: holds no events",
        ]
        assert len(found.train) + len(found.valid) + len(found.test) == 17
    with pytest.raises(DataError, match="00003"):
        load(Request(events=where), binning=BINNING)


def test_archives_that_are_damaged(tmp_path: Path) -> None:
    """A cut archive and a member that does not unpack are named."""
    archive = write_zip(tmp_path / "a.zip", bin_members())
    content = bytearray(archive.read_bytes())
    content[60:80] = bytes(20)
    archive.write_bytes(content)
    (tmp_path / "cut.zip").write_bytes(content[:-30])

    with pytest.raises(DataError, match=r"a\.zip: Train/0/00000\.bin: cannot be read"):
        load(Request(events=archive), binning=BINNING)
    with pytest.raises(DataError, match=r"cut\.zip: damaged or not a zip archive"):
        load(Request(events=tmp_path / "cut.zip"), binning=BINNING)


def test_what_holds_no_set(tmp_path: Path) -> None:
    """Nothing there, nothing in it, several kinds, and only damaged recordings are told apart."""
    empty = write_members(tmp_path / "empty", {"notes.txt": b"none"})
    mixed = write_members(tmp_path / "mixed", {"a/1.csv": CSV, "a/1.bin": b""})
    broken = write_members(tmp_path / "broken", {"0/1.bin": b"123", "0/2.bin": b""})

    for where, message in (
        (tmp_path / "nowhere", "no such file or folder"),
        (empty, "holds no recordings"),
        (mixed, r"several kinds \(bin, csv\)"),
    ):
        with pytest.raises(DataError, match=message):
            load(Request(events=where), binning=BINNING)
    with pytest.raises(DataError, match=r"none of 2 recordings can be used; the first: .*truncated"):
        load(Request(events=broken, skip_bad=True), binning=BINNING)


def test_encoded_recordings_are_cached(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second reading takes the binned events from disk; any change of content, binning or sensor is another entry."""
    where = write_members(tmp_path / "d", bin_members())
    first = read_event_set(where, BINNING, None, skip_bad=False)
    (entry,) = (cache / "encoded").iterdir()

    monkeypatch.setattr("snnsim.datasets.event_sets.bin_recordings", None)
    again = read_event_set(where, BINNING, None, skip_bad=False)
    monkeypatch.undo()

    for name in ("starts", "stops", "steps", "addresses", "repeats"):
        np.testing.assert_array_equal(getattr(again.x, name), getattr(first.x, name))
    assert (list(again.labels), again.x.sensor) == (list(first.labels), first.x.sensor)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache.parent))
    read_event_set(where, Binning(1001), None, skip_bad=False)
    read_event_set(where, Binning(1000, 7), None, skip_bad=False)  # the steps that are taken change nothing
    read_event_set(where, BINNING, (2, 40, 40), skip_bad=False)
    (where / "Train" / "0" / "00000.bin").write_bytes(bin_bytes(some_events(7)))
    read_event_set(where, BINNING, None, skip_bad=False)
    assert len(list((cache / "encoded").iterdir())) == 4
    assert entry.is_dir()


def test_a_damaged_or_unwritable_cache_changes_nothing(tmp_path: Path, cache: Path) -> None:
    """An entry that cannot be read is made again; what a killed writer left is not looked at; a full disk is borne."""
    where = write_members(tmp_path / "d", bin_members())
    first = read_event_set(where, BINNING, None, skip_bad=False)
    (entry,) = (cache / "encoded").iterdir()
    (cache / "encoded" / ".unfinished-x").mkdir()

    for damage in ("steps.npy", "entry.json"):
        (entry / damage).write_bytes(b"\x93NUMPY")
        again = read_event_set(where, BINNING, None, skip_bad=False)
        np.testing.assert_array_equal(dense(again.x), dense(first.x))
    assert (entry / "steps.npy").stat().st_size > 100
    shutil.rmtree(cache / "encoded")
    (cache / "encoded").write_text("in the way")
    np.testing.assert_array_equal(dense(read_event_set(where, BINNING, None, skip_bad=False).x), dense(first.x))


def test_writers_at_the_same_time_and_killed_ones(tmp_path: Path, cache: Path) -> None:
    """One whole entry stands in the end, all readers have the same events, and old leftovers are swept away."""
    where = write_members(tmp_path / "d", bin_members())
    left = cache / "encoded" / ".unfinished-killed"
    left.mkdir(parents=True)
    os.utime(left, (0, 0))

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: dense(read_event_set(where, BINNING, None, skip_bad=False).x), range(16)))

    assert all(np.array_equal(found[0], other) for other in found)
    (entry,) = (cache / "encoded").iterdir()
    assert sorted(path.name for path in entry.iterdir()) == [
        "addresses.npy",
        "entry.json",
        "repeats.npy",
        "starts.npy",
        "steps.npy",
        "stops.npy",
        "testing.npy",
    ]


def test_inputs_are_recognised_by_content(tmp_path: Path) -> None:
    """Whatever the folders above a label are called, and a single recording without one too."""
    deep = write_members(tmp_path / "deep", {f"some/where/{name}": c for name, c in bin_members(3, 2).items()})
    wanted = Wanted((2, 34, 34), BINNING)

    found = load_inputs(str(deep), None, wanted)
    one = load_inputs(str(deep / "some" / "where" / "Train" / "2" / "00001.bin"), None, wanted)
    flat = load_inputs(str(deep), None, Wanted((2 * 34 * 34,), BINNING))

    assert found.y is not None
    assert found.y.tolist() == [0, 0, 1, 1, 2, 2]
    assert one.y is not None
    assert one.y.tolist() == [2]
    np.testing.assert_array_equal(dense(one.x)[:, 0], dense(found.x)[:, 5])
    np.testing.assert_array_equal(dense(flat.x).reshape(6, 6, 2, 34, 34), dense(found.x))
    unlabelled = load_inputs(str(write_members(tmp_path / "u", {"x.bin": bin_bytes(some_events(1))})), None, wanted)
    assert unlabelled.y is None


def test_the_network_gives_the_size_of_the_sensor(tmp_path: Path) -> None:
    """Coordinates outside what the network takes are outside the sensor."""
    where = write_members(tmp_path / "d", {"0/a.csv": CSV})

    assert load_inputs(str(where), None, Wanted((2, 20, 30), BINNING)).x.shape == (1, 2, 20, 30)
    with pytest.raises(DataError, match=r"record 1 lies outside the sensor: x 1, y 2, but the sensor has 2 x 2"):
        load_inputs(str(where), None, Wanted((2, 2, 2), BINNING))


def test_recordings_and_their_encoder_go_together(tmp_path: Path) -> None:
    """Recordings without the events encoder, and that encoder for values, are refused at the encoder."""
    where = write_members(tmp_path / "d", bin_members())

    for request, binning in ((Request(events=where), None), (Request("randman"), None), (Request("digits"), BINNING)):
        with pytest.raises(DataError) as caught:
            load(request, binning=binning)
        assert caught.value.path == ("encoder",)
    with pytest.raises(DataError, match="recorded events need the encoder events"):
        load_inputs(str(where), None, (2, 34, 34))
    with pytest.raises(DataError, match="these data are values"):
        load_inputs("digits", None, Wanted((1, 8, 8), BINNING))
