"""Exercise 7.8, `power_law`: its oracle, inputs, mistakes and hints."""

import numpy as np
import torch
from scipy import stats

from utils.checks.engine.compare import Seen, Tolerance, difference, is_tensor
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal_array
from utils.checks.lesson07.common import TRAINED


def _power_law(n, loss):
    line = stats.linregress(np.log(np.asarray(n)), np.log(np.asarray(loss)))
    return float(np.exp(line.intercept)), float(-line.slope)


def _fit(x=np.log, y=np.log, slope=lambda x, y: np.polyfit(x, y, 1)[0], end=None):
    """A straight line with one step replaced."""
    end = end or (lambda slope, intercept: (np.exp(intercept), -slope))

    def mutant(n, loss):
        x_, y_ = x(np.asarray(n, float)), y(np.asarray(loss, float))
        k = slope(x_, y_)
        return tuple(map(float, end(k, y_.mean() - k * x_.mean())))

    return mutant


def _through_first_and_last(n, loss):
    k = (np.log(loss[-1]) - np.log(loss[0])) / (np.log(n[-1]) - np.log(n[0]))
    return float(np.exp(np.log(loss[0]) - k * np.log(n[0]))), float(-k)


def _first_loss_for_a(n, loss):
    return float(loss[0]), _power_law(n, loss)[1]


def _without_logarithms(n, loss):
    from scipy.optimize import least_squares

    a, b = _power_law(n, loss)
    x = np.log(n)
    found = least_squares(
        lambda p: np.exp(p[0] - p[1] * x) - loss, (np.log(a), b), xtol=1e-14, ftol=1e-14, gtol=1e-14
    )
    return float(np.exp(found.x[0])), float(found.x[1])


def _integers(n, loss):
    a, b = _power_law(n, loss)
    return round(a, 2), round(b, 2)


def _two_numbers(answer, n, loss):
    """The answer's two numbers, out of a tuple, a list or an array."""
    found = answer(n, loss)
    if isinstance(found, np.ndarray) and found.shape == (2,):
        found = found.tolist()
    if not isinstance(found, list | tuple):
        return found
    plain = tuple(x.item() if _is_single(x) else x for x in found)
    tensors = any(map(is_tensor, found)) and not difference(plain, _power_law(n, loss), TRAINED)
    return Seen({"result": plain, "type": "torch tensors" if tensors else "Python numbers"})


def _is_single(x):
    return (isinstance(x, np.ndarray) or is_tensor(x)) and x.ndim == 0


def _noisy(seed, K, a, b, low, high, noise=0.1, whole=False):
    """Points near a power law, in no order."""
    n = 10 ** (low + (high - low) * (normal_array(seed, K).argsort() + 0.5) / K)
    n = n.round().astype(np.int64) if whole else n
    return Case(n, a * n ** -float(b) * np.exp(noise * normal_array(seed + 1, K)))


power_law = Exercise(
    number="7.8",
    name="power_law",
    oracle=_power_law,
    compared_with="`scipy.stats.linregress` on the logarithms",
    probe=_two_numbers,
    tolerance=Tolerance(absolute=1e-8, relative=1e-5),
    cases=lambda: [
        Case(np.array([2.0, 5.0, 30.0, 400.0]), np.array([4.1, 3.6, 1.9, 1.2])),
        Case(np.array([1.0, 10.0, 100.0]), np.array([4.0, 2.0, 1.0])),
        Case(np.array([1, 10, 100]), np.array([4.0, 2.0, 1.0])),
        Case(np.array([3.0, 7.0]), np.array([2.5, 2.0])),
        Case(np.array([0.1, 0.5, 8.0]), np.array([0.9, 0.2, 0.7])),
        Case(np.array([2.0, 4.0, 8.0]), np.array([1.0, 2.0, 8.0])),  # b below 0
        Case(np.array([5.0, 50.0, 70.0]), np.array([3.0, 3.0, 3.0])),  # b = 0
        Case(np.array([300.0, 2.0, 40.0]), np.array([1.0, 6.0, 3.0])),
        _noisy(1, 6, a=6.0, b=0.08, low=3, high=7),
        _noisy(3, 5, a=12.0, b=0.3, low=4, high=10, whole=True),
        _noisy(5, 40, a=1.0, b=0.5, low=0, high=3, noise=0.3),
    ],
    mistakes=[
        Mistake(
            "sign_of_b",
            "The sign of b is wrong. The slope of the line is -b: a loss that falls has a positive "
            "b.",
            _fit(end=lambda slope, intercept: (np.exp(intercept), slope)),
        ),
        Mistake(
            "a_still_a_logarithm",
            "b is right. The line's intercept is the logarithm of a: take `np.exp` of it.",
            _fit(end=lambda slope, intercept: (intercept, -slope)),
        ),
        Mistake(
            "slope_and_intercept",
            "You return the line's slope and intercept. The law wants `a = exp(intercept)` and "
            "`b = -slope`.",
            _fit(end=lambda slope, intercept: (slope, intercept)),
        ),
        Mistake(
            "intercept_and_slope",
            "You return the line's intercept and slope. The law wants `a = exp(intercept)` and "
            "`b = -slope`.",
            _fit(end=lambda slope, intercept: (intercept, slope)),
        ),
        Mistake(
            "swapped",
            "Both numbers are right, but in the wrong order: return a first, `(a, b)`.",
            _fit(end=lambda slope, intercept: (-slope, np.exp(intercept))),
        ),
        Mistake(
            "swapped_without_the_sign",
            "The order is wrong, and so is a sign: `np.polyfit` gives the slope first, and "
            "b = -slope. Return `(a, b)`.",
            _fit(end=lambda slope, intercept: (slope, np.exp(intercept))),
        ),
        Mistake(
            "slope_taken_for_the_intercept",
            "You take the slope for the intercept and the other way round: `np.polyfit` gives the "
            "highest power first, `slope, intercept = np.polyfit(…, 1)`.",
            _fit(end=lambda slope, intercept: (np.exp(slope), -intercept)),
        ),
        Mistake(
            "a_inverted",
            "b is right, but a is upside down: the intercept is log a, without a minus.",
            _fit(end=lambda slope, intercept: (np.exp(-intercept), -slope)),
        ),
        Mistake(
            "no_logarithms",
            "You fit a straight line through the points as they are. The law is straight only in "
            "the logarithms of both: `np.log(n)`, `np.log(loss)`.",
            _fit(x=lambda n: n, y=lambda loss: loss),
        ),
        Mistake(
            "n_without_logarithm",
            "You take the logarithm of the loss only; that would be an exponential law. Take "
            "`np.log(n)` too.",
            _fit(x=lambda n: n),
        ),
        Mistake(
            "loss_without_logarithm",
            "You take the logarithm of `n` only. Take `np.log(loss)` too.",
            _fit(y=lambda loss: loss),
        ),
        Mistake(
            "loss_without_logarithm_or_exp",
            "You take the logarithm of `n` only, and the intercept for a. Take `np.log(loss)` too, "
            "and `np.exp` of the intercept.",
            _fit(y=lambda loss: loss, end=lambda slope, intercept: (intercept, -slope)),
        ),
        Mistake(
            "exp_after_log10",
            "You take logarithms to base 10 and come back with e. Undo each with its own: "
            "`10 ** intercept`, or `np.log` and `np.exp`.",
            _fit(x=np.log10, y=np.log10),
        ),
        Mistake(
            "exp_after_log2",
            "You take logarithms to base 2 and come back with e. Undo each with its own: "
            "`2 ** intercept`, or `np.log` and `np.exp`.",
            _fit(x=np.log2, y=np.log2),
        ),
        Mistake(
            "power_of_10_after_log",
            "You take natural logarithms and come back with 10. Undo `np.log` with `np.exp`.",
            _fit(end=lambda slope, intercept: (10**intercept, -slope)),
        ),
        Mistake(
            "two_bases",
            "You take the two logarithms to different bases (`log10` of `n`, `log` of the loss), "
            "so the slope is off. Take the same for both.",
            _fit(x=np.log10),
        ),
        Mistake(
            "first_and_last_only",
            "Your line goes through the first and the last point only. Least squares asks all of "
            "them: `np.polyfit(np.log(n), np.log(loss), 1)`.",
            _through_first_and_last,
        ),
        Mistake(
            "axes_swapped",
            "You fit `n` from the loss and return that line. Fit log loss from log n.",
            lambda n, loss: _fit()(loss, n),
        ),
        Mistake(
            "inverted_line",
            "You fit log n from log loss and turn the line round. Least squares does not come out "
            "the same that way: fit log loss from log n.",
            _fit(
                slope=lambda x, y: ((y - y.mean()) ** 2).sum() / ((x - x.mean()) @ (y - y.mean()))
            ),
        ),
        Mistake(
            "through_the_origin",
            "Your line has no intercept, so a would always be 1. Fit slope *and* intercept.",
            _fit(slope=lambda x, y: (x @ y) / (x @ x), end=lambda slope, intercept: (1.0, -slope)),
        ),
        Mistake(
            "first_loss_for_a",
            "b is right, but a is not the first loss: it is what the line says at n = 1, "
            "`np.exp(intercept)`.",
            _first_loss_for_a,
        ),
        Mistake(
            "fitted_without_logarithms",
            "You fit the curve itself, where large losses count most. The task fits a straight "
            "line through the logarithms.",
            _without_logarithms,
        ),
        Mistake(
            "returns_tensors",
            "Both numbers are right, but in tensors. `.item()` makes Python numbers of them.",
            lambda n, loss: tuple(map(torch.tensor, _power_law(n, loss))),
        ),
        Mistake(
            "rounded",
            "You round the result. Return the numbers as they come; whoever prints them rounds.",
            _integers,
        ),
    ],
    hints=[
        "Take the logarithm of both sides: log loss = log a - b · log n. That is a straight line.",
        "`slope, intercept = np.polyfit(np.log(n), np.log(loss), 1)` fits it by least squares.",
        "The slope is -b and the intercept log a: `return np.exp(intercept), -slope`, as floats.",
    ],
)
