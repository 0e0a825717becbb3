"""Which of several results no other beats."""

from collections.abc import Sequence


def pareto_front(costs: Sequence[float], scores: Sequence[float]) -> list[int]:
    """Return the places of the results that no other beats in both, by rising cost (and so by rising score).

    Parameters
    ----------
    costs, scores
        Less cost is better, more score is better. Of equal results the first is returned.
    """
    front: list[int] = []
    for place in sorted(range(len(costs)), key=lambda k: (costs[k], -scores[k])):
        if not front or scores[place] > scores[front[-1]]:
            front.append(place)
    return front
