"""Exercise 9.7, `complete`: its oracle, inputs, mistakes and hints."""

import copy
import functools

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.lesson09.common import WORDS, tiny_model


def _tiny_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<end>"))
    tokenizer.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>", unk_token="<end>"
    )


def _complete(model, tokenizer, prompts, max_new_tokens):
    """One prompt at a time, so that nothing needs padding."""
    answers = []
    for prompt in prompts:
        inputs = tokenizer(prompt, return_tensors="pt")
        out = model.generate(
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


def _stripped(answer, *args):
    """Texts without the spaces at their ends, which decoding may or may not leave."""
    texts = answer(*args)
    if isinstance(texts, list | tuple) and all(isinstance(text, str) for text in texts):
        return [text.strip() for text in texts]
    return texts


@functools.cache
def _model_that_samples() -> LlamaForCausalLM:
    """The tiny model as many are saved: `generate` samples unless told not to."""
    model = copy.deepcopy(tiny_model())
    model.generation_config.do_sample = True
    return model


def _complete_case(prompts, max_new_tokens, model=tiny_model):
    label = f"complete(model, tokenizer, {prompts}, max_new_tokens={max_new_tokens})"
    if model is not tiny_model:
        label += ", a model that samples unless told not to"
    return Case(model(), _tiny_tokenizer(), prompts, max_new_tokens, label=label)


complete = Exercise(
    number="9.7",
    name="complete",
    oracle=_complete,
    compared_with="`generate` on one prompt at a time",
    probe=_stripped,
    cases=lambda: [
        _complete_case(["the cat sat on the", "slept by", "under the tree the bird"], 7),
        _complete_case(["under ran tree by", "the river"], 9),
        _complete_case(["bird a", "bird cat mat slept", "cat tree a"], 6),
        _complete_case(["cat tree", "the <end> cat sat"], 6),
        _complete_case(["the cat sat on the", "slept by"], 7, _model_that_samples),
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
