"""Losses and penalties, means over the batch, each with its gradient; and a network's loss with its gradients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.backward import backward
from reference.convolution import POOLS, connections, geometry, pair, pool_backward
from reference.forward import Array, Layers, Parameters, Trace, forward, named, readout_of

Labels = NDArray[np.int64]


def softmax(z: Array) -> Array:
    """Return the softmax over the last axis."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def cross_entropy(z: Array, y: Labels, label_smoothing: float = 0.0) -> tuple[float, Array]:
    """Return ``-sum_k q_k log softmax(z)_k``, q the one-hot label smoothed towards 1/K, and its gradient, z [B, K]."""
    batch, classes = z.shape
    q = (1 - label_smoothing) * np.eye(classes)[y] + label_smoothing / classes
    shifted = z - z.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-(q * log_p).sum() / batch), (softmax(z) - q) / batch


def step_cross_entropy(steps: Array, y: Labels, label_smoothing: float = 0.0) -> tuple[float, Array]:
    """Return the mean over the steps of the cross entropy of each step's logits, and its gradient [T, B, K]."""
    parts = [cross_entropy(z, y, label_smoothing) for z in steps]
    gradient = np.stack([gradient for _, gradient in parts]) / len(steps)
    return sum(loss for loss, _ in parts) / len(steps), gradient


def count_mse(
    counts: Array, y: Labels, steps: int, correct: float = 1.0, incorrect: float = 0.0
) -> tuple[float, Array]:
    """Return the mean over batch and classes of ``(count - rate T)^2`` and its gradient, counts [B, K]."""
    rate = np.where(np.eye(counts.shape[1])[y] == 1, correct, incorrect)
    error = counts - rate * steps
    return float((error**2).mean()), 2 * error / error.size


def mse(z: Array, y: NDArray[Any], correct: float = 1.0, incorrect: float = 0.0) -> tuple[float, Array]:
    """Return the mean over batch and outputs of ``(z - y)^2`` and its gradient; y are values [B, K] or classes [B]."""
    target = y if y.ndim == 2 else np.where(np.eye(z.shape[1])[y] == 1, correct, incorrect)
    error = z - target
    return float((error**2).mean()), 2 * error / error.size


def first_spike_times(spikes: Array) -> tuple[Array, Array]:
    """Return ``t = sum_t prod_{t' <= t} (1 - s[t'])`` [B, K] and its derivative by each spike, [T, B, K]."""
    steps = len(spikes)
    times, slopes = np.zeros(spikes.shape[1:]), np.zeros_like(spikes)
    for t in range(steps):
        times += np.prod(1 - spikes[: t + 1], axis=0)
        for j in range(t + 1):  # a product of factors, of which one has the derivative -1
            others = [k for k in range(t + 1) if k != j]
            slopes[j] -= np.prod(1 - spikes[others], axis=0)
    return times, slopes


def first_spike_cross_entropy(spikes: Array, y: Labels, tau: float = 1.0) -> tuple[float, Array]:
    """Return the cross entropy of ``-t / tau``, t the first spike times, and its gradient by spikes [T, B, K]."""
    times, slopes = first_spike_times(spikes)
    value, of_logits = cross_entropy(-times / tau, y)
    return value, -of_logits / tau * slopes


def distill(
    z: Array,
    y: Labels,
    teacher: Array,
    teacher_temperature: float,
    student_temperature: float,
    alpha: float,
    scale: str,
) -> tuple[float, Array]:
    """Return ``(1 - alpha) CE + alpha c KL(softmax(teacher / tt) || softmax(z / ts))`` and its gradient, z [B, K]."""
    of_labels, gradient = cross_entropy(z, y)
    p, q = softmax(teacher / teacher_temperature), softmax(z / student_temperature)
    factor = {"ts^2": student_temperature**2, "ts*tt": student_temperature * teacher_temperature, "1": 1.0}[scale]
    divergence = float((p * np.log(p / q)).sum()) / len(z)
    slope = factor * (q - p) / student_temperature / len(z)
    return (1 - alpha) * of_labels + alpha * factor * divergence, (1 - alpha) * gradient + alpha * slope


def features(
    layers: Sequence[dict[str, int]],
    weight: float,
    trace: Trace,
    teacher: Sequence[NDArray[Any]],
    regressors: Mapping[str, NDArray[Any]],
) -> tuple[float, dict[int, Array], dict[str, Array]]:
    """Return ``weight mean((W s + b - f)^2)`` summed over pairs of layers, s the spikes' mean over time [B, N].

    The gradients are of each spike (layer to [B, N], the same at every step) and of the regressors; where a pair has
    none, W is one and b nothing.
    """
    value, on_spikes, on_regressors = 0.0, dict[int, Array](), dict[str, Array]()
    for k, both in enumerate(layers):
        spikes = trace.spikes[both["student"]]
        steps, batch, size = spikes.shape
        wanted = teacher[k].astype(np.float64).reshape(batch, -1)
        matrix = regressors.get(f"features.{k}.weight", np.eye(size)).astype(np.float64)
        error = spikes.mean(axis=0) @ matrix.T + regressors.get(f"features.{k}.bias", np.zeros(1)) - wanted
        value += weight * float((error**2).mean())
        slope = 2 * weight * error / error.size
        before = on_spikes.get(both["student"], np.zeros((batch, size)))
        on_spikes[both["student"]] = before + slope @ matrix / steps
        if f"features.{k}.weight" in regressors:
            on_regressors[f"features.{k}.weight"] = slope.T @ spikes.mean(axis=0)
            on_regressors[f"features.{k}.bias"] = slope.sum(axis=0)
    return value, on_spikes, on_regressors


@dataclass
class Penalty:
    """A penalty's mean over the batch, with its gradient of hidden spikes (layer to [B, N]) and of logits."""

    value: float
    spikes: dict[int, Array] = field(default_factory=dict)
    logits: Array | None = None


def penalty(choice: dict[str, Any], network: Layers, trace: Trace) -> Penalty:
    """Return a penalty; those on spikes look at the firing layers before the last layer."""
    ((name, options),) = choice.items()
    weight = options["weight"]
    if name == "logit_l2":
        batch = len(trace.logits)
        return Penalty(weight * float((trace.logits**2).sum()) / batch, {}, 2 * weight * trace.logits / batch)
    hidden = {index: s for index, s in trace.spikes.items() if index < len(network) - 1}
    if not hidden:
        return Penalty(0.0)
    if name == "spike_l1":
        batch = len(trace.logits)
        spikes = sum(float(s.sum()) for s in hidden.values())
        return Penalty(weight * spikes / batch, {i: np.full(s.shape[1:], weight / batch) for i, s in hidden.items()})
    if name == "synops":
        fan_out = {index: reached_after(network, trace, index) for index in hidden}
        return synops(weight, options.get("budget", 0.0), hidden, fan_out)
    if name == "rate_upper":
        return rate_bound(weight, options.get("max_rate", 0.5), 1, hidden)
    return rate_bound(weight, options.get("min_rate", 0.01), -1, hidden)


def reached_after(network: Layers, trace: Trace, index: int) -> Array:
    """Return how many synapses a spike of each neuron of a layer reaches, [N]: those of the windows it lies in."""
    between = list(range(index + 1, len(network)))
    edge = next(k for k in between if named(network[k])[0] in ("dense", "conv2d"))
    name, options = named(network[edge])
    size = int(np.prod(trace.shapes[edge]))
    reached = np.full(size, float(options.get("out", 0)))
    if name == "conv2d":
        kernel = pair(options["kernel"])
        weight = np.ones((options["out"], trace.shapes[edge][0] // options.get("groups", 1), *kernel))
        reached = connections(weight, options, trace.shapes[edge])[0].sum(axis=0).astype(np.float64)
    for k in reversed(range(index + 1, edge)):
        name, options = named(network[k])
        if name in POOLS:
            at = geometry("sum_pool2d", options, trace.shapes[k])
            images = np.zeros((1, *trace.shapes[k]))
            reached = pool_backward("sum_pool2d", reached.reshape(1, -1, *at.out), images, at).ravel()
    _, firing_options = named(network[index])
    return reached + (reached.size if firing_options.get("recurrent", False) else 0)


def synops(weight: float, budget: float, hidden: Mapping[int, Array], fan_out: Mapping[int, Array]) -> Penalty:
    """Return ``weight max(0, S - budget)``, S the synapses that a sample's spikes reach; flat at the budget itself."""
    reached = np.sum([(s * fan_out[index]).sum(axis=(0, 2)) for index, s in hidden.items()], axis=0)
    over = np.where(reached > budget, weight, 0.0)[:, None] / reached.size
    gradient = {index: np.broadcast_to(over * fan_out[index], s.shape[1:]) for index, s in hidden.items()}
    return Penalty(weight * float(np.maximum(reached - budget, 0).mean()), gradient)


def rate_bound(weight: float, bound: float, sign: int, hidden: Mapping[int, Array]) -> Penalty:
    """Return ``weight max(0, sign (rate - bound))^2`` summed over neurons, rate in spikes per step."""
    total, gradient = 0.0, {}
    for index, s in hidden.items():
        beyond = np.maximum(sign * (s.mean(axis=0) - bound), 0)
        total += weight * float((beyond**2).sum()) / s.shape[1]
        gradient[index] = 2 * weight * sign * beyond / len(s) / s.shape[1]
    return Penalty(total, gradient)


def loss_and_gradients(
    network: Layers,
    parameters: Parameters,
    x: NDArray[Any],
    y: NDArray[Any],
    *,
    loss: dict[str, Any],
    regularizers: Sequence[dict[str, Any]] = (),
    teacher_logits: NDArray[Any] | None = None,
    teacher_features: Sequence[NDArray[Any]] | None = None,
    regressors: Mapping[str, NDArray[Any]] | None = None,
    input_coding: str = "events",
    masks: Mapping[int, NDArray[Any]] | None = None,
    truncate_every: int | None = None,
) -> tuple[float, dict[str, Array], Trace]:
    """Return a network's loss, the gradients of its parameters, and what happened on the way forward."""
    trace = forward(network, parameters, x, input_coding=input_coding, masks=masks)
    ((name, options),) = loss.items()
    method = options.get("method")
    options = {key: option for key, option in options.items() if key != "method"}
    on_steps = on_logits = None
    if name == "step_cross_entropy":
        value, on_steps = step_cross_entropy(trace.step_logits, y, **options)
    elif name == "first_spike_cross_entropy":
        value, on_steps = first_spike_cross_entropy(trace.step_logits, y, **options)
    elif name == "distill":
        assert teacher_logits is not None
        value, on_logits = distill(trace.logits, y, teacher_logits.astype(np.float64), **options)
    elif name == "mse":
        value, on_logits = mse(trace.logits, y, **options)
    elif name == "count_mse":
        value, on_counts = count_mse(trace.step_logits.sum(axis=0), y, len(x), **options)
        on_logits = on_counts * (len(x) if readout_of(network) == "mean" else 1)  # a rate is a count over T
    else:
        value, on_logits = cross_entropy(trace.logits, y, **options)
    on_spikes: dict[int, Array] = {i: np.zeros(s.shape[1:]) for i, s in trace.spikes.items()}
    for choice in regularizers:
        extra = penalty(choice, network, trace)
        value += extra.value
        for index, gradient in extra.spikes.items():
            on_spikes[index] = on_spikes[index] + gradient
        if extra.logits is not None:
            on_logits = extra.logits + (0 if on_logits is None else on_logits)
    learned: dict[str, Array] = {}
    if method is not None:
        assert teacher_features is not None
        more, of_features, learned = features(
            **method["features"], trace=trace, teacher=teacher_features, regressors=regressors or {}
        )
        value += more
        for index, gradient in of_features.items():
            on_spikes[index] = on_spikes[index] + gradient
    gradients = backward(
        network,
        parameters,
        trace,
        logits=on_logits,
        step_logits=on_steps,
        spikes=on_spikes,
        masks=masks,
        cut=truncate_every,
    )
    return value, gradients | learned, trace
