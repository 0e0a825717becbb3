import csv
import io
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.event_builders import Event, aedat4_bytes, bin_bytes
from snnsim.datasets.event_formats import RawEvents, addressed, parse_aedat4, parse_bin, parse_csv, parse_npz
from snnsim.errors import DataError

SENSOR = (2, 34, 34)
EVENTS: list[Event] = [(0, 3, 4, 1), (7, 33, 0, 0), (7, 0, 33, 1), (300_000, 1, 2, 0)]

events_of_any_kind = st.lists(
    st.tuples(st.integers(0, 2**23 - 1), st.integers(0, 255), st.integers(0, 255), st.integers(0, 1)), max_size=40
)


def columns(raw: RawEvents) -> list[Event]:
    assert raw.y is not None
    assert raw.p is not None
    return list(zip(*(column.tolist() for column in (raw.t, raw.x, raw.y, raw.p)), strict=True))


def npz_bytes(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def csv_bytes(header: str, events: list[Event]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header.split(","))
    writer.writerows([dict(zip("txyp", event, strict=True))[name] for name in header.split(",")] for event in events)
    return text.getvalue().encode()


def refused(raw: RawEvents, sensor: tuple[int, ...] = SENSOR) -> str:
    with pytest.raises(DataError) as caught:
        addressed(raw, sensor, "a.bin")
    return str(caught.value)


@given(events_of_any_kind)
def test_bin_records_come_back(events: list[Event]) -> None:
    """Every record of 5 bytes is x, y, the polarity bit and 23 bits of microseconds."""
    assert columns(parse_bin(bin_bytes(events), "a.bin")) == events


@given(st.binary(max_size=60))
def test_any_bytes_are_records_or_one_clear_fault(content: bytes) -> None:
    """Nothing but DataError ever comes out of damaged bytes, and it names the file."""
    for parse in (parse_bin, parse_npz, parse_csv):
        said = ""
        try:
            t, address = addressed(parse(content, "a.bin"), SENSOR, "a.bin")
        except DataError as error:
            said = str(error)
        assert said.startswith("a.bin: ") or t.size == address.size > 0


@given(st.integers(1, 20), st.integers(1, 4))
def test_a_truncated_record_is_named(whole: int, rest: int) -> None:
    """The message gives the number of the record that is cut short."""
    content = bin_bytes([(k, 0, 0, 0) for k in range(whole)]) + b"x" * rest

    with pytest.raises(DataError, match=rf"^a\.bin: record {whole} is truncated \({rest} of 5 bytes\)"):
        parse_bin(content, "a.bin")


def test_columns_are_read_by_name() -> None:
    """The order of arrays, of a structured array's fields and of CSV columns does not matter."""
    t, x, y, p = (np.array(column) for column in zip(*EVENTS, strict=True))
    table = np.zeros(4, [("p", "?"), ("y", "<u2"), ("t", "<i8"), ("extra", "f4"), ("x", "<u2")])
    for name, column in (("t", t), ("x", x), ("y", y), ("p", p)):
        table[name] = column

    assert columns(parse_npz(npz_bytes(p=p, t=t, y=y, x=x), "a.npz")) == EVENTS
    assert columns(parse_npz(npz_bytes(events=table), "a.npz")) == EVENTS
    assert columns(parse_csv(csv_bytes("y,p,t,x", EVENTS), "a.csv")) == EVENTS
    assert columns(parse_csv("\ufeff".encode() + csv_bytes("t,x,y,p", EVENTS), "a.csv")) == EVENTS


def test_units_along_x_need_no_y_and_p() -> None:
    """Columns t and x alone number the units of a layer."""
    raw = parse_csv(b"t,x\n0,5\n2.5,6\n", "a.csv")

    assert raw.y is raw.p is None
    t, address = addressed(raw, (7,), "a.csv")
    assert (t.tolist(), address.tolist()) == ([0, 2], [5, 6])
    assert "lies outside the sensor: unit 6, but the sensor has 6 units" in refused(raw, (6,))
    assert "units along x alone" in refused(raw)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"t,x,p\n", "a.csv: has no y"),
        (b"x,y,p\n1,1,1\n", "a.csv: has no t"),
        (b"t,x,y,p\n1,1,1,1\n1,1,1\n", "a.csv: line 3: a column is missing"),
        (b"t,x,y,p\n1,one,1,1\n", "a.csv: line 2: could not convert string to float: 'one'"),
        (b"t,x,y,p\n1,1.5,1,1\n", "a.csv: record 0 has x = 1.5, which must be a whole number"),
        (b"t,x,y,p\nnan,1,1,1\n", "a.csv: record 0 has t = nan, which must be a whole number"),
        (b"\xff\xfe\n", "a.csv: not a text file in UTF-8"),
        (b"", "a.csv: has no t and no x and no y and no p (found: nothing)"),
    ],
)
def test_a_bad_csv_is_one_clear_fault(content: bytes, message: str) -> None:
    """It names the line or the record, and the column."""
    with pytest.raises(DataError) as caught:
        parse_csv(content, "a.csv")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"t": [1], "x": [1], "p": [1]}, "has no y"),
        ({"t": [1], "x": [1], "y": [1, 2], "p": [1]}, "its columns differ in length"),
        ({"t": [[1]], "x": [1], "y": [1], "p": [1]}, "t must be a column of numbers"),
        ({"t": ["a"], "x": [1], "y": [1], "p": [1]}, "t must be a column of numbers"),
        ({"t": np.array([None]), "x": [1], "y": [1], "p": [1]}, "not a readable .npz archive"),
    ],
)
def test_a_bad_npz_is_one_clear_fault(arrays: dict[str, Any], message: str) -> None:
    """Missing and misshapen columns are named, and Python objects are never loaded."""
    with pytest.raises(DataError) as caught:
        parse_npz(npz_bytes(**arrays), "a.npz")
    assert str(caught.value).startswith(f"a.npz: {message}")


def test_addresses_are_polarity_then_y_then_x() -> None:
    """An event's address is its place in [2, H, W]."""
    t, address = addressed(parse_bin(bin_bytes(EVENTS), "a.bin"), SENSOR, "a.bin")

    assert t.tolist() == [0, 7, 7, 300_000]
    for where, (_, x, y, p) in zip(address, EVENTS, strict=True):
        assert np.unravel_index(where, SENSOR) == (p, y, x)


def test_what_cannot_have_been_recorded_is_refused() -> None:
    """Times that go backwards, places outside the sensor and strange polarities are told with their record."""

    def raw(*events: Event) -> RawEvents:
        t, x, y, p = np.array(events or np.zeros((0, 4)), np.int64).T
        return RawEvents(t, x, y, p)

    assert refused(raw()) == "a.bin: holds no events"
    assert refused(raw((5, 0, 0, 0), (9, 0, 0, 0), (8, 0, 0, 0))) == (
        "a.bin: record 2 goes backwards in time: 8 microseconds after 9 of the record before"
    )
    assert "record 0 has the time -1" in refused(raw((-1, 0, 0, 0)))
    assert "record 1 has the time 1700000000000000" in refused(raw((0, 0, 0, 0), (1_700_000_000_000_000, 0, 0, 0)))
    assert "record 1 lies outside the sensor: x 34, y 2, but the sensor has 34 x 34 pixels" in refused(
        raw((0, 0, 0, 0), (0, 34, 2, 0))
    )
    assert "record 0 lies outside" in refused(raw((0, 0, -1, 0)))
    assert "record 1 has polarity 2" in refused(raw((0, 0, 0, 1), (0, 0, 0, 2)))
    assert "make [2, H, W]; [700] is wanted" in refused(raw((0, 0, 0, 1)), (700,))


def test_polarities_may_be_signs() -> None:
    """Where polarities are -1 and 1, -1 is channel 0."""
    ones = np.array([0, 0])
    _, address = addressed(RawEvents(ones, ones, ones, np.array([-1, 1])), SENSOR, "a")

    assert address.tolist() == [0, 34 * 34]


def test_aedat4_is_read_from_its_first_event() -> None:
    """Times count from the first event, and the file tells the size of its sensor."""
    pytest.importorskip("aedat", reason="AEDAT4 is read by the extra events")
    start = 1_700_000_000_000_000
    content = aedat4_bytes([(start + t, x, y, p) for t, x, y, p in EVENTS], width=40, height=36)

    raw = parse_aedat4(content, "a.aedat4")

    assert columns(raw) == EVENTS
    assert raw.sensor == (36, 40)
    with pytest.raises(DataError, match=r"^a\.aedat4: damaged or not an AEDAT4 file"):
        parse_aedat4(content[:-3], "a.aedat4")


def test_without_the_reader_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who lacks the AEDAT4 reader is told what to install."""
    monkeypatch.setitem(sys.modules, "aedat", None)

    with pytest.raises(DataError, match=r"pip install 'snnsim\[events\]'"):
        parse_aedat4(b"", "a.aedat4")
