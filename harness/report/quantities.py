"""Numbers as a person reads them: few digits, and a unit that fits."""

from __future__ import annotations

_PREFIXES = ("", "k", "M", "G", "T", "P", "E")


def quantity(value: float, unit: str = "", digits: int = 4) -> str:
    """The value at so many significant digits, in thousands, millions ...: ``48.28 M``, ``9 MB``.

    The prefixes are those of the SI, powers of 1000, for bytes too.
    """
    number, step = float(f"{value:.{digits}g}"), 0
    while abs(number) >= 1000 and step < len(_PREFIXES) - 1:
        number, step = number / 1000, step + 1
    return f"{number:.{digits}g} {_PREFIXES[step]}{unit}".rstrip()


def percent(value: float, decimals: int = 2) -> str:
    """``82.88 %``."""
    return f"{value:.{decimals}f} %"


def span(low: float, high: float) -> str:
    """An interval of percent, rounded outwards so that it never promises more than it holds."""
    # A float such as 82.07 times 100 is a hair off: without the tolerance it would widen the span.
    down = int(low * 100 + 1e-6) / 100
    up = -int(-(high * 100 - 1e-6) // 1) / 100
    return f"{down:.2f} to {up:.2f} %"
