"""Tables of results: columns that line up, and the same as HTML."""

from snnsim.accounting import COUNTERS
from snnsim.tables import LAYER_COLUMNS, LayerFacts, Mean, html_table, in_one_line, layer_rows, text_table

LAYERS = [LayerFacts(0, "dense", (4,), 12), LayerFacts(1, "lif", (4,), 0), LayerFacts(2, "li", (2, 1, 1), 0)]
COUNTS = [
    dict.fromkeys(COUNTERS, 0) | {"acs": 6, "macs": 3, "macs_dense": 100},
    dict.fromkeys(COUNTERS, 0) | {"spikes": 5, "neuron_updates": 40},
    dict.fromkeys(COUNTERS, 0) | {"neuron_updates": 20},
]


def test_numbers_stand_right_and_words_left() -> None:
    """A column of numbers or shares, gaps left out, is set to the right."""
    table = text_table(("name", "count", "share"), [("a", 5, "3%"), ("longer", 12345, "12%"), ("b", "", "")])
    assert table.splitlines() == [
        "name     count  share",
        "a            5     3%",
        "longer  12,345    12%",
        "b",
    ]


def test_a_table_without_rows_is_its_head() -> None:
    """Nothing to show is no error."""
    assert text_table(("name", "count"), []) == "name  count"


def test_html_is_escaped_and_aligned() -> None:
    """What stands in a cell can not become markup."""
    page = html_table("a < b", ("<i>", "n"), [("&", 1)])
    assert "<p>a &lt; b</p>" in page
    assert '<th style="text-align: left">&lt;i&gt;</th>' in page
    assert '<td style="text-align: left">&amp;</td><td style="text-align: right">1</td>' in page


def test_a_layer_shows_what_it_counts() -> None:
    """Operations stand in rows with weights, spikes and their rate in rows of firing neurons; means over samples."""
    rows = [tuple(map(str, row)) for row in layer_rows(LAYERS, COUNTS, 2)]
    assert len(LAYER_COLUMNS) == 7
    assert rows[0] == ("0 (dense)", "4", "", "", "4.5", "3", "1.5")
    assert rows[1] == ("1 (lif)", "4", "2.5", "12.50%", "", "", "")
    assert rows[2] == ("2 (li)", "2x1x1", "", "", "", "", "")


def test_means_have_as_many_digits_as_say_something() -> None:
    """One decimal below ten thousand, none for whole or large numbers."""
    assert [str(Mean(value)) for value in (0.0, 2.0, 1290.84, 12345.67)] == ["0", "2", "1,290.8", "12,346"]


def test_a_test_in_one_line() -> None:
    """Accuracy, loss, spikes and operations; of a regression the loss alone."""
    test = {"accuracy": 0.98, "loss": 0.25, "samples": 10, "spikes_per_sample": 5.0, "synops_per_sample": 1234.0}
    assert in_one_line(test) == "accuracy 98.00% on 10 samples, loss 0.2500, 5 spikes and 1.23k synops a sample"
    assert in_one_line(test | {"accuracy": None}).startswith("loss (mean squared error) 0.25 on 10 samples, 5 spikes")
