"""The configurations that ship."""

import pytest

from snnsim.config import DATASET_NAMES, config_names, dump_yaml, find_config, from_mapping, load
from snnsim.config.reader import read
from snnsim.datasets import list_datasets


def test_the_ready_configurations() -> None:
    """These names run from any folder."""
    assert config_names() == [
        "digits",
        "digits-kd",
        "fashion-conv",
        "fashion-kd",
        "fashion-mnist",
        "mnist",
        "mnist-conv",
        "mnist-conv-kd",
        "mnist-kd",
        "mnist-kd-sparse",
        "mnist-rate",
        "nmnist-conv",
        "nmnist-mlp",
        "randman",
        "shd-recurrent",
        "yin-yang",
    ]


@pytest.mark.parametrize("name", config_names())
def test_a_ready_configuration_is_valid_explained_and_named(name: str) -> None:
    """It begins with a comment that says what it shows, and with a dense layer or a convolution."""
    loaded = load(name)

    assert (loaded.name, loaded.filename) == (name, f"{name}.yaml")
    assert find_config(name).read_text(encoding="utf-8").startswith("# ")
    assert loaded.config.network[0].name == ("conv2d" if "-conv" in name else "dense")
    resolved = loaded.config.resolved()
    assert read(dump_yaml(resolved)).data == resolved
    assert from_mapping(resolved).config.resolved() == resolved


def test_the_schema_names_the_data_sets_that_exist() -> None:
    """The two lists cannot drift apart."""
    assert list(DATASET_NAMES) == [entry.name for entry in list_datasets()]
