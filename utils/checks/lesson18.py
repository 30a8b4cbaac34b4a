"""Lesson 18: a multimodal language model. Answers take and return PyTorch tensors."""

import copy
import functools

import torch
import torch.nn.functional as F
from torch import nn
from transformers import CLIPVisionConfig, LlamaConfig, LlamaForCausalLM, LlavaConfig
from transformers.models.llava.modeling_llava import LlavaMultiModalProjector

from utils.checks import hint, progress  # noqa: F401  (a lesson calls them as checks.hint)
from utils.checks.compare import Tolerance, show
from utils.checks.engine import Case, Exercise, Lesson, Mistake
from utils.checks.probes import fill, in_training, with_slopes

LESSON = Lesson("18", "A multimodal language model", "18_multimodal_lm")


def _normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# --- 18.1 Projector -------------------------------------------------------------------------


@functools.cache
def _llava(d_vision, d_model):
    """LLaVA's settings; of its two models the projector asks only for their width."""
    return LlavaConfig(
        vision_config=CLIPVisionConfig(hidden_size=d_vision, num_attention_heads=1),
        text_config=LlamaConfig(hidden_size=d_model, num_attention_heads=1, head_dim=2),
        vision_feature_layer=-1,
        projector_hidden_act="gelu",
    )


class _Projector(LlavaMultiModalProjector):
    """The stand-in: LLaVA's own projector, made from two sizes as the learner's is."""

    def __init__(self, d_vision, d_model):
        super().__init__(_llava(d_vision, d_model))

    def forward(self, features):
        return super().forward(features)


def _projector(forward):
    """A projector that does something else."""
    return type("Projector", (_Projector,), {"forward": forward})


def _with(activation):
    return _projector(lambda self, x: self.linear_2(activation(self.linear_1(x))))


def _with_residual(self, x):
    hidden = self.linear_1(x)
    return hidden + self.linear_2(F.gelu(hidden))


def _projector_output(cls, build, features):
    """What the projector returns in training, with known weights, and what the weights learn."""
    if isinstance(cls, nn.Module):
        raise TypeError(f"pass the class `{type(cls).__name__}` itself, not an object that it made")
    projector = fill(cls(**build), like=_Projector(**build))
    return in_training(projector, features)


def _projector_case(d_model, features):
    build = {"d_vision": features.shape[-1], "d_model": d_model}
    given = f"features of shape {tuple(features.shape)}"
    if features.numel() <= 12:
        given = f"features={' '.join(show(features).split())}"
    label = f"Projector(d_vision={build['d_vision']}, d_model={d_model}) with weights of the "
    return Case(build, features, label=f"{label}check's own, of {given}")


Projector = Exercise(
    number="18.1",
    name="Projector",
    oracle=_Projector,
    compared_with="`LlavaMultiModalProjector` of Hugging Face's LLaVA",
    probe=_projector_output,
    tolerance=Tolerance(absolute=2e-5, relative=2e-5),  # the two GELUs differ by 5e-4 at most
    cases=lambda: [
        _projector_case(4, 2 * _normal(1, 2, 3, 5)),
        _projector_case(7, 2 * _normal(2, 1, 5, 3)),
        _projector_case(3, 2 * _normal(3, 3, 3, 3)),
        _projector_case(2, torch.tensor([[[1.0, -2.0, 0.5]]])),
        _projector_case(5, torch.tensor([[[0.0, 0.0], [9.0, -6.0]]])),
    ],
    mistakes=[
        Mistake(
            "no_activation",
            "There is nothing between the two layers, and two linear layers in a row are only one. "
            "Put GELU between them: `F.gelu`.",
            _with(lambda x: x),
        ),
        Mistake(
            "relu",
            "That is ReLU. LLaVA's projector bends its numbers with GELU: `F.gelu`.",
            _with(F.relu),
        ),
        Mistake(
            "silu",
            "That is SiLU, which the language model has in its own layers. The projector bends its "
            "numbers with GELU: `F.gelu`.",
            _with(F.silu),
        ),
        Mistake(
            "tanh_gelu",
            "That is the approximation of GELU with `tanh`. It differs by less than a thousandth, "
            "but LLaVA's projector has the exact one: `F.gelu(x)` without `approximate`.",
            _with(lambda x: F.gelu(x, approximate="tanh")),
        ),
        Mistake(
            "quick_gelu",
            "`x * sigmoid(1.702 * x)` is what CLIP has in place of GELU. LLaVA's projector has the "
            "exact one: `F.gelu`.",
            _with(lambda x: x * torch.sigmoid(1.702 * x)),
        ),
        Mistake(
            "activation_at_the_end",
            "GELU comes after the second layer. It belongs *between* the two.",
            _projector(lambda self, x: F.gelu(self.linear_2(self.linear_1(x)))),
        ),
        Mistake(
            "activation_at_the_end_too",
            "After the second layer comes another GELU, so nothing far below 0 can be passed on, "
            "and word embeddings are as often negative as positive. The result of `linear_2` is "
            "the end.",
            _projector(lambda self, x: F.gelu(self.linear_2(F.gelu(self.linear_1(x))))),
        ),
        Mistake(
            "activation_at_the_beginning",
            "GELU is applied to the features themselves. It belongs *between* the two layers.",
            _projector(lambda self, x: self.linear_2(self.linear_1(F.gelu(x)))),
        ),
        Mistake(
            "second_layer_left_out",
            "The shape is right already, but `self.linear_2` is not used: it comes after GELU.",
            _projector(lambda self, x: F.gelu(self.linear_1(x))),
        ),
        Mistake(
            "first_layer_only",
            "Only `self.linear_1` is used. GELU and `self.linear_2` are still to come.",
            _projector(lambda self, x: self.linear_1(x)),
        ),
        Mistake(
            "second_layer_twice",
            "`self.linear_2` is used twice. Each layer is used once, with GELU between them.",
            _projector(
                lambda self, x: self.linear_2(F.gelu(self.linear_2(F.gelu(self.linear_1(x)))))
            ),
        ),
        Mistake(
            "residual_added",
            "You add what went into the second layer to its result. A projector has no residual "
            "connection: it carries the features over into another space. Return what `linear_2` "
            "gives.",
            _projector(_with_residual),
        ),
        Mistake(
            "result_normalised",
            "You bring every soft token to length 1. Word embeddings have lengths of their own, "
            "and the projector has to learn them: return what `linear_2` gives.",
            _projector(lambda self, x: F.normalize(_Projector.forward(self, x), dim=-1)),
        ),
        Mistake(
            "averaged_over_the_patches",
            "You take the mean over the patches, and one vector is left of a whole picture. Every "
            "patch becomes a soft token of its own: return `(B, N, d_model)`.",
            _projector(lambda self, x: _Projector.forward(self, x).mean(1)),
        ),
        Mistake(
            "no_gradient",
            "The numbers are right, but the projector would not learn: is there a `no_grad`, a "
            "`detach` or a `.data`? The projector is the part that is trained.",
            _projector(lambda self, x: _Projector.forward(self, x).detach()),
        ),
    ],
    hints=[
        "Three steps: a linear layer, a bend, a linear layer. Every patch goes through on its own.",
        "`self.linear_1(features)` has shape `(B, N, d_model)` already. `F.gelu` keeps it, and so "
        "does `self.linear_2`.",
        "`F.gelu(self.linear_1(features))`, and then through the other layer.",
    ],
)

# --- 18.2 splice_embeddings -----------------------------------------------------------------


def _splice_embeddings(input_ids, table, soft_tokens, image_id):
    words, places = F.embedding(input_ids, table), _places(input_ids, soft_tokens, image_id)
    return words.masked_scatter(places[..., None].expand_as(words), soft_tokens.to(words.dtype))


def _places(input_ids, soft_tokens, image_id):
    """Where the soft tokens go, (B, T) and bool; ValueError if a row has not as many places."""
    places, N = input_ids == image_id, soft_tokens.shape[1]
    counts = places.sum(1).tolist()
    if len(soft_tokens) != len(input_ids) or any(count != N for count in counts):
        raise ValueError(f"each row needs {N} places for a picture, and the rows have {counts}")
    return places


def _fill_places(words, places, soft_tokens):
    return words.masked_scatter(places[..., None].expand_as(words), soft_tokens)


def _splice(
    look_up=lambda input_ids, table: table[input_ids],
    places=_places,
    picture=lambda soft_tokens: soft_tokens,
    put=_fill_places,
):
    """Splicing with one step replaced."""

    def mutant(input_ids, table, soft_tokens, image_id):
        where = places(input_ids, soft_tokens, image_id)
        return put(look_up(input_ids, table), where, picture(soft_tokens))

    return mutant


def _in_one_block(words, places, soft_tokens):
    """All soft tokens one after the other from the first place on."""
    rows = []
    for row, start, soft in zip(words, places.int().argmax(1).tolist(), soft_tokens, strict=True):
        rows.append(torch.cat([row[:start], soft, row[start + len(soft) :]])[: len(row)])
    return torch.stack(rows)


def _in_front_of_the_words(words, places, soft_tokens):
    """The placeholders taken out, and the soft tokens put before what is left."""
    left = [row[~here] for row, here in zip(words, places, strict=True)]
    return torch.cat([soft_tokens, torch.stack(left)], dim=1)


def _spliced(answer, input_ids, table, soft_tokens, image_id):
    """The embeddings, and the gradients that the table and the soft tokens get."""
    result = answer(input_ids, table, soft_tokens, image_id)  # on the case's own tensors
    if not isinstance(result, torch.Tensor):
        return result
    slopes = with_slopes(
        lambda table, soft_tokens: answer(input_ids, table, soft_tokens, image_id),
        table,
        soft_tokens,
    )
    if not isinstance(slopes, list):
        return slopes
    found, given = slopes[1], {"table": table, "soft_tokens": soft_tokens}
    if isinstance(found, list):  # where a row is nothing but picture, no word need be looked up
        found = {
            name: torch.zeros_like(x) if slope is None else slope
            for (name, x), slope in zip(given.items(), found, strict=True)
        }
    return {"result": result, "gradients": found}


def _splice_case(input_ids, n_places, d_model, image_id, vocab_size=9, refused=""):
    input_ids = torch.tensor(input_ids)
    seed = 10 * input_ids.shape[1] + d_model
    table = _normal(seed, vocab_size, d_model)
    soft_tokens = _normal(seed + 1, len(input_ids), n_places, d_model)
    label = f"splice_embeddings(input_ids={input_ids.tolist()},\n    table, soft_tokens of shape "
    label += f"{tuple(soft_tokens.shape)}, image_id={image_id})"
    if refused:
        label += f"\n(ValueError is expected: {refused})"
    return Case(input_ids, table, soft_tokens, image_id, label=label)


splice_embeddings = Exercise(
    number="18.2",
    name="splice_embeddings",
    oracle=_splice_embeddings,
    compared_with="`F.embedding` and `masked_scatter`, as Hugging Face's LLaVA does it,",
    probe=_spliced,
    cases=lambda: [
        _splice_case([[3, 7, 7, 5, 7, 1], [7, 2, 8, 7, 7, 4]], 3, 4, image_id=7),
        _splice_case([[0, 4, 0], [6, 0, 0], [0, 0, 5]], 2, 2, image_id=0),
        _splice_case([[1, 8, 8, 8, 8, 2, 3], [5, 6, 8, 8, 8, 8, 4]], 4, 3, image_id=8),
        _splice_case([[4, 2, 5]], 1, 2, image_id=5),
        _splice_case([[6]], 1, 3, image_id=6),
        _splice_case([[3, 3], [3, 3], [3, 3]], 2, 2, image_id=3),
        _splice_case(
            [[7, 7, 3, 7], [1, 7, 2, 4]],
            2,
            3,
            image_id=7,
            refused="row 0 has 3 places and row 1 has 1, for 2 soft tokens",
        ),
        _splice_case(
            [[7, 3, 7, 1, 5], [1, 6, 2, 4, 5]],
            2,
            2,
            image_id=7,
            refused="row 1 has no place for its 2 soft tokens",
        ),
        _splice_case(
            [[7, 7, 3, 1], [7, 7, 2, 7]],
            2,
            3,
            image_id=7,
            refused="row 1 has 3 places for its 2 soft tokens",
        ),
        _splice_case([[1, 7, 7]], 1, 2, image_id=7, refused="2 places for 1 soft token"),
    ],
    mistakes=[
        Mistake(
            "number_of_places_not_checked",
            "All is well while every row has N places. Where one has more or fewer, a picture goes "
            "astray, perhaps into another row's text. Count them row by row, with "
            "`(input_ids == image_id).sum(1)`, and raise `ValueError` if a count is not N.",
            _splice(places=lambda input_ids, soft_tokens, image_id: input_ids == image_id),
        ),
        Mistake(
            "one_place_too_late",
            "Every soft token stands one place after its placeholder. It takes the very place "
            "where `input_ids == image_id`.",
            _splice(
                places=lambda *given: _places(*given).roll(1, dims=1),
            ),
        ),
        Mistake(
            "soft_tokens_in_front",
            "You put the picture in front of everything, and the placeholders are still there: the "
            "result is too long. The soft tokens *replace* the embeddings where `input_ids == "
            "image_id`.",
            _splice(put=lambda words, places, soft: torch.cat([soft, words], dim=1)),
        ),
        Mistake(
            "soft_tokens_at_the_end",
            "You put the picture after everything, and the placeholders are still there: the "
            "result is too long. The soft tokens *replace* the embeddings where `input_ids == "
            "image_id`.",
            _splice(put=lambda words, places, soft: torch.cat([words, soft], dim=1)),
        ),
        Mistake(
            "picture_moved_to_the_front",
            "The placeholders are gone and the length is right, but the picture always comes "
            "first. Each soft token stays where its placeholder was, between the words.",
            _splice(put=_in_front_of_the_words),
        ),
        Mistake(
            "in_one_block",
            "You find the first place and put all soft tokens there, one after the other. The "
            "places need not be neighbours: fill exactly those where `input_ids == image_id`.",
            _splice(put=_in_one_block),
        ),
        Mistake(
            "reversed_order",
            "The soft tokens of a row come in reverse. The first place gets `soft_tokens[b, 0]`.",
            _splice(picture=lambda soft_tokens: soft_tokens.flip(1)),
        ),
        Mistake(
            "places_of_the_first_row",
            "You look for the places in the first row only. They differ from row to row.",
            _splice(places=lambda *given: _places(*given)[:1].expand(given[0].shape)),
        ),
        Mistake(
            "first_picture_for_every_row",
            "Every row gets the first picture. Row `b` gets `soft_tokens[b]`.",
            _splice(picture=lambda soft_tokens: soft_tokens[:1].expand_as(soft_tokens)),
        ),
        Mistake(
            "first_soft_token_at_every_place",
            "Every place of a row gets the row's first soft token. They are used in order: place "
            "number i gets `soft_tokens[b, i]`.",
            _splice(picture=lambda soft_tokens: soft_tokens[:, :1].expand_as(soft_tokens)),
        ),
        Mistake(
            "only_the_first_place",
            "Only the first place of each row is filled; the others keep the embedding of the "
            "placeholder. There are N of them.",
            _splice(
                put=lambda words, places, soft: _fill_places(
                    words, places & (places.cumsum(1) == 1), soft[:, :1]
                )
            ),
        ),
        Mistake(
            "added_to_the_placeholder",
            "You add the soft tokens to the placeholder's embedding. They *replace* it.",
            _splice(
                put=lambda words, places, soft: (
                    words + _fill_places(torch.zeros_like(words), places, soft)
                )
            ),
        ),
        Mistake(
            "mask_upside_down",
            "The mask is upside down: the soft tokens replace the *words*. It must be True where "
            "`input_ids == image_id`.",
            _splice(places=lambda *given: ~_places(*given)),
        ),
        Mistake(
            "nothing_replaced",
            "The soft tokens are not used: what comes back are the word embeddings. (Methods "
            "without an underscore at the end, as `masked_scatter`, return a new tensor; and "
            "`x[mask][i] = …` writes into a copy.)",
            _splice(put=lambda words, places, soft: words),
        ),
        Mistake(
            "soft_tokens_detached",
            "The numbers are right, but no gradient reaches the soft tokens, so the projector "
            "would never learn: is there a `detach`, a `.data`, a `no_grad`?",
            _splice(picture=lambda soft_tokens: soft_tokens.detach()),
        ),
        Mistake(
            "table_detached",
            "The numbers are right, but no gradient reaches `table`. Whether the words learn is "
            "for `freeze` to decide, not here: look them up with `table[input_ids]`. "
            "(`nn.Embedding.from_pretrained` freezes its table.)",
            _splice(look_up=lambda input_ids, table: table.detach()[input_ids]),
        ),
        Mistake(
            "no_gradient",
            "The numbers are right, but no gradient reaches the soft tokens or the table, so the "
            "projector would never learn: is there a `detach`, a `.data`, a `no_grad`?",
            _splice(put=lambda *given: _fill_places(*given).detach()),
        ),
    ],
    hints=[
        "First look up all words as if there were no picture; then write the soft tokens over the "
        "placeholders. A bool mask `(B, T)` says where these are.",
        "`table[input_ids]` is `(B, T, d_model)`. `places = input_ids == image_id` has N times "
        "True in every row; if `places.sum(1)` says otherwise, raise `ValueError`.",
        "`embeds[places]` has shape `(B * N, d_model)`, row after row, and so has "
        "`soft_tokens.flatten(0, 1)`: assign the one to the other, on a new tensor.",
    ],
)

# --- 18.3 word_loss -------------------------------------------------------------------------


def _word_loss(soft_tokens, words, targets, scale):
    if soft_tokens.shape[:2].numel() * words.numel() > 100_000:  # too slow to train with
        cosines = F.normalize(soft_tokens, dim=-1) @ F.normalize(words, dim=-1).T
    else:
        cosines = F.cosine_similarity(soft_tokens[:, :, None], words, dim=-1)
    return F.cross_entropy((scale * cosines).flatten(0, 1), targets.flatten())


def _loss(
    soft=lambda x: F.normalize(x, dim=-1),
    word=lambda x: F.normalize(x, dim=-1),
    scaled=lambda x, scale: scale * x,
    keep=lambda x: x,
    aims=lambda targets: targets,
    reduction="mean",
):
    """The loss with one step replaced."""

    def mutant(soft_tokens, words, targets, scale):
        logits = scaled(soft(soft_tokens) @ word(words).T, scale)
        kept, aimed = keep(logits), keep(aims(targets))
        return F.cross_entropy(kept.flatten(0, 1), aimed.flatten(), reduction=reduction)

    return mutant


def _distance_to_the_word(soft_tokens, words, targets, scale):
    return F.mse_loss(soft_tokens, words[targets])


def _right_word_only(soft_tokens, words, targets, scale):
    return -scale * F.cosine_similarity(soft_tokens, words[targets], dim=-1).mean()


def _only_the_batch_competes(soft_tokens, words, targets, scale):
    words = words[targets.flatten()]
    cosines = F.cosine_similarity(soft_tokens.flatten(0, 1)[:, None], words, dim=-1)
    return F.cross_entropy(scale * cosines, torch.arange(len(words)))


def _loss_and_slope(answer, soft_tokens, words, targets, scale):
    return with_slopes(lambda soft: answer(soft, words, targets, scale), soft_tokens)


def _loss_case(B, N, V, d, scale, size=1.0):
    seed = 1000 * B + 100 * N + 10 * V + d
    soft_tokens, words = size * _normal(seed, B, N, d), _normal(seed + 1, V, d)
    targets = torch.randint(V, (B, N), generator=torch.Generator().manual_seed(seed))
    label = f"word_loss(soft_tokens of shape {(B, N, d)}, words of shape {(V, d)},\n    "
    label += f"targets={targets.tolist()}, scale={scale})"
    return Case(soft_tokens, words, targets, scale, label=label)


word_loss = Exercise(
    number="18.3",
    name="word_loss",
    oracle=_word_loss,
    compared_with="`F.cross_entropy` on `F.cosine_similarity`",
    probe=_loss_and_slope,
    tolerance=Tolerance(absolute=1e-5, relative=1e-4),
    cases=lambda: [
        _loss_case(2, 3, 5, 4, scale=2.0),
        _loss_case(3, 2, 4, 6, scale=0.5),
        _loss_case(1, 4, 7, 3, scale=10.0),
        _loss_case(1, 1, 3, 2, scale=3.0),
        _loss_case(2, 4, 6, 5, scale=4.0, size=100.0),
        _loss_case(4, 1, 3, 8, scale=1.0, size=0.1),
    ],
    mistakes=[
        Mistake(
            "nothing_normalised",
            "You take plain dot products. The cosine wants both sides at length 1 first: "
            "`F.normalize(x, dim=-1)` for the soft tokens and for the words.",
            _loss(soft=lambda x: x, word=lambda x: x),
        ),
        Mistake(
            "words_not_normalised",
            "The soft tokens are at length 1, the words are not, so long word embeddings win. "
            "Normalise `words` too.",
            _loss(word=lambda x: x),
        ),
        Mistake(
            "soft_tokens_not_normalised",
            "The words are at length 1, the soft tokens are not: a longer soft token is a surer "
            "one, whatever its direction. Normalise `soft_tokens` too.",
            _loss(soft=lambda x: x),
        ),
        Mistake(
            "normalised_along_the_tokens",
            "`F.normalize` works along axis 1 unless it is told otherwise, and in `(B, N, d)` that "
            "counts the soft tokens. Say `dim=-1`.",
            _loss(soft=lambda x: F.normalize(x, dim=1)),
        ),
        Mistake(
            "scale_forgotten",
            "`scale` is not used. Cosines lie between -1 and 1, and a softmax of such small "
            "numbers is nearly flat: multiply them by `scale`.",
            _loss(scaled=lambda x, scale: x),
        ),
        Mistake(
            "divided_by_the_scale",
            "You divide by `scale`, as by a temperature. Here it multiplies: `scale * cosine`.",
            _loss(scaled=lambda x, scale: x / scale),
        ),
        Mistake(
            "sum_for_mean",
            "You add up the losses of all soft tokens. Take their mean: `F.cross_entropy` does so "
            "unless it is told otherwise.",
            _loss(reduction="sum"),
        ),
        Mistake(
            "softmax_first",
            "You take the softmax, and `F.cross_entropy` takes another. Give it the plain logits.",
            _loss(scaled=lambda x, scale: (scale * x).softmax(-1)),
        ),
        Mistake(
            "first_soft_token_only",
            "Only the first soft token of each picture is judged. All N have a word that they "
            "should be.",
            _loss(keep=lambda x: x[:, :1]),
        ),
        Mistake(
            "targets_shifted",
            "The targets have moved by one place. Nothing is predicted ahead here: soft token i "
            "should be word `targets[b, i]` itself.",
            _loss(aims=lambda targets: targets.roll(-1, dims=1)),
        ),
        Mistake(
            "squared_distance",
            "You measure the squared distance to the right word, and the other words do not count. "
            "Let all V words compete: logits `(B, N, V)`, then cross-entropy.",
            _distance_to_the_word,
        ),
        Mistake(
            "right_word_only",
            "You only pull towards the right word, and no other word pushes away. Let all V words "
            "compete: logits `(B, N, V)`, then cross-entropy.",
            _right_word_only,
        ),
        Mistake(
            "only_the_batch_competes",
            "As in CLIP, only the right words of this batch compete, and a word that stands there "
            "twice is right and wrong at once. Here all V words of `words` are the classes, and "
            "`targets` says which is right.",
            _only_the_batch_competes,
        ),
        Mistake(
            "number_for_tensor",
            "You return a plain Python number, and `backward` needs the tensor: leave out "
            "`.item()` or `float(…)`.",
            lambda *given: _word_loss(*given).item(),
        ),
        Mistake(
            "no_gradient",
            "The loss is right, but no gradient reaches the soft tokens, so nothing can be learned "
            "from it: is there a `detach`, a `.data`, a `no_grad`?",
            lambda *given: _word_loss(*given).detach(),
        ),
    ],
    hints=[
        "It is a classification with V classes: which of the words is this soft token most like? "
        "Every soft token of every picture is one example.",
        "With both sides normalised, `soft @ words.T` holds all cosines, `(B, N, V)`. Times "
        "`scale`, these are the logits.",
        "`F.cross_entropy` wants `(examples, classes)` and `(examples,)`: "
        "`logits.flatten(0, 1)` and `targets.flatten()`.",
    ],
)

# --- 18.4 answer_ids ------------------------------------------------------------------------


def _answer_ids(model, input_ids, soft_tokens, image_id, max_new_tokens):
    table = model.get_input_embeddings().weight
    return model.generate(
        inputs_embeds=_splice_embeddings(input_ids, table, soft_tokens, image_id),
        attention_mask=torch.ones_like(input_ids),
        do_sample=False,
        max_new_tokens=max_new_tokens,
    )


def _asked(
    picture=lambda soft_tokens: soft_tokens,
    embeds=_splice_embeddings,
    options=lambda n, embeds: {"max_new_tokens": n, "do_sample": False},
    mask=lambda input_ids, image_id: torch.ones_like(input_ids),
    finish=lambda new, input_ids: new,
):
    """Generating with one step replaced."""

    def mutant(model, input_ids, soft_tokens, image_id, max_new_tokens):
        table = model.get_input_embeddings().weight
        given = embeds(input_ids, table, picture(soft_tokens), image_id)
        seen = mask(input_ids, image_id)
        if seen.shape != given.shape[:2]:
            seen = seen.new_ones(given.shape[:2])
        new = model.generate(
            inputs_embeds=given, attention_mask=seen, **options(max_new_tokens, given)
        )
        return finish(new, input_ids)

    return mutant


@torch.no_grad()
def _without_an_end(model, input_ids, soft_tokens, image_id, max_new_tokens):
    """A loop of one's own, which takes no notice of the end."""
    embed = model.get_input_embeddings()
    embeds, new = _splice_embeddings(input_ids, embed.weight, soft_tokens, image_id), []
    for _ in range(max_new_tokens):
        new.append(model(inputs_embeds=embeds).logits[:, -1:].argmax(-1))
        embeds = torch.cat([embeds, embed(new[-1])], dim=1)
    return torch.cat(new, dim=1)


@functools.cache
def _llama(eos_id, samples):
    """A small Llama with known weights, the same on every machine."""
    config = LlamaConfig(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        bos_token_id=None,
        eos_token_id=eos_id,
        pad_token_id=eos_id,
    )
    with torch.random.fork_rng(devices=[]):
        model = fill(LlamaForCausalLM(config))
    model.generation_config.do_sample = samples
    return model


def _answered(answer, options, *given):
    """The answer's tokens, asked of a fresh copy of the model."""
    return answer(copy.deepcopy(_llama(**options)), *given)


def _answer_case(input_ids, n_places, max_new_tokens, image_id=39, eos_id=2, samples=False, seed=0):
    input_ids = torch.tensor(input_ids)
    soft_tokens = _normal(seed, len(input_ids), n_places, 16)
    label = f"answer_ids(a small Llama whose answers end with {eos_id}, soft_tokens of shape "
    label += f"{tuple(soft_tokens.shape)},\n    input_ids={input_ids.tolist()}, "
    label += f"image_id={image_id}, max_new_tokens={max_new_tokens})"
    label += "\n(this model samples unless it is told not to)" if samples else ""
    options = {"eos_id": eos_id, "samples": samples}
    return Case(options, input_ids, soft_tokens, image_id, max_new_tokens, label=label)


answer_ids = Exercise(
    number="18.4",
    name="answer_ids",
    oracle=_answer_ids,
    compared_with="`generate(inputs_embeds=…, do_sample=False)`, token for token,",
    probe=_answered,
    cases=lambda: [  # the most likely token is ahead of the second by 0.2 at every step
        _answer_case([[5, 39, 39, 8, 11], [39, 7, 39, 21, 4]], 2, 7, eos_id=30, seed=63),
        _answer_case([[39, 39, 39, n] for n in (6, 9, 14)], 3, 4, eos_id=30, seed=150),
        _answer_case([[39, 12]], 1, 1, seed=99),
        _answer_case([[7, 0, 0, 23]], 2, 5, image_id=0, seed=185),
        _answer_case([[39, 5], [39, 31]], 1, 8, eos_id=25, seed=160),
        _answer_case([[39, 39, 17], [39, 39, 3]], 2, 3, samples=True, seed=138),
    ],
    mistakes=[
        Mistake(
            "picture_ignored",
            "The model never sees the picture: it reads the embedding of the placeholder. Splice "
            "the soft tokens in, and pass the result as `inputs_embeds` in place of `input_ids`.",
            _asked(embeds=lambda input_ids, table, soft_tokens, image_id: table[input_ids]),
        ),
        Mistake(
            "picture_ignored_and_prompt_included",
            "That is `model.generate(input_ids)`: the model never sees the picture, and the prompt "
            "comes back before the answer. Splice the soft tokens in, and pass the result as "
            "`inputs_embeds` in place of `input_ids`.",
            _asked(
                embeds=lambda input_ids, table, soft_tokens, image_id: table[input_ids],
                finish=lambda new, input_ids: torch.cat([input_ids, new], dim=1),
            ),
        ),
        Mistake(
            "prompt_cut_off_twice",
            "You cut off as many tokens as the prompt has. With `inputs_embeds` there are no "
            "prompt tokens in what `generate` returns, so you throw away the answer: return all "
            "of it.",
            _asked(finish=lambda new, input_ids: new[:, input_ids.shape[1] :]),
        ),
        Mistake(
            "prompt_included",
            "The tokens of the prompt come back before the answer. Only the new ones are wanted: "
            "pass `inputs_embeds` alone, without `input_ids`, and return what comes out.",
            _asked(finish=lambda new, input_ids: torch.cat([input_ids, new], dim=1)),
        ),
        Mistake(
            "sampled",
            "You draw the tokens at random. Greedy takes the most likely one: `do_sample=False`.",
            _asked(options=lambda n, embeds: {"max_new_tokens": n, "do_sample": True}),
        ),
        Mistake(
            "do_sample_left_out",
            "Right for this model as it stands, but a model may have sampling in its settings. "
            "Say what you want: `do_sample=False`.",
            _asked(options=lambda n, embeds: {"max_new_tokens": n}),
        ),
        Mistake(
            "one_token_only",
            "Only the first token of the answer comes back. `generate` writes up to "
            "`max_new_tokens`.",
            _asked(finish=lambda new, input_ids: new[:, :1]),
        ),
        Mistake(
            "max_length_for_max_new_tokens",
            "`max_length` counts the prompt as well, so the answer comes out too short. Pass "
            "`max_new_tokens=max_new_tokens`.",
            _asked(options=lambda n, embeds: {"max_length": n, "do_sample": False}),
        ),
        Mistake(
            "max_new_tokens_ignored",
            "`max_new_tokens` is not passed on, so the model writes as long as its settings "
            "allow: 20 tokens.",
            _asked(options=lambda n, embeds: {"do_sample": False}),
        ),
        Mistake(
            "first_picture_for_every_row",
            "Every row is asked about the first picture. Pass all of `soft_tokens` to "
            "`splice_embeddings`.",
            _asked(picture=lambda soft_tokens: soft_tokens[:1].expand_as(soft_tokens)),
        ),
        Mistake(
            "soft_tokens_in_front",
            "You put the soft tokens in front, and the placeholders are still there. "
            "`splice_embeddings` puts them in the placeholders' stead.",
            _asked(
                embeds=lambda input_ids, table, soft_tokens, image_id: torch.cat(
                    [soft_tokens, table[input_ids]], dim=1
                )
            ),
        ),
        Mistake(
            "picture_masked",
            "The attention mask hides the picture. All T places are read, those of the picture "
            "too: `torch.ones_like(input_ids)`.",
            _asked(mask=lambda input_ids, image_id: (input_ids != image_id).long()),
        ),
        Mistake(
            "goes_on_after_the_end",
            "A row that has written its end goes on writing. `generate` stops it there and fills "
            "it with padding; in a loop of your own you have to do that yourself.",
            _without_an_end,
        ),
    ],
    hints=[
        "`generate` can begin with embeddings instead of tokens: what `splice_embeddings` returns.",
        "The table is `model.get_input_embeddings().weight`; the embeddings are "
        "`(B, T, d_model)`, and the attention mask is a `(B, T)` of ones.",
        "`model.generate(inputs_embeds=embeds, attention_mask=…, do_sample=False, "
        "max_new_tokens=max_new_tokens)` returns only the new tokens: nothing is to be cut off.",
    ],
)

# --- 18.5 caption_labels --------------------------------------------------------------------

END = 2  # ends an answer in SmolLM2, and fills its padding too


def _caption_labels(input_ids, attention_mask, answer_starts):
    places = torch.arange(input_ids.shape[1], device=input_ids.device)
    hidden = (places < answer_starts[:, None]) | (attention_mask == 0)
    return input_ids.masked_fill(hidden, -100)


def _labels(
    prompt=lambda places, starts: places < starts,
    padding=lambda ids, mask: mask == 0,
    ignored=-100,
    finish=lambda labels: labels,
):
    """The labels with one step replaced."""

    def mutant(input_ids, attention_mask, answer_starts):
        places = torch.arange(input_ids.shape[1])
        hidden = prompt(places, answer_starts[:, None]) | padding(input_ids, attention_mask)
        return finish(input_ids.masked_fill(hidden, ignored))

    return mutant


def _nothing(*given):
    return torch.tensor(False)


def _moved_left(labels):
    return torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], -100)], dim=1)


def _last_real(ids, mask):
    """The padding, and the last token before it."""
    return F.pad(mask[:, 1:], (0, 1)) == 0


def _labels_case(input_ids, lengths, answer_starts):
    input_ids, lengths = torch.tensor(input_ids), torch.tensor(lengths)
    mask = (torch.arange(input_ids.shape[1]) < lengths[:, None]).long()
    label = f"caption_labels(\n    input_ids={input_ids.tolist()},\n    "
    label += f"attention_mask={mask.tolist()},\n    answer_starts={answer_starts})"
    return Case(input_ids, mask, torch.tensor(answer_starts), label=label)


caption_labels = Exercise(
    number="18.5",
    name="caption_labels",
    oracle=_caption_labels,
    compared_with="`masked_fill` over prompt and padding",
    cases=lambda: [
        _labels_case([[1, 9, 9, 5, 0, 7, 2, 2], [1, 9, 9, 2, 6, 8, 4, 2]], [7, 8], [3, 5]),
        _labels_case(
            [[9, 9, 4, 2, 3, 2, 2], [9, 9, 3, 5, 2, 2, 2], [9, 9, 7, 6, 8, 4, 2]],
            [6, 5, 7],
            [4, 2, 3],
        ),
        _labels_case([[9, 4, 0, 2]], [4], [1]),
        _labels_case([[8, 5, 2, 2]], [3], [1]),
        _labels_case([[3, 2], [4, 5]], [2, 2], [0, 1]),
        _labels_case([[6]], [1], [0]),
        _labels_case([[9, 3, 5, 7, 4], [9, 6, 2, 2, 2]], [5, 3], [2, 1]),
        _labels_case([[9, 1, 3, 2, 2], [9, 7, 8, 6, 2]], [4, 5], [4, 3]),
    ],
    mistakes=[
        Mistake(
            "loss_on_the_prompt",
            "The prompt counts too: the model would learn to write the question, and the "
            "placeholders of the picture. Everything before `answer_starts` becomes -100.",
            _labels(prompt=_nothing),
        ),
        Mistake(
            "nothing_ignored",
            "The labels are the tokens as they are. -100 belongs everywhere before the answer and "
            "at the padding.",
            _labels(prompt=_nothing, padding=_nothing),
        ),
        Mistake(
            "padding_counted",
            "The padding counts too: the model would learn to write the end over and over. Where "
            "`attention_mask` is 0, the label is -100.",
            _labels(padding=_nothing),
        ),
        Mistake(
            "shifted_by_hand",
            "You shift the labels by one place to the left. Hugging Face's model does that itself, "
            "and twice is too much: label i is token i.",
            _labels(finish=_moved_left),
        ),
        Mistake(
            "end_of_text_masked",
            "You look for padding by its id, and the token that *ends* the answer has the same: it "
            "becomes -100 too, and the model never learns to stop. Where `attention_mask` is 0 is "
            "padding.",
            _labels(padding=lambda ids, mask: ids == END),
        ),
        Mistake(
            "last_token_masked",
            "The last token of every answer becomes -100, so the model never learns to stop. Only "
            "where `attention_mask` is 0 is padding.",
            _labels(padding=_last_real),
        ),
        Mistake(
            "first_answer_token_masked",
            "The first token of the answer becomes -100 as well. It stands at `answer_starts` "
            "itself: compare with `<`, not with `<=`.",
            _labels(prompt=lambda places, starts: places <= starts),
        ),
        Mistake(
            "last_prompt_token_kept",
            "The last token of the prompt is kept. The answer begins at `answer_starts`, and all "
            "that comes before it becomes -100.",
            _labels(prompt=lambda places, starts: places < starts - 1),
        ),
        Mistake(
            "zero_for_minus_100",
            "You write 0 where nothing is to be learned, but 0 is a token like any other. "
            "Only -100 is passed over by the loss.",
            _labels(ignored=0),
        ),
        Mistake(
            "end_of_text_for_minus_100",
            "You write the padding token where nothing is to be learned: the model would learn "
            "to write it. Only -100 is passed over by the loss.",
            _labels(ignored=END),
        ),
        Mistake(
            "minus_1_for_minus_100",
            "You write -1 where nothing is to be learned. The number that the loss passes over "
            "is -100.",
            _labels(ignored=-1),
        ),
        Mistake(
            "first_start_for_all",
            "You use the first row's start for all rows. Each row has its own: compare with "
            "`answer_starts[:, None]`, which is `(B, 1)`.",
            _labels(prompt=lambda places, starts: places < starts[0]),
        ),
        Mistake(
            "upside_down",
            "The answer becomes -100 and the prompt is kept: the model would learn the question. "
            "It is the other way round.",
            _labels(prompt=lambda places, starts: places >= starts),
        ),
    ],
    hints=[
        "Mark first, then write: a bool mask `(B, T)` that is True where nothing is to be learned.",
        "`torch.arange(T) < answer_starts[:, None]` is True before the answer, for every row at "
        "its own place; `attention_mask == 0` at the padding.",
        "`input_ids.masked_fill(before | padding, -100)` makes a new tensor and leaves `input_ids` "
        "as it is.",
    ],
)

# --- 18.6 freeze ----------------------------------------------------------------------------


def _freeze(model):
    return model.requires_grad_(False).eval()


def _frozen(parameters=lambda model: model.parameters(), mode=lambda model: model.eval()):
    """Freezing with one step replaced."""

    def mutant(model):
        for parameter in parameters(model):
            parameter.requires_grad_(False)
        mode(model)
        return model

    return mutant


def _own_and_childrens(model):
    for module in (model, *model.children()):
        yield from module.parameters(recurse=False)


def _of_linear_layers(model):
    for module in model.modules():
        if isinstance(module, nn.Linear):
            yield from module.parameters()


def _weights_only(model):
    return (p for name, p in model.named_parameters() if "weight" in name)


def _only_the_top(model):
    model.training = False


def _not_returned(model):
    _freeze(model)


def _cut_off(model):
    model.forward = torch.no_grad()(model.forward)
    return _freeze(model)


class _Mixed(nn.Module):
    """A parameter of its own, and modules inside modules."""

    def __init__(self):
        super().__init__()
        self.start = nn.Parameter(torch.zeros(3))
        self.first = nn.Linear(3, 4)
        self.rest = nn.Sequential(nn.LayerNorm(4), nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 2)))

    def forward(self, x):
        return self.rest(self.first(x + self.start))


def _with_batch_norm():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 1))


def _after_freezing(answer, build, width, trained=True):
    """What can be seen of a model after it was frozen."""
    model = fill(build()).train(trained)
    before = copy.deepcopy(model.state_dict())
    returned = answer(model)
    said = f"a {type(returned).__name__}"
    if returned is None:
        said = "nothing: is the `return` missing?"
    elif isinstance(returned, nn.Module):
        said = "the model itself" if returned is model else "another model"
    after, runs = model.state_dict(), returned if isinstance(returned, nn.Module) else model
    found = {
        "returned": said,
        "parameters that still learn": [n for n, p in model.named_parameters() if p.requires_grad],
        "modules in training mode": [n or "all" for n, m in model.named_modules() if m.training],
        "weights that are new": [n for n in before if not torch.equal(before[n], after[n])],
    }
    x = _normal(1, 4, width).requires_grad_()
    out = runs(x)
    if out.requires_grad:
        out.sin().sum().backward()
    reached = x.grad is not None and bool((x.grad != 0).any())
    return found | {"the gradient reaches the input": reached}


def _freeze_case(build, width, said, trained=True):
    label = f"freeze({said}, which is in {'training' if trained else 'evaluation'} mode)"
    return Case(build, width, trained, label=label)


freeze = Exercise(
    number="18.6",
    name="freeze",
    oracle=_freeze,
    compared_with="`model.requires_grad_(False).eval()`",
    probe=_after_freezing,
    cases=lambda: [
        _freeze_case(_Mixed, 3, "a module with a parameter of its own and modules in modules"),
        _freeze_case(_with_batch_norm, 2, "two linear layers with a `BatchNorm1d`"),
        _freeze_case(lambda: nn.Linear(2, 3), 2, "one linear layer"),
        _freeze_case(_Mixed, 3, "a module with modules in modules", trained=False),
    ],
    mistakes=[
        Mistake(
            "evaluation_mode_only",
            "Evaluation mode is on, but all parameters still learn: `eval()` has nothing to do "
            "with gradients, and `model.requires_grad = False` (without the underscore) only "
            "makes a new attribute. Call `requires_grad_(False)` on every parameter.",
            _frozen(parameters=lambda model: ()),
        ),
        Mistake(
            "still_in_training_mode",
            "Nothing learns any more, but the model is still in training mode: dropout throws "
            "numbers away, and a `BatchNorm` goes on counting. Call `model.eval()`, with its "
            "brackets.",
            _frozen(mode=lambda model: None),
        ),
        Mistake(
            "train_called",
            "You put the model into *training* mode: dropout throws numbers away. Call "
            "`model.eval()`.",
            _frozen(mode=lambda model: model.train()),
        ),
        Mistake(
            "only_the_outermost_in_evaluation_mode",
            "You set `training` on the model alone, and the modules inside, dropout among them, "
            "are still in training mode. `model.eval()` goes through all of them.",
            _frozen(mode=_only_the_top),
        ),
        Mistake(
            "nested_ones_left",
            "The parameters of the modules *inside* the modules still learn. `model.parameters()` "
            "goes all the way down.",
            _frozen(parameters=_own_and_childrens),
        ),
        Mistake(
            "only_its_own_parameters",
            "Only the parameters that belong to the model directly are frozen, not those of its "
            "submodules. `model.parameters()`, without `recurse=False`, gives all.",
            _frozen(parameters=lambda model: model.parameters(recurse=False)),
        ),
        Mistake(
            "first_parameter_only",
            "Only the first parameter is frozen. Is the `return` inside the loop?",
            _frozen(parameters=lambda model: [next(model.parameters())]),
        ),
        Mistake(
            "linear_layers_only",
            "Only linear layers are frozen. Norms and parameters of other kinds learn too: go "
            "through `model.parameters()`.",
            _frozen(parameters=_of_linear_layers),
        ),
        Mistake(
            "weights_only",
            "Only what has `weight` in its name is frozen, and biases still learn. Freeze "
            "everything in `model.parameters()`.",
            _frozen(parameters=_weights_only),
        ),
        Mistake(
            "nothing_flows_through",
            "No gradient comes through the model any more (a `no_grad` or a `detach` in its "
            "`forward`?), so the projector in front of it would never learn. Frozen means only "
            "that its own parameters do not change: `requires_grad_(False)`.",
            _cut_off,
        ),
        Mistake(
            "not_returned",
            "The model is frozen, but it is not returned: `return model`.",
            _not_returned,
        ),
        Mistake(
            "copy_frozen",
            "You freeze a copy and return that: the model that you were given still learns, and "
            "a copy of a language model takes its memory twice. Work on `model` itself.",
            lambda model: _freeze(copy.deepcopy(model)),
        ),
    ],
    hints=[
        "Three things: no parameter may learn, dropout must be off, and the model comes back.",
        "`model.parameters()` gives every parameter, however deep inside. Each has "
        "`requires_grad_`, with an underscore at the end.",
        "`parameter.requires_grad_(False)` in a loop, then `model.eval()`, then `return model`.",
    ],
)
