"""Curves of a known shape with noise of a known kind, for the tests of what is read off them."""

from __future__ import annotations

import numpy as np

from lrfinder_widget import LossCurve

STEEPEST = 10**-2.5
WIDTH = 0.35


def ladder(n: int, start: float = 1e-7, end: float = 10.0) -> np.ndarray:
    return np.geomspace(start, end, n)


def falling(lrs: np.ndarray, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """A fall of 2, steepest at 10**-2.5, with noise as a part of it."""
    scatter = np.random.default_rng(seed).normal(size=len(lrs))
    fall = 2 / (1 + np.exp(-(np.log10(lrs) - np.log10(STEEPEST)) / WIDTH))
    return 2.3 - fall + 2 * noise * scatter


def blowing_up(lrs: np.ndarray, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    return falling(lrs, noise, seed) + 0.05 * np.expm1(np.minimum(lrs / 0.3, 300))


def known(
    n: int = 100,
    noise: float = 0.0,
    seed: int = 0,
    start: float = 1e-7,
    end: float = 10.0,
    lrs: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Learning rates, and losses that fall and then blow up."""
    lrs = ladder(n, start, end) if lrs is None else lrs
    return lrs, np.minimum(blowing_up(lrs, noise, seed), 1e9)


def lowest() -> float:
    lrs = np.geomspace(1e-4, 1, 10_001)
    return float(lrs[blowing_up(lrs).argmin()])


def decades(lr: float, other: float) -> float:
    return abs(float(np.log10(lr / other)))


def weak(n: int = 100, seed: int = 0, height: float = 2.2) -> LossCurve:
    """A fall whose height is about that of the noise, which is skewed; then a blow-up."""
    lrs = ladder(n)
    x = np.log10(lrs)
    level = np.interp(x, [-7, -4, -3, -1.4, -0.9, 1], [2.0, 2.0, 2 - height, 2 - height, 5, 1e6])
    scatter = np.random.default_rng(seed).standard_t(3, size=n)
    return LossCurve(lrs, level + scatter, "diverged")


def first_weak() -> LossCurve:
    curves = (weak(seed=seed) for seed in range(50))
    return next(curve for curve in curves if curve.suggestion.weak)


def hidden(
    fall: float = 0.8, own: float = 0.05, seed: int = 0, n: int = 100
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A fall near 1e-2 under the scatter of batches, whose standard deviation is 1."""
    random = np.random.default_rng(seed)
    lrs = np.geomspace(1e-6, 1.0, n)
    batches = random.normal(size=n)
    part = 1 / (1 + np.exp(-4 * (np.log10(lrs) + 2.5)))
    rise = np.expm1(np.minimum(lrs / 0.2, 50.0)) * (lrs > 0.03)
    losses = 5 - fall * part + rise + batches + own * part * random.normal(size=n)
    return lrs, losses, 5 + batches


def repeated(starts: int, fall: float = 0.8) -> LossCurve:
    """Three repeats, so many of them with their baseline."""
    singles = [hidden(fall=fall, own=0.02, seed=seed) for seed in range(3)]
    return LossCurve.median(
        [
            LossCurve(lrs, losses, baseline=start if i < starts else None)
            for i, (lrs, losses, start) in enumerate(singles)
        ]
    )
