"""Which noise levels a sampler visits on its way down."""

from __future__ import annotations

import math

from structdiff.diffusion.preconditioning import SIGMA_DATA
from structdiff.errors import InputError

SIGMA_MAX = 160 * SIGMA_DATA
SIGMA_MIN = 4e-4 * SIGMA_DATA
#: The part of the way down, as shares of the steps of an even one, that a dilated schedule takes more steps for.
DILATED = (0.6, 0.8)
MOST_DILATED = 1 / (DILATED[1] - DILATED[0])


def noise_levels(
    steps: int, *, sigma_max: float = SIGMA_MAX, sigma_min: float = SIGMA_MIN, rho: float = 7.0, dilation: float = 1.0
) -> list[float]:
    """The noise levels (Å) of a number of steps: ``steps`` levels from ``sigma_max`` to ``sigma_min``, then exactly 0.

    ``rho`` bends the spacing: 1 is even, larger values spend more steps at low noise. ``dilation``: so many times as
    many steps between 60 and 80 % of the way, where a fold is decided, and fewer before and after. One step goes from
    ``sigma_max`` to 0 at once. Plain floats, so that no precision depends on the device.

    Karras et al. 2022, equation 5; AlphaFold 3, section 3.7.1, with its s_max = 160 and s_min = 4e-4 times 16 Å;
    dilation as in BoltzGen (Stark, Faltings, Choi et al. 2025).

    Raises:
        InputError: a setting out of range.

    >>> noise_levels(3, sigma_max=16.0, sigma_min=1.0, rho=2.0)
    [16.0, 6.25, 1.0, 0.0]
    """
    check_schedule(steps, sigma_max=sigma_max, sigma_min=sigma_min, rho=rho, dilation=dilation)
    if steps == 1:
        return [float(sigma_max), 0.0]
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    ways = [_dilated(index / (steps - 1), dilation) for index in range(1, steps - 1)]
    between = [(high + way * (low - high)) ** rho for way in ways]
    return [float(sigma_max), *between, float(sigma_min), 0.0]


def _dilated(way: float, dilation: float) -> float:
    """How much of the way (0 to 1) is done when that share of the steps is."""
    if dilation == 1:
        return way
    start, end = DILATED
    middle = dilation * (end - start)  # share of the steps for the middle part
    pace = (1 - (end - start)) / (1 - middle)
    begin = start / pace
    if way < begin:
        return way * pace
    if way < begin + middle:
        return start + (way - begin) / dilation
    return end + (way - begin - middle) * pace


def check_schedule(steps: int, *, sigma_max: float, sigma_min: float, rho: float, dilation: float = 1.0) -> None:
    """Raises InputError for a schedule that cannot be followed."""
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise InputError("must be a whole number of steps", key="steps", found=steps, allowed="1 or more")
    if not (0 < sigma_min < math.inf):
        raise InputError("must be a noise level in Å", key="sigma_min", found=sigma_min, allowed="> 0")
    if not (sigma_min < sigma_max < math.inf):
        raise InputError(
            "must be a noise level in Å above sigma_min", key="sigma_max", found=sigma_max, allowed=f"> {sigma_min:g}"
        )
    if not (1 <= rho < math.inf):
        raise InputError("must be the schedule's exponent", key="rho", found=rho, allowed="1 or more")
    if not (1 <= dilation < MOST_DILATED):
        raise InputError("must be how many times as many steps the middle takes", key="dilation", found=dilation,
                         allowed=f"1 to less than {MOST_DILATED:g}")  # fmt: skip
