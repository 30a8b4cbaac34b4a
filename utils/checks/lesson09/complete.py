"""Exercise 9.8, `complete`: its oracle, inputs, mistakes and hints."""

import torch
from transformers import LlamaForCausalLM

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.lesson09.common import WORDS, drawn_tokens, tiny_model, tiny_tokenizer


def _complete(model, tokenizer, prompts, max_new_tokens):
    """One prompt at a time, so that nothing needs padding."""
    answers = []
    for prompt in prompts:
        inputs = tokenizer(prompt, return_tensors="pt")
        out = type(model).generate(
            model,
            inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            max_new_tokens=max_new_tokens,
            do_sample=False,
        )
        new = out[0, inputs["input_ids"].shape[1] :]
        answers.append(tokenizer.decode(new, skip_special_tokens=True))
    return answers


def _batched(
    side="left", mask=True, new_only=True, skip=True, length="max_new_tokens", greedy=True, cut=None
):
    """The batched answer with one step replaced."""

    def mutant(model, tokenizer, prompts, max_new_tokens):
        inputs = tokenizer(prompts, return_tensors="pt", padding=True, padding_side=side)
        ids = inputs["input_ids"]
        attention = inputs["attention_mask"] if mask else torch.ones_like(ids)
        options = {length: max_new_tokens} | ({"do_sample": False} if greedy else {})
        out = model.generate(ids, attention_mask=attention, **options)
        new = out[:, ids.shape[1] :] if new_only else out
        if cut:
            return cut(tokenizer, prompts, out, inputs, max_new_tokens)
        return tokenizer.batch_decode(new, skip_special_tokens=skip)

    return mutant


def _cut_characters(tokenizer, prompts, out, inputs, max_new_tokens):
    texts = tokenizer.batch_decode(out, skip_special_tokens=True)
    return [text[len(prompt) :] for text, prompt in zip(texts, prompts, strict=True)]


def _replaced(tokenizer, prompts, out, inputs, max_new_tokens):
    texts = tokenizer.batch_decode(out, skip_special_tokens=True)
    return [text.replace(prompt, "") for text, prompt in zip(texts, prompts, strict=True)]


def _last_tokens(tokenizer, prompts, out, inputs, max_new_tokens):
    return tokenizer.batch_decode(out[:, -max_new_tokens:], skip_special_tokens=True)


def _cut_at_own_length(tokenizer, prompts, out, inputs, max_new_tokens):
    lengths = inputs["attention_mask"].sum(1).tolist()
    rows = [row[n:] for row, n in zip(out, lengths, strict=True)]
    return tokenizer.batch_decode(rows, skip_special_tokens=True)


def _one_at_a_time(model, tokenizer, prompts, max_new_tokens):
    texts = []
    for prompt in prompts:
        inputs = tokenizer(prompt, return_tensors="pt")
        out = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
        texts += tokenizer.batch_decode(
            out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
    return texts


def _settings_changed(model, tokenizer, prompts, max_new_tokens):
    model.generation_config.do_sample = False
    model.generation_config.max_new_tokens = max_new_tokens
    return _complete(model, tokenizer, prompts, max_new_tokens)


def _watched(answer, model, tokenizer, prompts, max_new_tokens):
    """The texts without the spaces at their ends, and how they were made."""
    calls = []

    def generate(*args, **options):
        calls.append(True)
        return type(model).generate(model, *args, **options)

    settings = model.generation_config.to_dict()
    model.generate = generate
    try:
        texts = answer(model, tokenizer, prompts, max_new_tokens)
    finally:
        del model.generate
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        return texts
    changed = model.training or model.generation_config.to_dict() != settings
    return Seen(
        {
            "result": [text.strip() for text in texts],
            "`model.generate` is called more than once": len(calls) > 1,
            "the model's own mode or settings are changed": changed,
        }
    )


def model_that_samples() -> LlamaForCausalLM:
    """The tiny model as many are saved: `generate` samples unless told not to."""
    model = tiny_model()
    model.generation_config.do_sample = True
    return model


def other_model() -> LlamaForCausalLM:
    """A tiny model with other weights."""
    return tiny_model(seed=4)


def _complete_case(prompts, max_new_tokens, make=tiny_model):
    place = "complete" if make is not tiny_model else "common"
    label = f"# from utils.checks.lesson09.{place} import {make.__name__}\n"
    label += "# from utils.checks.lesson09.common import tiny_tokenizer\n"
    label += f"complete({make.__name__}(), tiny_tokenizer(), {prompts}, {max_new_tokens})"
    return Case(make(), tiny_tokenizer(), prompts, max_new_tokens, label=label)


def _drawn(*lengths):
    """Prompts of so many words."""
    return [" ".join(WORDS[i] for i in drawn_tokens(10 + n, n)) for n in lengths]


complete = Exercise(
    number="9.8",
    name="complete",
    oracle=_complete,
    compared_with="`generate` on one prompt at a time",
    probe=_watched,
    cases=lambda: [
        _complete_case(["the cat sat on the", "slept by", "under the tree the bird"], 7),
        _complete_case(["under ran tree by", "the river"], 9),
        _complete_case(["bird a", "bird cat mat slept", "cat tree a"], 6),
        _complete_case(["cat tree", "the <end> cat sat"], 6),
        _complete_case(["the cat sat on the", "slept by"], 7, model_that_samples),
        _complete_case(["the cat sat on the", "slept by", "under the tree the bird"], 3),
        _complete_case(["the cat sat on the", "slept by"], 7, other_model),
        _complete_case(["a", "the cat"], 1),
        _complete_case(["dog ran by"], 5),
        _complete_case(_drawn(2, 5, 3), 4),
    ],
    mistakes=[
        Mistake(
            "padded_on_the_right",
            "The shorter prompts are padded on the *right*: the model continues after the padding, "
            'not after the prompt. Pad on the left, `padding_side="left"`.',
            _batched(side="right"),
        ),
        Mistake(
            "padded_on_the_right_and_prompt_kept",
            "Two things: the prompts are padded on the *right*, so the model continues after the "
            'padding (`padding_side="left"` mends it); and the prompt is decoded with the answer.',
            _batched(side="right", new_only=False),
        ),
        Mistake(
            "no_attention_mask",
            "The attention mask does not reach `generate`, so the shorter prompts attend to their "
            "padding. Pass `attention_mask` on (or `**inputs`).",
            _batched(mask=False),
        ),
        Mistake(
            "prompt_decoded_with_the_answer",
            "The prompt is decoded along with the answer. Cut it off: keep the columns from "
            '`inputs["input_ids"].shape[1]` on.',
            _batched(new_only=False),
        ),
        Mistake(
            "special_tokens_kept",
            "Padding and end tokens are still in the text: decode with `skip_special_tokens=True`.",
            _batched(skip=False),
        ),
        Mistake(
            "max_length_for_max_new_tokens",
            "You pass `max_length`, which counts the prompt (and its padding) too. "
            "Pass `max_new_tokens`.",
            _batched(length="max_length"),
        ),
        Mistake(
            "sampled",
            "Whether `generate` samples is left to the model's own settings. Say "
            "`do_sample=False`.",
            _batched(greedy=False),
        ),
        Mistake(
            "padded_on_the_right_without_a_mask",
            'Two things: the prompts are padded on the *right* (`padding_side="left"` mends it), '
            "and the attention mask does not reach `generate`.",
            _batched(side="right", mask=False),
        ),
        Mistake(
            "cut_by_characters",
            "You cut off as many *characters* as the prompt has. Decoding leaves out special "
            "tokens and may change spaces, so the lengths differ: cut tokens, then decode.",
            _batched(cut=_cut_characters),
        ),
        Mistake(
            "prompt_replaced",
            "You remove the prompt's *text* wherever it stands. The answer may repeat it, and "
            "special tokens are no longer in the text: cut tokens, then decode.",
            _batched(cut=_replaced),
        ),
        Mistake(
            "last_tokens",
            "You keep the last `max_new_tokens` tokens. An answer may end sooner, and then a part "
            "of the prompt is among them: cut off the prompt in front.",
            _batched(cut=_last_tokens),
        ),
        Mistake(
            "one_prompt_at_a_time",
            "The texts are right, but you call `model.generate` once for each prompt. One call "
            "with all of them is several times as fast: give the tokenizer the whole list.",
            _one_at_a_time,
        ),
        Mistake(
            "settings_changed",
            "You change the model's own mode or settings (`model.train()`, "
            "`model.generation_config…`), and they stay so for whoever uses it next. Pass options "
            "to `generate`.",
            _settings_changed,
        ),
        Mistake(
            "first_prompt_only",
            "There is a text for the first prompt only. Decode all rows: `tokenizer.batch_decode`.",
            lambda *args: _complete(*args)[:1],
        ),
        Mistake(
            "cut_at_each_rows_own_length",
            "You cut each row after its own number of real tokens. The prompts were padded to the "
            'same length, so all end at the same column: `inputs["input_ids"].shape[1]`.',
            _batched(cut=_cut_at_own_length),
        ),
    ],
    hints=[
        '`tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left")`.',
        "`model.generate(**inputs, max_new_tokens=…, do_sample=False)` returns prompt and answer.",
        "`tokenizer.batch_decode(tokens, skip_special_tokens=True)` decodes all rows.",
    ],
)
