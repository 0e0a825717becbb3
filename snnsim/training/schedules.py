"""Learning-rate schedules, applied per step."""

import math

from snnsim.spec import Constant, Cosine, ScheduleChoice, Step


def learning_rate(schedule: ScheduleChoice, base_lr: float, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Return the learning rate of a step.

    Parameters
    ----------
    schedule
        ``constant``, ``cosine`` (to ``min_lr`` at the end) or ``step`` (times ``factor`` every ``every`` epochs).
        Each can begin with ``warmup`` epochs, over which the rate rises linearly to ``base_lr``.
    step
        Counted over the whole training, from 0.
    """
    options = schedule.options
    assert isinstance(options, Constant | Cosine | Step)
    warmup = round(options.warmup * steps_per_epoch)
    if step < warmup:
        return base_lr * (step + 1) / warmup
    match options:
        case Cosine(min_lr=lowest):
            progress = (step - warmup) / max(1, steps_per_epoch * epochs - warmup)
            return lowest + (base_lr - lowest) * (1 + math.cos(math.pi * min(1.0, progress))) / 2
        case Step(every=every, factor=factor):
            return base_lr * factor ** (step // (every * steps_per_epoch))
    return base_lr
