"""Exercise 15.3, `log_mel`: its oracle, inputs, mistakes and hints."""

import torch

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import learned_or_nan
from utils.checks.lesson15.common import LOGARITHMS


def _spectrum(wave, window, hop, **options):
    """PyTorch's own short-time Fourier transform: (B, frames, bins), complex."""
    options = {"center": False, "return_complex": True} | options
    return torch.stft(wave, len(window), hop, window=window, **options).transpose(1, 2)


def _log_mel(wave, window, hop, filters):
    power = _spectrum(wave, window, hop).abs().square()
    return (power @ filters).clamp(min=1e-10).log10()


def _floor(mel):
    return mel.clamp(min=1e-10)


def _sound(
    window=lambda window: window,
    hop=lambda hop, n_fft: hop,
    power=lambda spectrum: spectrum.abs().square(),
    mel=lambda power, filters: power @ filters,
    log=lambda mel: _floor(mel).log10(),
    **options,
):
    """The spectrogram with one step replaced; `options` are for `torch.stft`."""

    def mutant(wave, taper, step, filters):
        spectrum = _spectrum(wave, window(taper), hop(step, len(taper)), **options)
        return log(mel(power(spectrum), filters))

    return mutant


def _log_first(power, filters):
    return _floor(power).log10() @ filters


def _whisper(mel):
    log = _floor(mel).log10()
    return (log.clamp(min=log.max() - 8) + 4) / 4


def _filters(seed, n_fft, n_mels):
    """No triangles, but as many numbers, and none of the sums comes near 0."""
    return (normal(seed, n_fft // 2 + 1, n_mels).abs() + 0.1).round(decimals=1)


def _sound_case(seed, B, S, n_fft, hop, n_mels, loud=0.4, window=torch.hann_window, silent=()):
    wave = loud * normal(seed, B, S)
    wave[list(silent)] = 0.0
    return Case(wave, window(n_fft), hop, _filters(seed + 1, n_fft, n_mels))


def _learned_case(*sizes, **options):
    """As `_sound_case`, and the gradients to wave, window and filters are looked at."""
    wave, window, hop, filters = _sound_case(*sizes, **options).args
    return Case(wave.requires_grad_(), window.requires_grad_(), hop, filters.requires_grad_())


def _uneven(n_fft):
    """A window that nobody would make by themselves: it has to be taken from the argument."""
    return torch.linspace(0.2, 1.0, n_fft)


log_mel = Exercise(
    number="15.3",
    name="log_mel",
    oracle=_log_mel,
    compared_with="`torch.stft` with the same filters",
    probe=learned_or_nan,
    tolerance=LOGARITHMS,
    cases=lambda: [
        _sound_case(1, 2, 21, 8, 3, 4),
        Case(
            torch.tensor([[0.5, -0.25, 1.0, 0.75, -0.5, 0.25]]),
            torch.tensor([0.0, 0.5, 1.0, 0.5]),
            2,
            torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]),
        ),
        _sound_case(2, 3, 40, 16, 4, 5, window=_uneven),
        _sound_case(3, 1, 12, 12, 5, 3),
        _sound_case(4, 2, 31, 6, 8, 4, loud=3e4, window=torch.hamming_window),
        _sound_case(5, 2, 17, 5, 3, 3, loud=2e-3, window=_uneven),
        _sound_case(6, 3, 16, 8, 4, 5, window=_uneven, silent=[1]),
        _sound_case(7, 1, 8000, 256, 128, 40),
        _learned_case(8, 2, 14, 6, 4, 3),
        _learned_case(9, 2, 12, 8, 2, 3, silent=[0]),
    ],
    mistakes=[
        Mistake(
            "no_window",
            "The frames are cut out with hard edges: `window` is not used. Multiply each frame by "
            "it before the Fourier transform.",
            _sound(window=torch.ones_like),
        ),
        Mistake(
            "window_twice",
            "The window comes in twice. Multiply each frame by it once, before the Fourier "
            "transform.",
            _sound(window=torch.square),
        ),
        Mistake(
            "another_window",
            "You make a Hann window of your own. Multiply by the `window` that was given: it may "
            "be another one.",
            _sound(window=lambda window: torch.hann_window(len(window))),
        ),
        Mistake(
            "magnitude_not_power",
            "You add up magnitudes. The filters sum *power*, which is the square: "
            "`spectrum.abs() ** 2`.",
            _sound(power=torch.abs),
        ),
        Mistake(
            "real_part_only",
            "You square only the real part, the cosines, and the sines are lost. `abs()` of a "
            "complex number has both: `spectrum.abs() ** 2`.",
            _sound(power=lambda spectrum: spectrum.real.square()),
        ),
        Mistake(
            "spectrum_rescaled",
            'You divide the power by `n_fft`, as `norm="ortho"` and `normalized=True` do. Take '
            "the transform as it is: `torch.fft.rfft(frames * window)`.",
            _sound(normalized=True),
        ),
        Mistake(
            "filters_left_out",
            "The filters are missing: there is still a number for each of the `n_fft // 2 + 1` "
            "bins. `power @ filters` sums them up to `n_mels` bands.",
            _sound(mel=lambda power, filters: power),
        ),
        Mistake(
            "natural_log",
            "That is the natural logarithm, `log`. Here the logarithm to base 10 is meant: "
            "`log10`.",
            _sound(log=lambda mel: _floor(mel).log()),
        ),
        Mistake(
            "decibels",
            "That is in decibels, ten times too large. Leave out the factor: `log10` alone.",
            _sound(log=lambda mel: 10 * _floor(mel).log10()),
        ),
        Mistake(
            "log_of_one_plus",
            "You take the logarithm of 1 + x, which flattens all that is quiet. Keep x above 0 "
            "with `clamp(min=1e-10)`, then take `log10`.",
            _sound(log=lambda mel: (1 + mel).log10()),
        ),
        Mistake(
            "log_left_out",
            "The logarithm is missing: loud sounds drown all others. `clamp(min=1e-10)`, then "
            "`log10`.",
            _sound(log=_floor),
        ),
        Mistake(
            "log_before_mel",
            "You take the logarithm before the filters. First add up the power in each band, "
            "`power @ filters`; then the logarithm of the sums.",
            _sound(mel=_log_first, log=lambda mel: mel),
        ),
        Mistake(
            "no_floor",
            "Right, until there is silence: the logarithm of 0 is minus infinity, and one such "
            "number spoils the training. `clamp(min=1e-10)` before `log10`.",
            _sound(log=torch.log10),
        ),
        Mistake(
            "nan_gradient_in_silence",
            "The numbers are right, but in silence the gradient is `nan`, for on its way back it "
            "meets the slope of the logarithm at 0 (or of a root). Clamp first, then `log10`.",
            _sound(log=lambda mel: mel.log10().clamp(min=-10)),
        ),
        Mistake(
            "floor_before_the_filters",
            "The floor comes too early: you clamp the power of each bin, and the filters add the "
            "floors up. Clamp the result of `power @ filters`.",
            _sound(mel=lambda power, filters: _floor(power) @ filters, log=torch.log10),
        ),
        Mistake(
            "floor_after_the_log",
            "You clamp *after* the logarithm, so every number below 0 is lost, and that is all "
            "that is quiet. Clamp first, then `log10`.",
            _sound(log=lambda mel: mel.log10().clamp(min=1e-10)),
        ),
        Mistake(
            "padded_at_the_ends",
            "There are too many frames: the wave is padded at both ends, as `torch.stft` does "
            "unless told `center=False`. Here every frame lies inside the wave: "
            "`wave.unfold(-1, len(window), hop)`.",
            _sound(center=True),
        ),
        Mistake(
            "hop_ignored",
            "Your frames do not overlap: each begins where the last one ended. The next frame "
            "begins `hop` samples later: `wave.unfold(-1, len(window), hop)`.",
            _sound(hop=lambda hop, n_fft: n_fft),
        ),
        Mistake(
            "hop_of_one",
            "There is a frame at every sample. The next frame begins `hop` samples later: "
            "`wave.unfold(-1, len(window), hop)`.",
            _sound(hop=lambda hop, n_fft: 1),
        ),
        Mistake(
            "last_frame_missing",
            "The last frame is missing. There are `1 + (S - n_fft) // hop` of them: the first "
            "begins at 0, and the last may end with the wave.",
            lambda *given: _log_mel(*given)[:, :-1],
        ),
        Mistake(
            "frames_and_bands_exchanged",
            "The last two axes are exchanged. A frame is a token, so frames come first: "
            "`(B, frames, n_mels)`.",
            lambda *given: _log_mel(*given).transpose(1, 2),
        ),
        Mistake(
            "scaled_as_whisper",
            "Whisper cuts off what is far below the maximum, and then rescales. Here the "
            "logarithm is the last step.",
            _sound(log=_whisper),
        ),
        Mistake(
            "no_gradient",
            "The numbers are right, but no gradient comes back: is there a `detach`, a `.data`, a "
            "`no_grad`, a `torch.tensor(…)`, or a way through NumPy?",
            lambda *given: _log_mel(*given).detach(),
        ),
    ],
    hints=[
        "Five steps: cut into frames, multiply by the window, Fourier transform, sum the power in "
        "each band, take the logarithm.",
        "`wave.unfold(-1, len(window), hop)` has shape `(B, frames, n_fft)`, and "
        "`torch.fft.rfft` of it has `n_fft // 2 + 1` complex numbers for each frame.",
        "`power = torch.fft.rfft(frames * window).abs() ** 2`; then `power @ filters`, kept above "
        "0 with `clamp(min=1e-10)`, and `log10` last.",
    ],
)
