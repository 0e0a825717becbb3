"""The language of snnsim: layers, surrogates, losses, regularisers, optimizers, schedules and encoders.

Each is a `Choice`: a bare name (``lif``), a map with one key (``{lif: {beta: 0.9}}``), or a short form
(``{dense: 256}``). The same language stands in YAML and in Python; defaults and ranges stand here alone.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import ValidationError

from snnsim.errors import ConfigError, KeyPath
from snnsim.spec.choices import Choice, Spec, nearest, show, spec_kind
from snnsim.spec.data import Randman, YinYang
from snnsim.spec.distillation import (
    Decoupled,
    Distill,
    FeaturePair,
    Features,
    HeadTail,
    LogitStandardisation,
    PerStep,
    TaughtLossChoice,
    TemporalSelf,
)
from snnsim.spec.encoding import Delta, Direct, EncoderChoice, Latency, Rate, RecordedEvents
from snnsim.spec.faults import Fault, faults
from snnsim.spec.layers import (
    Alif,
    Atan,
    AvgPool2d,
    Boxcar,
    Conv2d,
    CubaLi,
    CubaLif,
    Dense,
    Dropout,
    FastSigmoid,
    Flatten,
    If,
    LayerChoice,
    Li,
    Lif,
    MaxPool2d,
    Relu,
    Sigmoid,
    StraightThrough,
    SumPool2d,
    SuperSpike,
    SurrogateChoice,
    Triangle,
)
from snnsim.spec.training import (
    Adam,
    AdamW,
    Constant,
    Cosine,
    CountMse,
    CrossEntropy,
    FirstSpikeCrossEntropy,
    LogitL2,
    LossChoice,
    Mse,
    OptimizerChoice,
    RateLower,
    RateUpper,
    RegularizerChoice,
    ScheduleChoice,
    Segments,
    Sgd,
    SpikeL1,
    Step,
    StepCrossEntropy,
    Synops,
)

__all__ = [
    "Adam",
    "AdamW",
    "Alif",
    "Atan",
    "AvgPool2d",
    "Boxcar",
    "Choice",
    "Constant",
    "Conv2d",
    "Cosine",
    "CountMse",
    "CrossEntropy",
    "CubaLi",
    "CubaLif",
    "Decoupled",
    "Delta",
    "Dense",
    "Direct",
    "Distill",
    "Dropout",
    "EncoderChoice",
    "FastSigmoid",
    "Fault",
    "FeaturePair",
    "Features",
    "FirstSpikeCrossEntropy",
    "Flatten",
    "HeadTail",
    "If",
    "Latency",
    "LayerChoice",
    "Li",
    "Lif",
    "LogitL2",
    "LogitStandardisation",
    "LossChoice",
    "MaxPool2d",
    "Mse",
    "OptimizerChoice",
    "PerStep",
    "Randman",
    "Rate",
    "RateLower",
    "RateUpper",
    "RecordedEvents",
    "RegularizerChoice",
    "Relu",
    "ScheduleChoice",
    "Segments",
    "Sgd",
    "Sigmoid",
    "Spec",
    "SpikeL1",
    "Step",
    "StepCrossEntropy",
    "StraightThrough",
    "SumPool2d",
    "SuperSpike",
    "SurrogateChoice",
    "Synops",
    "TaughtLossChoice",
    "TemporalSelf",
    "Triangle",
    "YinYang",
    "faults",
    "nearest",
    "parse",
    "parse_network",
    "show",
    "spec_kind",
]

S = TypeVar("S", bound=Spec)


def parse(kind: type[S], value: object, at: KeyPath = ()) -> S:
    """Read one specification written in Python, for example ``parse(LossChoice, {"cross_entropy": {}})``.

    Parameters
    ----------
    kind
        Which language the value is in.
    value
        A map of options, or any of the forms of `Choice`; NumPy numbers and arrays count as numbers and lists.
    at
        What messages call the value's place.

    Raises
    ------
    ConfigError
        Lists every fault, one a line.
    """
    try:
        return kind.model_validate(_without_numpy(value))
    except ValidationError as error:
        raise ConfigError([str(fault) for fault in faults(error, kind, at)]) from None


def parse_network(layers: Iterable[object]) -> list[LayerChoice]:
    """Read a network written as a list of layers.

    Raises
    ------
    ConfigError
        Lists every fault, one a line: ``network.1.lif.betta: unknown key; did you mean 'beta'?``
    """
    if isinstance(layers, (str, dict)) or not isinstance(layers, Iterable):
        raise ConfigError([f"network: must be a list of layers (got {show(layers)})"])
    parsed: list[LayerChoice] = []
    found: list[str] = []
    for index, layer in enumerate(layers):
        try:
            parsed.append(parse(LayerChoice, layer, ("network", index)))
        except ConfigError as error:
            found.extend(error.faults)
    if not parsed and not found:
        found = ["network: must have at least one layer"]
    if found:
        raise ConfigError(found)
    return parsed


def _without_numpy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_numpy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_numpy(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value
