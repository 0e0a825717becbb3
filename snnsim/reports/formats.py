"""Numbers as people read them; what is not a finite number is a dash."""

import math
from typing import Any

NO_VALUE = "\u2013"  # a dash
THIN_SPACE = "\u202f"


def is_number(value: object) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def count(value: Any) -> str:
    """Write a whole number in groups of three: 1 234 567, with thin spaces that never break."""
    return f"{round(value):,}".replace(",", THIN_SPACE) if is_number(value) else NO_VALUE


def short(value: Any) -> str:
    """Write a number with one decimal where it is below a thousand."""
    if not is_number(value):
        return NO_VALUE
    return count(value) if abs(value) >= 1000 or value == round(value) else f"{value:.1f}"


def digits(value: Any) -> str:
    """Write a number with four digits."""
    return f"{value:.4g}" if is_number(value) else NO_VALUE


def percent(value: Any) -> str:
    """Write a share in percent, with two decimals."""
    return f"{100 * value:.2f}{THIN_SPACE}%" if is_number(value) else NO_VALUE


def joules(value: Any) -> str:
    """Write an energy with three digits and a unit from fJ to J."""
    if not is_number(value):
        return NO_VALUE
    for unit, size in (("J", 1.0), ("mJ", 1e-3), ("µJ", 1e-6), ("nJ", 1e-9), ("pJ", 1e-12)):
        if value >= size:
            digits = max(0, 2 - math.floor(math.log10(value / size)))
            return f"{value / size:.{digits}f}{THIN_SPACE}{unit}"
    return f"{value / 1e-15:.3g}{THIN_SPACE}fJ" if value > 0 else f"0{THIN_SPACE}J"
