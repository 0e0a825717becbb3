"""What counting costs: the same passes with and without it."""

import counting
import pytest
from kernel_clock import replaced
from limits import Settings, Subject
from workloads import WORKLOADS

from oracles import assert_same_bits, assert_same_counts
from snnsim import engine
from snnsim.spec import Segments

SMALL = Settings(steps=2, seconds=0.0, batch=2)


@pytest.mark.parametrize("segments", [Segments(), Segments(recompute_every=30)], ids=str)
def test_a_pass_without_counting_gives_the_same_answers(segments: Segments) -> None:
    """Nothing else is left out, in segments neither; afterwards everything is counted again."""
    subject = Subject(WORKLOADS["W4"], SMALL, None)
    batch = subject.batches[0][0]
    counted = subject.network.evaluate_batch(batch, threads=1, segments=segments)
    with replaced(engine, "Counting", counting.NoCounting):
        plain = subject.network.evaluate_batch(batch, threads=1, segments=segments)
    assert_same_bits(plain.logits, counted.logits)
    assert len(plain.counts) == 0
    again = subject.network.evaluate_batch(batch, threads=1, segments=segments)
    assert_same_counts(again, counted)
    assert again.counts.totals()["spikes"] > 0


def test_the_cost_on_a_workload() -> None:
    """Times both ways, the cost that follows from them, and a table."""
    found = counting.measure("W4", 1, SMALL, None)
    assert found["rounds"] == counting.FEWEST_ROUNDS
    for kind in counting.KINDS:
        times = found[kind]
        assert min(times["without_ms"], times["with_ms"]) > 0
        ratio = times["with_ms"] / times["without_ms"]
        assert times["cost_percent"] == pytest.approx(100 * (ratio - 1), abs=0.1)
    assert found["least"]["with_ms"] <= found["median"]["with_ms"]
    table = counting.markdown({"workloads": {"W4": found, "W5": {"missing": "no such data"}}})
    assert "| W4" in table
    assert "| W5 | no such data |" in table
