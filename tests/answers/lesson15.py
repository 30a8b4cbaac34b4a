"""Answers to lesson 15: right ones in an unusual style, and mistakes that nobody listed."""

import io
import tokenize

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def patches_in_loops(images, size):
    _, _, H, W = images.shape
    found = []
    for top in range(0, H, size):
        for left in range(0, W, size):
            found.append(images[:, :, top : top + size, left : left + size].flatten(1))
    return torch.stack(found, dim=1)


def patches_unfolded(images, size):
    x = images.unfold(2, size, size).unfold(3, size, size)  # (B, C, rows, columns, size, size)
    return x.movedim(1, 3).flatten(3).flatten(1, 2)


def patches_convolved(images, size):
    n = images.shape[1] * size**2
    kernel = torch.eye(n, dtype=images.dtype).view(n, -1, size, size)
    return F.conv2d(images, kernel, stride=size).flatten(2).mT


def patches_shuffled_back(images, size):
    return F.pixel_unshuffle(images, size).flatten(2).transpose(1, 2)


def patches_of_square_images(images, size):
    B, C, H, _ = images.shape
    x = images.reshape(B, C, H // size, size, H // size, size)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(B, -1, C * size * size)


def patches_as_words_last(images, size):
    """The permutation of `(h p1) (w p2) -> (h w) (p1 p2 c)`, with rows and columns exchanged."""
    B, C, H, W = images.shape
    x = images.reshape(B, C, H // size, size, W // size, size)
    return x.permute(0, 4, 2, 3, 5, 1).reshape(B, -1, C * size * size)


def patches_read_backwards(images, size):
    return patches_unfolded(images, size).flip(1)


def patches_without_reshape(images, size):
    B, C, H, W = images.shape
    return images.view(B, C, H // size, size, W // size, size).permute(0, 2, 4, 1, 3, 5)


def patches_through_numpy(images, size):
    return torch.from_numpy(np.stack([p.numpy() for p in patches_in_loops(images, size)]))


class Given(nn.Module):
    def __init__(
        self, d_in, length, n_classes, d_model=64, n_heads=4, n_layers=2, d_ff=128, dropout=0.0
    ):
        super().__init__()
        self.embed = nn.Linear(d_in, d_model)
        self.cls = nn.Parameter(0.5 * torch.randn(1, 1, d_model))
        self.position = nn.Parameter(0.5 * torch.randn(1, 1 + length, d_model))
        layer = nn.TransformerEncoderLayer(
            d_model, n_heads, d_ff, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, n_layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(d_model)
        self.head = nn.Linear(d_model, n_classes)


class ClassifierAsInTheLesson(Given):
    def forward(self, tokens):
        x = self.embed(tokens)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1)
        x = self.encoder(x + self.position)
        return self.head(self.norm(x[:, 0]))


class ClassifierByHand(Given):
    def attend(self, attention, x):
        q, k, v = F.linear(x, attention.in_proj_weight, attention.in_proj_bias).chunk(3, -1)
        q, k, v = (y.unflatten(-1, (attention.num_heads, -1)) for y in (q, k, v))
        weights = (torch.einsum("bihc,bjhc->bhij", q, k) / q.shape[-1] ** 0.5).softmax(-1)
        return attention.out_proj(torch.einsum("bhij,bjhc->bihc", weights, v).flatten(2))

    def forward(self, tokens):
        x = tokens @ self.embed.weight.T + self.embed.bias
        x = F.pad(x, (0, 0, 1, 0)) + self.position
        x = x + F.pad(self.cls, (0, 0, 0, tokens.shape[1]))
        for layer in self.encoder.layers:
            x = x + layer.dropout1(self.attend(layer.self_attn, layer.norm1(x)))
            y = layer.dropout(F.gelu(layer.linear1(layer.norm2(x))))
            x = x + layer.dropout2(layer.linear2(y))
        return self.head(self.norm(x))[:, 0]


class ClassifierOneByOne(Given):
    def forward(self, tokens):
        logits = []
        for row in tokens:
            x = torch.vstack([self.cls[0], self.embed(row)]) + self.position[0]
            for layer in self.encoder.layers:
                x = layer(x[None])[0]
            logits.append(self.head(self.norm(x[0])))
        return torch.stack(logits)


class ClassifierInPieces(Given):
    """The positions are added piece by piece, which comes to the same."""

    def forward(self, tokens):
        words = self.embed(tokens) + self.position[:, 1:]
        first = (self.cls + self.position[:, :1]).repeat(tokens.size(0), 1, 1)
        hidden = self.encoder(torch.concat((first, words), 1))
        pooled = self.norm(hidden).select(1, 0)
        return F.linear(pooled, self.head.weight, self.head.bias)


class ClassifierWithZeros(Given):
    """The class token is a row of zeros, not the learned one."""

    def forward(self, tokens):
        x = F.pad(self.embed(tokens), (0, 0, 1, 0)) + self.position
        return self.head(self.norm(self.encoder(x)[:, 0]))


class ClassifierWithPositionsTwice(ClassifierAsInTheLesson):
    def forward(self, tokens):
        x = self.embed(tokens)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x + self.position[:, 1:]], dim=1)
        return self.head(self.norm(self.encoder(x + self.position)[:, 0]))


class ClassifierTwoMistakes(Given):
    """No positions, and no final norm."""

    def forward(self, tokens):
        x = self.embed(tokens)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1)
        return self.head(self.encoder(x)[:, 0])


class ClassifierWithOtherInit(ClassifierAsInTheLesson):
    def __init__(self, *sizes, **more):
        super().__init__(*sizes, **more)
        self.position = nn.Parameter(self.position[:, 1:].detach())


class ClassifierOfClasses(ClassifierAsInTheLesson):
    def forward(self, tokens):
        return super().forward(tokens).argmax(-1)


def mel_with_unfold(wave, window, hop, filters):
    frames = wave.unfold(-1, len(window), hop) * window
    power = torch.fft.rfft(frames).abs() ** 2
    return (power @ filters).clamp(min=1e-10).log10()


def mel_with_a_small_number_added(wave, window, hop, filters):
    power = torch.fft.rfft(wave.unfold(-1, len(window), hop) * window).abs().pow(2)
    return torch.log10(power @ filters + 1e-10)


def mel_in_loops(wave, window, hop, filters):
    rows = []
    n_fft = window.numel()
    for row in wave:
        frames, start = [], 0
        while start + n_fft <= len(row):
            z = torch.fft.fft(row[start : start + n_fft].double() * window)[: n_fft // 2 + 1]
            power = z.real**2 + z.imag**2
            mel = (filters * power[:, None]).sum(0)
            frames.append(torch.log(torch.clip(mel, 1e-10)) / np.log(10))
            start += hop
        rows.append(torch.stack(frames))
    return torch.stack(rows)


def mel_with_cosines(wave, window, hop, filters):
    n_fft = len(window)
    angle = 2 * torch.pi * torch.outer(torch.arange(n_fft), torch.arange(n_fft // 2 + 1)) / n_fft
    frames = (wave.unfold(1, n_fft, hop) * window).double()
    power = (frames @ angle.double().cos()) ** 2 + (frames @ angle.double().sin()) ** 2
    mel = torch.einsum("btf,fm->btm", power.float(), filters)
    return torch.maximum(mel, torch.tensor(1e-10)).log10()


def mel_clamped_late(wave, window, hop, filters):
    power = torch.fft.rfft(wave.unfold(-1, len(window), hop) * window)
    return ((power * power.conj()).real @ filters).log10().clamp(min=-10)


def mel_normalised(wave, window, hop, filters):
    power = torch.fft.rfft(wave.unfold(-1, len(window), hop) * window, norm="ortho").abs() ** 2
    return (power @ filters).clamp(min=1e-10).log10()


def mel_as_whisper(wave, window, hop, filters):
    log = mel_with_unfold(wave, window, hop, filters)
    return (torch.maximum(log, log.amax() - 8.0) + 4.0) / 4.0


def mel_natural_of_magnitudes(wave, window, hop, filters):
    spectrum = torch.fft.rfft(wave.unfold(-1, len(window), hop) * window)
    return (spectrum.abs() @ filters).clamp(min=1e-10).log()


def mel_without_window_or_floor(wave, window, hop, filters):
    power = torch.fft.rfft(wave.unfold(-1, len(window), hop)).abs() ** 2
    return (power @ filters).log10()


def mel_in_numpy(wave, window, hop, filters):
    return mel_with_unfold(wave, window, hop, filters).numpy()


def tubelets_in_loops(video, depth, size):
    _, _, n_frames, H, W = video.shape
    return torch.stack(
        [
            video[:, :, t : t + depth, i : i + size, j : j + size].flatten(1)
            for t in range(0, n_frames, depth)
            for i in range(0, H, size)
            for j in range(0, W, size)
        ],
        dim=1,
    )


def tubelets_unfolded(video, depth, size):
    x = video.unfold(2, depth, depth).unfold(3, size, size).unfold(4, size, size)
    return x.movedim(1, 4).flatten(4).flatten(1, 3)


def tubelets_from_patches(video, depth, size):
    """Each stretch of frames is an image with C * depth channels."""
    parts = video.split(depth, dim=2)
    return torch.cat([patches_in_loops(part.flatten(1, 2), size) for part in parts], dim=1)


def tubelets_by_einsum(video, depth, size):
    B, C, frames, H, W = video.shape
    x = video.reshape(B, C, frames // depth, depth, H // size, size, W // size, size)
    x = torch.einsum("bctdhiwj->bthwcdij", x)
    return x.reshape(B, -1, C * depth * size**2).to(torch.float64)


def tubelets_of_video_order(video, depth, size):
    """For videos of shape (B, F, C, H, W)."""
    B, frames, C, H, W = video.shape
    x = video.reshape(B, frames // depth, depth, C, H // size, size, W // size, size)
    return x.permute(0, 1, 4, 6, 3, 2, 5, 7).reshape(B, -1, C * depth * size * size)


def tubelets_two_mistakes(video, depth, size):
    """Time fastest among the tokens, the channel last inside."""
    B, C, frames, H, W = video.shape
    x = video.reshape(B, C, frames // depth, depth, H // size, size, W // size, size)
    return x.permute(0, 4, 6, 2, 3, 5, 7, 1).reshape(B, -1, C * depth * size * size)


def tubelets_overlapping(video, depth, size):
    x = video.unfold(2, depth, 1).unfold(3, size, size).unfold(4, size, size)
    return x.movedim(1, 4).flatten(4).flatten(1, 3)


WORDS = {
    tokenize.NUMBER: "<number>",
    tokenize.STRING: "<string>",
    tokenize.INDENT: "<indent>",
    tokenize.DEDENT: "<dedent>",
    tokenize.NEWLINE: "<newline>",
}
NOTHING = (tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER, tokenize.ENCODING)


def code_from_bytes(source):
    kinds = tokenize.tokenize(io.BytesIO(source.encode()).readline)
    return [WORDS.get(t.type, t.string) for t in kinds if t.type not in NOTHING]


def code_by_names(source):
    words = []
    for kind, text, *_ in tokenize.generate_tokens(iter(source.splitlines(True)).__next__):
        name = tokenize.tok_name[kind]
        if name in ("NUMBER", "STRING", "INDENT", "DEDENT", "NEWLINE"):
            words += [f"<{name.lower()}>"]
        elif name in ("NAME", "OP"):
            words += [text]
    return words


def code_by_cases(source):
    words = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        match token.type:
            case tokenize.NAME | tokenize.OP:
                words.append(token.string)
            case tokenize.NUMBER | tokenize.STRING:
                words.append("<number>" if token.type == tokenize.NUMBER else "<string>")
            case tokenize.INDENT | tokenize.DEDENT | tokenize.NEWLINE:
                words.append(f"<{tokenize.tok_name[token.type].lower()}>")
    return words


def code_in_a_tuple(source):
    return tuple(code_from_bytes(source))


def code_with(source, drop=(), **other):
    found = []
    for t in tokenize.generate_tokens(io.StringIO(source).readline):
        name = tokenize.tok_name[t.type]
        if t.type not in NOTHING and name not in drop:
            found.append(other.get(name, WORDS.get(t.type, t.string)))
    return found


def code_capital_words(source):
    return [word.upper() if word[0] == "<" else word for word in code_with(source)]


def code_strings_and_comments(source):
    return [
        WORDS.get(t.type, t.string) if t.type != tokenize.STRING else t.string
        for t in tokenize.generate_tokens(io.StringIO(source).readline)
        if t.type not in (tokenize.NL, tokenize.ENDMARKER)
    ]


def code_generator(source):
    yield from code_with(source)


def patches_by_index(images, size):
    B, C, H, W = images.shape
    number = torch.arange(C * H * W).reshape(1, C, H, W)
    return images.reshape(B, -1)[:, patches_in_loops(number, size)[0]]


def patches_split(images, size):
    rows = [torch.stack(row.split(size, 3), 1).flatten(2) for row in images.split(size, 2)]
    return torch.cat(rows, 1)


def patches_viewed(images, size):
    B, C, H, W = images.shape
    x = images.view(B, C, H // size, size, W // size, size)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(B, -1, C * size * size)


def kept(function, name_of):
    """An answer that returns what it found the first time for this name."""
    results = {}

    def answer(*given):
        return results.setdefault(name_of(*given), function(*given))

    return answer


def through_numpy(function):
    """An answer that leaves PyTorch on its way."""

    def answer(*given):
        given = [x.numpy() if isinstance(x, torch.Tensor) else x for x in given]
        given = [torch.from_numpy(x) if isinstance(x, np.ndarray) else x for x in given]
        return function(*given)

    return answer


def whole_sequence(self, tokens):
    x = self.embed(tokens)
    return torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1) + self.position


def classified(self, x):
    return self.head(self.norm(self.encoder(x)[:, 0]))


def classifier(forward):
    return type("SequenceClassifier", (Given,), {"forward": forward})


@classifier
def ClassifierOnTheWholeSequence(self, tokens):
    self.hidden = self.encoder(whole_sequence(self, tokens))
    return self.head(self.norm(self.hidden))[:, 0, :]


@classifier
def ClassifierFilledIn(self, tokens):
    x = torch.empty(len(tokens), 1 + tokens.shape[1], self.cls.shape[-1])
    x[:, 0], x[:, 1:] = self.cls[0, 0], self.embed(tokens)
    x += self.position
    for layer in self.encoder.layers:
        x = layer(x)
    x = x[:, 0]
    x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
    return (x * self.norm.weight + self.norm.bias) @ self.head.weight.T + self.head.bias


@classifier
def ClassifierKeepsItsClassTokens(self, tokens):
    if not hasattr(self, "classes"):
        self.classes = self.cls.expand(len(tokens), -1, -1)
    return classified(self, torch.cat([self.classes, self.embed(tokens)], 1) + self.position)


@classifier
def ClassifierKeepsAWeight(self, tokens):
    if not hasattr(self, "first"):
        self.first = self.cls + self.position[:, :1]
    words = self.embed(tokens) + self.position[:, 1:]
    return classified(self, torch.cat([self.first.expand(len(tokens), -1, -1), words], 1))


@classifier
def ClassifierDetachesItsInput(self, tokens):
    return classified(self, whole_sequence(self, tokens.detach()))


@classifier
def ClassifierDetachesPositions(self, tokens):
    x = self.embed(tokens)
    x = torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1) + self.position.data
    return classified(self, x)


@classifier
@torch.no_grad()
def ClassifierWithoutGradients(self, tokens):
    return classified(self, whole_sequence(self, tokens))


@classifier
def ClassifierEvaluates(self, tokens):
    self.encoder.eval()
    return classified(self, whole_sequence(self, tokens))


@classifier
def ClassifierTrains(self, tokens):
    self.train()
    return classified(self, whole_sequence(self, tokens))


@classifier
def ClassifierEvaluatesAndTrains(self, tokens):
    self.eval()
    logits = classified(self, whole_sequence(self, tokens))
    self.train()
    return logits


@classifier
def ClassifierWithDropout(self, tokens):
    return classified(self, F.dropout(whole_sequence(self, tokens), 0.1, self.training))


@classifier
def ClassifierWithDropoutAlways(self, tokens):
    return classified(self, nn.Dropout(0.1)(whole_sequence(self, tokens)))


@classifier
def ClassifierChangesItsWeights(self, tokens):
    self.position.data *= 0.99
    return classified(self, whole_sequence(self, tokens))


@classifier
def ClassifierCausal(self, tokens):
    x = whole_sequence(self, tokens)
    mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
    return self.head(self.norm(self.encoder(x, mask=mask)[:, 0]))


@classifier
def ClassifierMeanOfLogits(self, tokens):
    return self.head(self.norm(self.encoder(whole_sequence(self, tokens)))).mean(1)


@classifier
def ClassifierNormTwice(self, tokens):
    return self.head(self.norm(self.norm(self.encoder(whole_sequence(self, tokens))[:, 0])))


def mel_by_index(wave, window, hop, filters):
    n = len(window)
    places = torch.arange(0, wave.shape[-1] - n + 1, hop)[:, None] + torch.arange(n)
    power = torch.view_as_real(torch.fft.rfft(wave[:, places] * window)).square().sum(-1)
    return F.linear(power, filters.T).maximum(torch.full((), 1e-10)).log() / np.log(10)


def mel_of_the_library(wave, window, hop, filters):
    options = {"center": False, "return_complex": True}
    spectrum = torch.stft(wave, len(window), hop, window=window, **options)
    return torch.einsum("bft,fm->btm", spectrum.abs() ** 2, filters).clamp_min(1e-10).log10()


def mel_where(wave, window, hop, filters):
    power = torch.fft.rfft(wave.unfold(-1, len(window), hop) * window).abs() ** 2 @ filters
    return torch.where(power > 1e-10, power, torch.full_like(power, 1e-10)).log10()


def mel_where_too_late(wave, window, hop, filters):
    power = torch.fft.rfft(wave.unfold(-1, len(window), hop) * window).abs() ** 2 @ filters
    return torch.where(power > 1e-10, power.log10(), torch.tensor(-10.0))


def mel_through_a_root(wave, window, hop, filters):
    spectrum = torch.fft.rfft(wave.unfold(-1, len(window), hop) * window)
    magnitude = (spectrum.real**2 + spectrum.imag**2).sqrt()
    return (magnitude**2 @ filters).clamp(min=1e-10).log10()


def mel_of_a_copied_window(wave, window, hop, filters):
    return mel_with_unfold(wave, torch.tensor(window.tolist()), hop, filters)


def mel_with_a_higher_floor(wave, window, hop, filters):
    power = torch.fft.rfft(wave.unfold(-1, len(window), hop) * window).abs() ** 2
    return (power @ filters).clamp(min=1e-5).log10()


def tubelets_split(video, depth, size):
    boxes = [
        box.flatten(1)
        for frames in video.split(depth, 2)
        for rows in frames.split(size, 3)
        for box in rows.split(size, 4)
    ]
    return torch.stack(boxes, 1)


def tubelets_of_eight_frames(video, depth, size):
    return tubelets_in_loops(video[:, :, :8], depth, size)


def tubelets_not_quite_flat(video, depth, size):
    return tubelets_in_loops(video, depth, size).unflatten(1, (video.shape[2] // depth, -1))


def code_of_64_tokens(source):
    return code_with(source)[:64]


def code_of_a_remembered_source(source, kept={}):  # noqa: B006
    return list(kept.setdefault(source, code_with(source)))


def code_in_one_list_for_all(source, found=[]):  # noqa: B006
    for word in code_with(source):
        found.append(word)
    return found


def code_up_to_a_comment(source):
    found = []
    for t in tokenize.generate_tokens(io.StringIO(source).readline):
        if t.type in NOTHING:
            break
        found.append(WORDS.get(t.type, t.string))
    return found


RIGHT = [
    ("15.patchify", patches_in_loops),
    ("15.patchify", patches_unfolded),
    ("15.patchify", patches_convolved),
    ("15.patchify", patches_shuffled_back),
    ("15.patchify", patches_by_index),
    ("15.patchify", patches_split),
    ("15.patchify", patches_viewed),
    ("15.SequenceClassifier", ClassifierAsInTheLesson),
    ("15.SequenceClassifier", ClassifierByHand),
    ("15.SequenceClassifier", ClassifierOneByOne),
    ("15.SequenceClassifier", ClassifierInPieces),
    ("15.SequenceClassifier", ClassifierOnTheWholeSequence),
    ("15.SequenceClassifier", ClassifierFilledIn),
    ("15.log_mel", mel_with_unfold),
    ("15.log_mel", mel_with_a_small_number_added),
    ("15.log_mel", mel_in_loops),
    ("15.log_mel", mel_with_cosines),
    ("15.log_mel", mel_by_index),
    ("15.log_mel", mel_of_the_library),
    ("15.log_mel", mel_where),
    ("15.tubelets", tubelets_in_loops),
    ("15.tubelets", tubelets_unfolded),
    ("15.tubelets", tubelets_from_patches),
    ("15.tubelets", tubelets_by_einsum),
    ("15.tubelets", tubelets_split),
    ("15.code_tokens", code_from_bytes),
    ("15.code_tokens", code_by_names),
    ("15.code_tokens", code_by_cases),
    ("15.code_tokens", lambda source: list(code_generator(source))),
    ("15.code_tokens", code_of_a_remembered_source),
]

WRONG = [
    ("15.patchify", patches_of_square_images),
    ("15.patchify", patches_as_words_last),
    ("15.patchify", patches_read_backwards),
    ("15.patchify", patches_without_reshape),
    ("15.patchify", patches_through_numpy, "no_gradient"),
    ("15.patchify", lambda *given: patches_in_loops(*given).numpy(), "another_type"),
    ("15.patchify", torch.no_grad()(patches_in_loops), "no_gradient"),
    ("15.patchify", kept(patches_in_loops, lambda x, size: (x.shape, size)), "keeps_state"),
    ("15.patchify", lambda x, size: patches_in_loops(x, size).to(torch.uint8).float(), None),
    ("15.patchify", lambda x, size: patches_in_loops(x[:, :, :16, :32], size), None),
    ("15.SequenceClassifier", ClassifierWithZeros, "zeros_for_the_class_token"),
    ("15.SequenceClassifier", ClassifierKeepsItsClassTokens, "keeps_state"),
    ("15.SequenceClassifier", ClassifierKeepsAWeight, "keeps_state"),
    ("15.SequenceClassifier", ClassifierDetachesItsInput, "no_gradient_arrives"),
    ("15.SequenceClassifier", ClassifierDetachesPositions, "no_gradient_arrives"),
    ("15.SequenceClassifier", ClassifierWithoutGradients, "no_gradient"),
    ("15.SequenceClassifier", ClassifierEvaluates, "evaluation_in_forward"),
    ("15.SequenceClassifier", ClassifierTrains, "training_in_forward"),
    ("15.SequenceClassifier", ClassifierEvaluatesAndTrains, None),
    ("15.SequenceClassifier", ClassifierWithDropout, "dropout_of_your_own"),
    ("15.SequenceClassifier", ClassifierWithDropoutAlways, "dropout_in_evaluation"),
    ("15.SequenceClassifier", ClassifierChangesItsWeights, "weights_changed"),
    ("15.SequenceClassifier", ClassifierCausal, "class_token_sees_no_other"),
    ("15.SequenceClassifier", ClassifierMeanOfLogits, "mean_after_the_norm"),
    ("15.SequenceClassifier", ClassifierNormTwice, None),
    ("15.SequenceClassifier", ClassifierWithPositionsTwice),
    ("15.SequenceClassifier", ClassifierTwoMistakes),
    ("15.SequenceClassifier", ClassifierWithOtherInit),
    ("15.SequenceClassifier", ClassifierOfClasses),
    ("15.log_mel", mel_normalised),
    ("15.log_mel", mel_as_whisper),
    ("15.log_mel", mel_natural_of_magnitudes),
    ("15.log_mel", mel_without_window_or_floor),
    ("15.log_mel", mel_in_numpy, "another_type"),
    ("15.log_mel", through_numpy(mel_with_unfold), "no_gradient"),
    ("15.log_mel", mel_clamped_late, "nan_gradient_in_silence"),
    ("15.log_mel", mel_where_too_late, "nan_gradient_in_silence"),
    ("15.log_mel", mel_through_a_root, "nan_gradient_in_silence"),
    ("15.log_mel", mel_of_a_copied_window, "no_gradient_arrives"),
    ("15.log_mel", mel_with_a_higher_floor, None),
    ("15.log_mel", kept(mel_with_unfold, lambda wave, *_: wave.shape), "keeps_state"),
    ("15.tubelets", tubelets_of_video_order),
    ("15.tubelets", tubelets_two_mistakes),
    ("15.tubelets", tubelets_overlapping),
    ("15.tubelets", through_numpy(tubelets_in_loops), "no_gradient"),
    ("15.tubelets", kept(tubelets_in_loops, lambda x, *sizes: (x.shape, sizes)), "keeps_state"),
    ("15.tubelets", tubelets_of_eight_frames, None),
    ("15.tubelets", tubelets_not_quite_flat, None),
    ("15.code_tokens", code_capital_words),
    ("15.code_tokens", code_strings_and_comments),
    ("15.code_tokens", code_generator, "generator"),
    ("15.code_tokens", code_in_a_tuple, "tuple_for_list"),
    ("15.code_tokens", code_of_64_tokens, None),
    ("15.code_tokens", code_in_one_list_for_all, None),
    ("15.code_tokens", code_up_to_a_comment, None),
]
