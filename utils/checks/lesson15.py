"""Lesson 15: images, sound, video and code as sequences. Answers work with PyTorch tensors."""

import io
import re
import tokenize

import torch
import torch.nn.functional as F
from torch import nn
from transformers import ViTConfig, ViTForImageClassification

from utils.checks import hint, progress  # noqa: F401  (a lesson calls them as checks.hint)
from utils.checks.compare import Tolerance
from utils.checks.engine import Case, Exercise, Lesson, Mistake
from utils.checks.probes import fill, in_training, with_slopes

LESSON = Lesson("15", "Everything is a sequence", "15_everything_is_a_sequence")
MODULES = Tolerance(absolute=1e-4, relative=1e-4)  # two layers' rounding in 32 bits, with room
LOGARITHMS = Tolerance(absolute=1e-4, relative=1e-4)


def _normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _counted(*shape: int) -> torch.Tensor:
    """0.0, 1.0, 2.0, ... in this shape: each number says where it came from."""
    return torch.arange(float(torch.Size(shape).numel())).reshape(shape)


# --- 15.1 patchify --------------------------------------------------------------------------


def _patchify(images, size):
    return F.unfold(images, size, stride=size).transpose(1, 2)


def _squares(order=(0, 2, 4, 1, 3, 5), pixels_last=True):
    """The image cut by one `reshape` and put in order by one `permute`, either of them replaced."""

    def mutant(images, size):
        B, C, H, W = images.shape
        rows, columns = (H // size, size), (W // size, size)
        if not pixels_last:
            rows, columns = rows[::-1], columns[::-1]
        return images.reshape(B, C, *rows, *columns).permute(order)

    return mutant


def _patches(order=(0, 2, 4, 1, 3, 5), **options):
    """As `_squares`, with the axes joined to `(B, N, C * size * size)`."""
    return lambda images, size: _squares(order, **options)(images, size).reshape(
        len(images), -1, _numbers(images, size)
    )


def _numbers(images, size):
    return images.shape[1] * size * size


def _patches_found(answer, images, size, slopes=False):
    if not slopes:
        return answer(images, size)
    return with_slopes(lambda images: answer(images, size), images)


patchify = Exercise(
    number="15.1",
    name="patchify",
    oracle=_patchify,
    compared_with="`F.unfold`",
    probe=_patches_found,
    cases=lambda: [
        Case(_counted(2, 3, 4, 6), 2),
        Case(_counted(1, 1, 2, 4), 2),
        Case(_normal(1, 3, 2, 9, 6), 3),
        Case(_counted(1, 4, 4, 4), 2),
        Case(_counted(2, 2, 2, 3), 1),
        Case(_normal(2, 1, 3, 4, 4).double(), 4),
        Case(_normal(3, 2, 4, 6, 3).permute(0, 3, 1, 2), 2),
        Case(
            _normal(4, 1, 2, 6, 4),
            2,
            True,
            label="patchify(images of shape (1, 2, 6, 4), 2), and the gradient",
        ),
    ],
    mistakes=[
        Mistake(
            "batch_of_one_squeezed",
            "For a single image the batch is gone: is there a `squeeze()`? Keep the shape "
            "`(B, N, C * size * size)`, also for B = 1.",
            lambda images, size: _patchify(images, size).squeeze(),
        ),
        Mistake(
            "rows_and_columns_swapped",
            "The patches go down the image first. They go like reading: left to right, then the "
            "next row. In the `permute`, the axis of patch rows comes before that of patch "
            "columns.",
            _patches((0, 4, 2, 1, 3, 5)),
        ),
        Mistake(
            "patch_transposed",
            "Inside each patch the columns come before the rows, so every patch lies on its side. "
            "Put the row within the patch before the column within the patch.",
            _patches((0, 2, 4, 1, 5, 3)),
        ),
        Mistake(
            "channels_last",
            "Inside each patch the channels come last. Many write it so, but here the channel is "
            "first: all the red of a patch, then all the green. The order is channel, row, column.",
            _patches((0, 2, 4, 3, 5, 1)),
        ),
        Mistake(
            "plain_reshape",
            "The shape is right, but one `reshape` alone cuts the image into stretches of its "
            "rows, not into squares. Split H and W into two axes each, then move them with "
            "`permute`, then reshape.",
            lambda images, size: images.reshape(len(images), -1, _numbers(images, size)),
        ),
        Mistake(
            "not_transposed",
            "The last two axes are exchanged: `F.unfold` puts the patches last. Tokens come "
            "first: `transpose(1, 2)`.",
            lambda images, size: F.unfold(images, size, stride=size),
        ),
        Mistake(
            "overlapping",
            "Your patches overlap: the window moves on by one pixel. It moves on by a whole patch: "
            "`stride=size`.",
            lambda images, size: F.unfold(images, size).transpose(1, 2),
        ),
        Mistake(
            "every_other_pixel",
            "Each of your patches gathers pixels from all over the image. In the `reshape`, H "
            "becomes `H // size, size`, in this order: first which patch, then which pixel in it. "
            "W likewise.",
            _patches((0, 3, 5, 1, 2, 4), pixels_last=False),
        ),
        Mistake(
            "a_token_for_each_channel",
            "Each channel of a patch has become a token of its own. All channels of a patch belong "
            "into one token, of `C * size * size` numbers.",
            lambda images, size: _squares((0, 1, 2, 4, 3, 5))(images, size).reshape(
                len(images), -1, size * size
            ),
        ),
        Mistake(
            "batch_lost",
            "The patches of all images stand in one long row. Keep the axis of the batch: "
            "`reshape(B, -1, C * size * size)`.",
            lambda images, size: _squares()(images, size).reshape(-1, _numbers(images, size)),
        ),
        Mistake(
            "patches_not_flattened",
            "The patches are right, but each is still a small image, `(C, size, size)`. A token is "
            "one row of numbers: `flatten(2)`.",
            lambda images, size: _squares()(images, size).flatten(1, 2),
        ),
        Mistake(
            "no_gradient",
            "The numbers are right, but no gradient comes back to the images: is there a "
            "`detach`, a `.data`, a `no_grad` or a `torch.tensor(…)`?",
            lambda images, size: _patchify(images, size).detach(),
        ),
    ],
    hints=[
        "Where does a pixel go? Its row says two things: which patch row it is in, and which row "
        "inside that patch. So H is two axes, `H // size` and `size`. W as well.",
        "`images.reshape(B, C, H // size, size, W // size, size)` has six axes. Bring the two that "
        "choose the patch to the front, behind B.",
        "`x.permute(0, 2, 4, 1, 3, 5)` has shape `(B, rows, columns, C, size, size)`. Which "
        "`reshape` makes `(B, N, C * size * size)` of it?",
    ],
)

# --- 15.2 SequenceClassifier ----------------------------------------------------------------


class _Given(nn.Module):
    """What the learner is given: the parameters, and no forward."""

    def __init__(
        self,
        d_in,
        length,
        n_classes,
        d_model=64,
        n_heads=4,
        n_layers=2,
        d_ff=128,
        dropout=0.0,
    ):
        super().__init__()
        self.embed = nn.Linear(d_in, d_model)
        self.cls = nn.Parameter(0.5 * torch.randn(1, 1, d_model))
        self.position = nn.Parameter(0.5 * torch.randn(1, 1 + length, d_model))
        layer = nn.TransformerEncoderLayer(
            d_model,
            n_heads,
            d_ff,
            dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.encoder = nn.TransformerEncoder(layer, n_layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(d_model)
        self.head = nn.Linear(d_model, n_classes)


class _SequenceClassifier(_Given):
    """Hugging Face's ViT on the learner's parameters: a row of N pixels with d_in channels."""

    def __init__(
        self,
        d_in,
        length,
        n_classes,
        d_model=64,
        n_heads=4,
        n_layers=2,
        d_ff=128,
        dropout=0.0,
    ):
        super().__init__(d_in, length, n_classes, d_model, n_heads, n_layers, d_ff, dropout)
        config = ViTConfig(
            image_size=(1, length),
            patch_size=(1, 1),
            num_channels=d_in,
            hidden_size=d_model,
            num_attention_heads=n_heads,
            num_hidden_layers=n_layers,
            intermediate_size=d_ff,
            hidden_act="gelu",
            layer_norm_eps=1e-5,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            num_labels=n_classes,
        )
        with torch.device("meta"):  # it has no weights of its own
            self._vit = (ViTForImageClassification(config),)  # in a tuple: not registered

    def _weights(self):
        """The learner's parameters under the names that they have in the ViT."""
        patches = "vit.embeddings.patch_embeddings.projection"
        modules = {"vit.layernorm": self.norm, "classifier": self.head}
        weights = {
            "vit.embeddings.cls_token": self.cls,
            "vit.embeddings.position_embeddings": self.position,
            f"{patches}.weight": self.embed.weight[..., None, None],
            f"{patches}.bias": self.embed.bias,
        }
        for i, layer in enumerate(self.encoder.layers):
            name, attention = f"vit.layers.{i}", layer.self_attn
            modules |= {
                f"{name}.layernorm_before": layer.norm1,
                f"{name}.layernorm_after": layer.norm2,
                f"{name}.mlp.fc1": layer.linear1,
                f"{name}.mlp.fc2": layer.linear2,
                f"{name}.attention.o_proj": attention.out_proj,
            }
            parts = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
            for letter, weight, bias in zip("qkv", *parts, strict=True):
                weights[f"{name}.attention.{letter}_proj.weight"] = weight
                weights[f"{name}.attention.{letter}_proj.bias"] = bias
        for name, module in modules.items():
            weights |= {f"{name}.weight": module.weight, f"{name}.bias": module.bias}
        return weights

    def forward(self, tokens):
        (vit,) = self._vit
        vit.train(self.training)
        pixels = tokens.transpose(1, 2)[:, :, None]  # (B, d_in, 1, N)
        return torch.func.functional_call(vit, self._weights(), (pixels,)).logits


class _InSteps(_Given):
    """The classifier with every step a method of its own, so that a mistake can replace one."""

    def classes(self, x):
        return self.cls.expand(len(x), -1, -1)

    def sequence(self, x):
        return torch.cat([self.classes(x), x], dim=1) + self.position

    def encode(self, x):
        return self.encoder(x)

    def read(self, x):
        return self.norm(x[:, 0])

    def finish(self, logits):
        return logits

    def forward(self, tokens):
        x = self.encode(self.sequence(self.embed(tokens)))
        return self.finish(self.head(self.read(x)))


def _classifier(**methods):
    """A classifier with some of its steps replaced."""
    return type("SequenceClassifier", (_InSteps,), methods)


def _class_token_behind(self, x):
    return torch.cat([x, self.classes(x)], dim=1) + self.position


def _words_with_positions(first, last):
    """Positions are added to the words alone, from this one to that one."""

    def sequence(self, x):
        return torch.cat([self.classes(x), x + self.position[:, first:last]], dim=1)

    return sequence


def _classified(cls, build, tokens, training=True):
    """The logits with known weights; in training (without dropout) the gradients as well."""
    if isinstance(cls, nn.Module):
        name = type(cls).__name__
        raise TypeError(f"pass the class `{name}` itself, not an object that it made")
    model = fill(cls(**build), like=_Given(**build))
    if training:
        return in_training(model, tokens)
    with torch.no_grad():
        return model(tokens)


def _classifier_case(seed, B, training=True, **build):
    build |= {"dropout": 0.0 if training else 0.5}
    shape = B, build["length"], build["d_in"]
    options = ", ".join(f"{name}={value}" for name, value in build.items())
    label = f"SequenceClassifier({options})\nin {'training' if training else 'evaluation'}, "
    label += f"with weights of the check's own, on tokens of shape {shape}"
    return Case(build, _normal(seed, *shape), training, label=label)


SequenceClassifier = Exercise(
    number="15.2",
    name="SequenceClassifier",
    oracle=_SequenceClassifier,
    compared_with="Hugging Face's `ViTForImageClassification` with your weights",
    probe=_classified,
    tolerance=MODULES,
    cases=lambda: [
        _classifier_case(1, 2, d_in=3, length=5, n_classes=4, d_model=8, n_heads=2, d_ff=6),
        _classifier_case(2, 3, False, d_in=6, length=4, n_classes=2, d_model=8, n_heads=4, d_ff=5),
        _classifier_case(
            3, 4, d_in=4, length=3, n_classes=4, d_model=4, n_heads=2, n_layers=1, d_ff=4
        ),
        _classifier_case(
            4, 1, d_in=2, length=2, n_classes=3, d_model=4, n_heads=1, n_layers=1, d_ff=4
        ),
        _classifier_case(
            5, 3, d_in=5, length=1, n_classes=2, d_model=6, n_heads=3, n_layers=3, d_ff=7
        ),
        _classifier_case(6, 2, False, d_in=7, length=9, n_classes=5),
    ],
    mistakes=[
        Mistake(
            "no_positions",
            "`self.position` is not used. Without it the encoder cannot tell one order of the "
            "tokens from another: add it to the sequence, class token included, before the "
            "encoder.",
            _classifier(sequence=lambda self, x: torch.cat([self.classes(x), x], dim=1)),
        ),
        Mistake(
            "class_token_last",
            "The class token stands behind the tokens. Put it in front, `torch.cat([cls, x], "
            "dim=1)`, where `self.position` has a place for it and `x[:, 0]` reads it.",
            _classifier(sequence=_class_token_behind, read=lambda self, x: self.norm(x[:, -1])),
        ),
        Mistake(
            "class_token_last_but_first_read",
            "The class token stands behind the tokens, and then you read `x[:, 0]`, which is the "
            "first token of the input. Put the class token in front: `torch.cat([cls, x], dim=1)`.",
            _classifier(sequence=_class_token_behind),
        ),
        Mistake(
            "last_token_read",
            "You read the last token. The answer is collected by the class token, which stands in "
            "front: `x[:, 0]`.",
            _classifier(read=lambda self, x: self.norm(x[:, -1])),
        ),
        Mistake(
            "first_word_read",
            "You read `x[:, 1]`, the first token of the input. The class token has place 0: "
            "`x[:, 0]`.",
            _classifier(read=lambda self, x: self.norm(x[:, 1])),
        ),
        Mistake(
            "mean_of_all_tokens",
            "You take the mean of all tokens. That works too, in other models; here the class "
            "token alone is read: `x[:, 0]`.",
            _classifier(read=lambda self, x: self.norm(x.mean(1))),
        ),
        Mistake(
            "mean_without_the_class_token",
            "You take the mean of the input's tokens and leave out the class token. It is the "
            "class token that is read: `x[:, 0]`.",
            _classifier(read=lambda self, x: self.norm(x[:, 1:].mean(1))),
        ),
        Mistake(
            "no_class_token",
            "`self.cls` is not used, and `x[:, 0]` is then the first token of the input. Put "
            "`self.cls.expand(len(x), -1, -1)` in front of the tokens with `torch.cat`.",
            _classifier(sequence=lambda self, x: x + self.position[:, 1:]),
        ),
        Mistake(
            "class_token_without_position",
            "Only the input's tokens get a position. The class token has one too, the first: put "
            "it in front *before* you add `self.position`.",
            _classifier(sequence=_words_with_positions(1, None)),
        ),
        Mistake(
            "positions_off_by_one",
            "The first position goes to the first token of the input. It belongs to the class "
            "token: put that in front *before* you add the whole of `self.position`.",
            _classifier(sequence=_words_with_positions(0, -1)),
        ),
        Mistake(
            "encoder_skipped",
            "The tokens never go through `self.encoder`, so the class token knows nothing of them "
            "and every input gets the same answer.",
            _classifier(encode=lambda self, x: x),
        ),
        Mistake(
            "no_final_norm",
            "`self.norm` is not used. In a pre-norm encoder nothing has normalised the sum that "
            "comes out at the end: apply `self.norm` before `self.head`.",
            _classifier(read=lambda self, x: x[:, 0]),
        ),
        Mistake(
            "norm_before_the_encoder",
            "You normalise before the encoder. `self.norm` is the last step before `self.head`: "
            "inside the encoder each layer has norms of its own.",
            _classifier(
                encode=lambda self, x: self.encoder(self.norm(x)), read=lambda self, x: x[:, 0]
            ),
        ),
        Mistake(
            "head_on_every_token",
            "Every token gets logits. The whole sequence gets one answer, `(B, n_classes)`: read "
            "the class token, `x[:, 0]`, before the head.",
            _classifier(read=lambda self, x: self.norm(x)),
        ),
        Mistake(
            "axis_kept",
            "The numbers are right, but there is an axis too many: `x[:, :1]` keeps the axis of "
            "the tokens. With `x[:, 0]` the logits are `(B, n_classes)`.",
            _classifier(read=lambda self, x: self.norm(x[:, :1])),
        ),
        Mistake(
            "softmax_at_the_end",
            "You return probabilities. `F.cross_entropy` wants the logits and takes the softmax "
            "itself: return what `self.head` gives.",
            _classifier(finish=lambda self, logits: logits.softmax(-1)),
        ),
        Mistake(
            "no_gradient",
            "The numbers are right, but the weights would not learn: is there a `detach`, a "
            "`.data` or a `no_grad`?",
            _classifier(finish=lambda self, logits: logits.detach()),
        ),
    ],
    hints=[
        "Five steps: embed the tokens, put the class token in front, add the positions, encode, "
        "and read the class token. `self.norm` and `self.head` come last.",
        "`self.cls` has shape `(1, 1, d_model)`, and each sequence of the batch needs it: "
        "`self.cls.expand(len(x), -1, -1)` has shape `(B, 1, d_model)`.",
        "`x = torch.cat([…, x], dim=1)` has shape `(B, 1 + N, d_model)`, as `self.position` has. "
        "After the encoder the class token is `x[:, 0]`.",
    ],
)

# --- 15.3 log_mel ---------------------------------------------------------------------------


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


def _filters(seed, n_fft, n_mels):
    """No triangles, but as many numbers, and none of the sums comes near 0."""
    return (_normal(seed, n_fft // 2 + 1, n_mels).abs() + 0.1).round(decimals=1)


def _sound_case(seed, B, S, n_fft, hop, n_mels, loud=0.4, window=torch.hann_window, silent=()):
    wave = loud * _normal(seed, B, S)
    wave[list(silent)] = 0.0
    return Case(wave, window(n_fft), hop, _filters(seed + 1, n_fft, n_mels))


def _uneven(n_fft):
    """A window that nobody would make by themselves: it has to be taken from the argument."""
    return torch.linspace(0.2, 1.0, n_fft)


log_mel = Exercise(
    number="15.3",
    name="log_mel",
    oracle=_log_mel,
    compared_with="`torch.stft` with the same filters",
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
        _sound_case(6, 3, 16, 8, 4, 5, silent=[1]),
    ],
    mistakes=[
        Mistake(
            "no_window",
            "The frames are cut out with hard edges: `window` is not used. Multiply each frame by "
            "it before the Fourier transform.",
            _sound(window=torch.ones_like),
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

# --- 15.4 tubelets (stretch) ----------------------------------------------------------------


def _tubelets(video, depth, size):
    n = video.shape[1] * depth * size * size
    kernel = torch.eye(n, dtype=video.dtype, device=video.device)
    kernel = kernel.reshape(n, -1, depth, size, size)
    return F.conv3d(video, kernel, stride=(depth, size, size)).flatten(2).transpose(1, 2)


def _blocks(order=(0, 2, 4, 6, 1, 3, 5, 7), inside_last=True):
    """The video cut by one `reshape` and put in order by one `permute`, either replaced."""

    def mutant(video, depth, size):
        B, C, *lengths = video.shape
        split = [(length // n, n) for length, n in zip(lengths, (depth, size, size), strict=True)]
        axes = [n for pair in split for n in (pair if inside_last else pair[::-1])]
        x = video.reshape(B, C, *axes).permute(order)
        return x.reshape(B, -1, C * depth * size * size)

    return mutant


def _reshaped(video, depth, size):
    return video.reshape(len(video), -1, video.shape[1] * depth * size * size)


def _frames_averaged(video, depth, size):
    x = _tubelets(video, depth, size)
    return x.reshape(*x.shape[:2], video.shape[1], depth, size * size).mean(3).flatten(2)


def _tubelets_by_hand(video, depth, size):
    B, C, F_, H, W = video.shape
    x = video.reshape(B, C, F_ // depth, depth, H // size, size, W // size, size)
    return x.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(B, -1, C * depth * size * size)


tubelets = Exercise(
    number="15.4",
    name="tubelets",
    oracle=_tubelets,
    compared_with="`F.conv3d` with a kernel that copies",
    cases=lambda: [
        Case(_counted(2, 4, 6, 4, 6), 2, 2),
        Case(_counted(1, 1, 2, 2, 2), 2, 1),
        Case(_counted(1, 1, 2, 2, 2), 1, 2),
        Case(_normal(1, 3, 2, 6, 6, 3), 2, 3),
        Case(_counted(1, 4, 4, 4, 4), 2, 2),
        Case(_normal(2, 1, 3, 3, 4, 2).double(), 3, 2),
        Case(_normal(3, 2, 2, 4, 3, 2), 2, 1),
        Case(_normal(4, 2, 4, 2, 4, 4).transpose(1, 2), 2, 2),
    ],
    mistakes=[
        Mistake(
            "depth_written_in",
            "You cut boxes of 2 frames, whatever `depth` is. Use `depth` in the `reshape`.",
            lambda video, depth, size: _tubelets_by_hand(video, 2, size),
        ),
        Mistake(
            "time_fastest",
            "You go through time first and the picture later. The first tubelets all begin at "
            "frame 0: time is the *slowest* of the three, then rows, then columns.",
            _blocks((0, 4, 6, 2, 1, 3, 5, 7)),
        ),
        Mistake(
            "rows_and_columns_swapped",
            "Within a picture the tubelets go down first. They go like reading: left to right, "
            "then the next row.",
            _blocks((0, 2, 6, 4, 1, 3, 5, 7)),
        ),
        Mistake(
            "time_inside_last",
            "Inside each tubelet time comes last. The order inside is channel, time, row, column.",
            _blocks((0, 2, 4, 6, 1, 5, 7, 3)),
        ),
        Mistake(
            "time_before_channel",
            "Inside each tubelet time comes before the channel. The order inside is channel, time, "
            "row, column.",
            _blocks((0, 2, 4, 6, 3, 1, 5, 7)),
        ),
        Mistake(
            "channels_last",
            "Inside each tubelet the channel comes last. Here it is first: channel, time, row, "
            "column.",
            _blocks((0, 2, 4, 6, 3, 5, 7, 1)),
        ),
        Mistake(
            "patch_transposed",
            "Inside each tubelet the columns come before the rows, so every picture in it lies on "
            "its side. The order inside is channel, time, row, column.",
            _blocks((0, 2, 4, 6, 1, 3, 7, 5)),
        ),
        Mistake(
            "plain_reshape",
            "The shape is right, but one `reshape` alone cuts the video into stretches, not into "
            "blocks. Split F, H and W into two axes each, then `permute`, then reshape.",
            _reshaped,
        ),
        Mistake(
            "every_other_pixel",
            "Each of your tubelets gathers pixels from all over the video. In the `reshape`, F "
            "becomes `F // depth, depth`, in this order: first which tubelet, then which frame in "
            "it. H and W likewise.",
            _blocks((0, 3, 5, 7, 1, 2, 4, 6), inside_last=False),
        ),
        Mistake(
            "not_transposed",
            "The last two axes are exchanged. Tokens come first: `(B, N, C * depth * size * "
            "size)`.",
            lambda video, depth, size: _tubelets(video, depth, size).transpose(1, 2),
        ),
        Mistake(
            "every_frame_by_itself",
            "You cut every frame by itself into patches. A tubelet goes through `depth` frames: it "
            "holds `C * depth * size * size` numbers, and there are fewer of them.",
            lambda video, depth, size: _tubelets(video, 1, size),
        ),
        Mistake(
            "frames_averaged",
            "You take the mean over the frames of a tubelet, and what moves is lost. Keep all "
            "`depth` frames, one behind the other.",
            _frames_averaged,
        ),
        Mistake(
            "frames_for_channels",
            "You take the channels for the frames. The shape of the video is `(B, C, F, H, W)`: "
            "channels come first, then frames.",
            lambda video, depth, size: _tubelets(video.transpose(1, 2), depth, size),
        ),
    ],
    hints=[
        "It is `patchify` with one axis more: F, too, becomes two axes, `F // depth` and `depth`.",
        "`video.reshape(B, C, F // depth, depth, H // size, size, W // size, size)` has eight "
        "axes: 0 is the batch and 1 the channel. Which three choose the tubelet?",
        "`x.permute(0, 2, 4, 6, 1, 3, 5, 7)`, and then a `reshape` to `(B, N, C * depth * size * "
        "size)`.",
    ],
)

# --- 15.5 code_tokens (stretch) -------------------------------------------------------------

# Python 3.12 and later take an f-string apart, 3.11 does not. The cases hold none, so that a plain
# answer is right on all; the stand-in puts them together again, in case the lesson meets one.
_F_STARTS, _F_ENDS = (getattr(tokenize, f"FSTRING_{end}", -1) for end in ("START", "END"))
_REPLACED = {
    tokenize.NUMBER: "<number>",
    tokenize.STRING: "<string>",
    _F_ENDS: "<string>",
    tokenize.INDENT: "<indent>",
    tokenize.DEDENT: "<dedent>",
    tokenize.NEWLINE: "<newline>",
}
_LEFT_OUT = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER, _F_STARTS}


def _code_tokens(source):
    found, depth = [], 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        depth -= token.type == _F_ENDS
        if depth == 0 and token.type not in _LEFT_OUT:
            found.append(_REPLACED.get(token.type, token.string))
        depth += token.type == _F_STARTS
    return found


def _read(keep=(), drop=(), as_text=(), also=None, word=lambda token: token.string):
    """The tokens with some kinds kept, left out, or not replaced."""
    replaced = {kind: said for kind, said in _REPLACED.items() if kind not in as_text}
    replaced |= also or {}
    left_out = (_LEFT_OUT | set(drop)) - set(keep)

    def mutant(source):
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        return [replaced.get(t.type, word(t)) for t in tokens if t.type not in left_out]

    return mutant


_PLAIN = """\
def Area(r):  # of a circle
    # two digits are enough

    return 3.14 * r ** 2

print(Area(2), "cm # squared")
"""
_NESTED = """\
while x <= 10:
    for y in range(x):
        if y % 2 == 0 and not done:
            total += y
    else:
        x -= 1
    # the end of a round
break_here = 'no newline at the end'"""
_CLASS = '''\
class Shape(Base):
    """It has
    two lines.
    """

    SIDES = [
        1,  # one

        2,
    ]

    @property
    def name(self) -> str: return r'\\d' b"x"


    def __len__(self):
        if self.n > \\
                0x1F:
            return -1_000
        return ...
'''

code_tokens = Exercise(
    number="15.5",
    name="code_tokens",
    oracle=_code_tokens,
    compared_with="Python's `tokenize`",
    cases=lambda: [
        Case(_PLAIN, label=f"code_tokens(source), where source is\n{_PLAIN}"),
        Case("x = 1\n"),
        Case("if A:\n    b = 'c'\n"),
        Case(_NESTED, label=f"code_tokens(source), where source is\n{_NESTED}"),
        Case(_CLASS, label=f"code_tokens(source), where source is\n{_CLASS}"),
        Case("naïve = x[1:-1] ** 2.5e-3 // 0xFF; y = 3j if (n := len(s)) != 0 else {'#': s}\n"),
        Case("try:\n\tf(a)  # tabs\nfinally:\n\tg(b)\n"),
        Case("# only a comment\n\n"),
        Case(""),
    ],
    mistakes=[
        Mistake(
            "split_at_blanks",
            "You split at the blanks, so `Area(r):` stays one word. Python knows better where its "
            "words end: `tokenize.generate_tokens(io.StringIO(source).readline)`.",
            str.split,
        ),
        Mistake(
            "single_characters",
            "These are single characters. The words of Python come from "
            "`tokenize.generate_tokens(io.StringIO(source).readline)`.",
            list,
        ),
        Mistake(
            "words_and_signs",
            "A pattern for words and signs takes `3.14` and `**` apart, looks into strings and "
            "comments, and does not see the indentation. Ask Python itself: "
            "`tokenize.generate_tokens`.",
            lambda source: re.findall(r"\w+|[^\w\s]", source),
        ),
        Mistake(
            "nothing_replaced",
            "You give the text of every token, comments and all. Leave out the kinds that mean "
            "nothing, and write `<number>`, `<string>`, `<indent>`, `<dedent>` and `<newline>` "
            "for these kinds.",
            _read(keep=_LEFT_OUT, as_text=_REPLACED),
        ),
        Mistake(
            "names_replaced",
            "You replace the names as well, and nobody can say any more what the program does. "
            "Names stay as they are written.",
            _read(also={tokenize.NAME: "<name>"}),
        ),
        Mistake(
            "comments_kept",
            "The comments are still there. They do nothing when the program runs: leave out "
            "tokens of the kind `tokenize.COMMENT`.",
            _read(keep=[tokenize.COMMENT]),
        ),
        Mistake(
            "strings_kept",
            "The texts of the strings are still there, and each would be a word of its own. Write "
            "`<string>` for tokens of the kind `tokenize.STRING`.",
            _read(as_text=[tokenize.STRING]),
        ),
        Mistake(
            "numbers_kept",
            "The numbers are still there, and there are endlessly many. Write `<number>` for "
            "tokens of the kind `tokenize.NUMBER`.",
            _read(as_text=[tokenize.NUMBER]),
        ),
        Mistake(
            "layout_lost",
            "The layout is lost: in Python indentation and the ends of lines mean something. "
            "Write `<indent>`, `<dedent>` and `<newline>` for these kinds.",
            _read(drop=[tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE]),
        ),
        Mistake(
            "layout_as_text",
            "Indentation and ends of lines come out as blanks, line breaks or empty strings. "
            "Write `<indent>`, `<dedent>` and `<newline>` for these kinds.",
            _read(as_text=[tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE]),
        ),
        Mistake(
            "dedent_missing",
            "There are `<indent>`s, but nothing says where a block ends. Write `<dedent>` for "
            "tokens of the kind `tokenize.DEDENT`.",
            _read(drop=[tokenize.DEDENT]),
        ),
        Mistake(
            "dedent_as_empty_string",
            "The end of a block comes out as an empty string, for that is its text. Write "
            "`<dedent>` for tokens of the kind `tokenize.DEDENT`.",
            _read(as_text=[tokenize.DEDENT]),
        ),
        Mistake(
            "newlines_missing",
            "The ends of the lines are missing. Leave out `tokenize.NL`, the line break that means "
            "nothing, but keep `tokenize.NEWLINE` as `<newline>`: it ends a statement.",
            _read(drop=[tokenize.NEWLINE]),
        ),
        Mistake(
            "blank_lines_counted",
            "You write `<newline>` after blank lines and comments too. `tokenize` has two kinds: "
            "`NEWLINE` ends a statement, `NL` means nothing. Leave out `NL`.",
            _read(keep=[tokenize.NL], also={tokenize.NL: "<newline>"}),
        ),
        Mistake(
            "line_breaks_kept",
            "There are line breaks among the words, where a line is blank or holds only a comment. "
            "They are of the kind `tokenize.NL` and mean nothing: leave them out.",
            _read(keep=[tokenize.NL]),
        ),
        Mistake(
            "end_marker_kept",
            "There is an empty string at the end. It is the mark for the end of the file, of the "
            "kind `tokenize.ENDMARKER`: leave it out.",
            _read(keep=[tokenize.ENDMARKER]),
        ),
        Mistake(
            "encoding_kept",
            "The first word is `utf-8`, which stands nowhere in the source. `tokenize.tokenize` "
            "says so of the bytes: leave out `tokenize.ENCODING`, or take `generate_tokens`.",
            lambda source: ["utf-8", *_code_tokens(source)],
        ),
        Mistake(
            "lower_case",
            "You write all words in small letters. In Python `Area` and `area` are two names: "
            "leave them as they are.",
            _read(word=lambda token: token.string.lower()),
        ),
        Mistake(
            "kinds_for_words",
            "You give the *kind* of every token. Names and operators stay as they are written, "
            "`token.string`; only numbers, strings and the layout are replaced.",
            _read(
                as_text=_REPLACED,
                word=lambda token: tokenize.tok_name[token.type],
            ),
        ),
        Mistake(
            "one_string",
            "You join the words to one string. Return the list.",
            lambda source: " ".join(_code_tokens(source)),
        ),
    ],
    hints=[
        "Each token of `tokenize.generate_tokens(io.StringIO(source).readline)` has a `type` and a "
        "`string`. Print them for two lines of Python before you write anything.",
        "Two collections do it: a dict from kinds to what is written for them, "
        '`{tokenize.NUMBER: "<number>", …}`, and a set of the kinds that are left out.',
        "In the loop: skip a token if `token.type` is in the set; otherwise append "
        "`replaced.get(token.type, token.string)`.",
    ],
)
