"""Exercise 18.4, `answer_ids`: its oracle, inputs, mistakes and hints."""

import copy
import functools

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal, seeded
from utils.checks.engine.probes import fill, same
from utils.checks.lesson18.splice_embeddings import splice_embeddings


def _answer_ids(model, input_ids, soft_tokens, image_id, max_new_tokens):
    table = model.get_input_embeddings().weight
    return model.generate(
        inputs_embeds=splice_embeddings.oracle(input_ids, table, soft_tokens, image_id),
        attention_mask=torch.ones_like(input_ids),
        do_sample=False,
        max_new_tokens=max_new_tokens,
    )


def _asked(
    picture=lambda soft_tokens: soft_tokens,
    embeds=splice_embeddings.oracle,
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
    embeds, new = splice_embeddings.oracle(input_ids, embed.weight, soft_tokens, image_id), []
    for _ in range(max_new_tokens):
        new.append(model(inputs_embeds=embeds).logits[:, -1:].argmax(-1))
        embeds = torch.cat([embeds, embed(new[-1])], dim=1)
    return torch.cat(new, dim=1)


def _written(model, *given):
    """The placeholder's row of the table is made to hold the picture."""
    model.get_input_embeddings().weight.data[given[2]] = given[1][0, 0]
    return _answer_ids(model, *given)


def _trained(model, *given):
    model.train()
    return _answer_ids(model, *given)


@functools.cache
def _llama(eos_id, samples, vocab_size=40, turned=False):
    """A small Llama with known weights, the same on every machine; `turned` has other ones."""
    config = LlamaConfig(
        vocab_size=vocab_size,
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
    if turned:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(parameter.flip(0))
    model.generation_config.do_sample = samples
    return model


def _answered(answer, options, *given):
    """The answer's tokens, asked of a fresh copy of the model; or what it did to the model."""
    model, before = copy.deepcopy(_llama(**options)), _llama(**options).state_dict()
    tokens = answer(model, *given)
    after = model.state_dict()
    if any(name not in after or not same(after[name], before[name]) for name in before):
        return "a model whose weights have changed"
    if any(module.training for module in model.modules()):
        return "a model that is in training mode"
    return tokens


def _answer_case(input_ids, n_places, max_new_tokens, image_id=39, seed=0, words=None, **options):
    options = {"eos_id": 2, "samples": False, "turned": bool(seeded(0))} | options
    input_ids = torch.tensor(input_ids)
    soft_tokens = normal(seed, len(input_ids), n_places, 16)
    if words:
        soft_tokens = _llama(**options).get_input_embeddings().weight.detach()[torch.tensor(words)]
    label = f"answer_ids(\n    model,  # a small Llama whose answers end with {options['eos_id']}"
    label += "; it samples unless it is told not to" if options["samples"] else ""
    label += f"\n    input_ids=torch.tensor({input_ids.tolist()}),\n    soft_tokens=torch.randn"
    label += f"{tuple(soft_tokens.shape)}," + ("  # the embeddings of words" if words else "")
    label += f"\n    image_id={image_id}, max_new_tokens={max_new_tokens})"
    return Case(options, input_ids, soft_tokens, image_id, max_new_tokens, label=label)


answer_ids = Exercise(
    number="18.4",
    name="answer_ids",
    oracle=_answer_ids,
    compared_with="`generate(inputs_embeds=…, do_sample=False)`, token for token,",
    probe=_answered,
    cases=lambda: [  # the most likely token is ahead of the second by 0.1 at every step
        _answer_case([[5, 39, 39, 8, 11], [39, 7, 39, 21, 4]], 2, 7, eos_id=30, seed=63),
        _answer_case([[39, 39, 39, n] for n in (6, 9, 14)], 3, 4, eos_id=30, seed=150),
        _answer_case([[39, 12]], 1, 1, seed=99),
        _answer_case([[7, 0, 0, 23]], 2, 5, image_id=0, seed=185),
        _answer_case([[39, 5], [39, 31]], 1, 8, eos_id=25, seed=160),
        _answer_case([[39, 39, 17], [39, 39, 3]], 2, 3, samples=True, seed=138),
        _answer_case([[5, 39, 39, 8], [39, 7, 21, 39]], 2, 5, words=[[24, 10], [3, 24]]),
        _answer_case(
            [[299, 257, 299, 8], [260, 299, 299, 12]],
            2,
            5,
            299,
            seed=203,
            eos_id=260,
            vocab_size=300,
        ),
        _answer_case([[38, 5, 38, 12], [9, 38, 38, 3]], 2, 5, 38, seed=132, eos_id=0, turned=True),
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
            "writes_into_the_model",
            "You write into the model's weights (into its table of embeddings?), and whoever asks "
            "it next finds another model. `splice_embeddings` returns new embeddings, and "
            "`generate` takes them as `inputs_embeds`: nothing is to be written.",
            _written,
        ),
        Mistake(
            "puts_the_model_into_training_mode",
            "You put the model into training mode, and leave it there: dropout would come back. "
            "`generate` needs no `train()`.",
            _trained,
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
