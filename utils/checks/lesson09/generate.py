"""Exercise 9.1, `generate`: its oracle, inputs, mistakes and hints."""

import functools

import torch

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.lesson09.common import chain_model, drawn_tokens, tiny_model

CHAIN = {5: 2, 2: 7, 7: 3, 3: 9, 9: 5}  # the example worked by hand


def _generate(model, input_ids, max_new_tokens, eos_id):
    """The library's loop without its cache, as the learner's: the lesson times the two."""
    end = eos_id if eos_id >= 0 else None
    return type(model).generate(
        model,
        input_ids,
        attention_mask=torch.ones_like(input_ids),
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=end,
        pad_token_id=end,
        use_cache=False,
    )


def _greedy_loop(
    position=-1, steps=lambda ids, n: n, stops=True, keeps_end=True, context=None, pick=None
):
    """The greedy loop with one step replaced."""

    def mutant(model, input_ids, max_new_tokens, eos_id):
        ids = input_ids
        for _ in range(steps(input_ids, max_new_tokens)):
            with torch.no_grad():
                logits = model(context(ids) if context else ids).logits[:, position]
            token = pick(logits) if pick else logits.argmax(-1, keepdim=True)  # (1, 1)
            if stops and not keeps_end and token.item() == eos_id:
                break
            ids = torch.cat([ids, token], dim=1)
            if stops and token.item() == eos_id:
                break
        return ids

    return mutant


def _ends_anywhere(model, input_ids, max_new_tokens, eos_id):
    ids = input_ids
    for _ in range(max_new_tokens):
        ids = torch.cat([ids, model(ids).logits[:, -1].argmax(-1, keepdim=True)], dim=1)
        if (ids == eos_id).any():
            break
    return ids


def _looks_before_predicting(model, input_ids, max_new_tokens, eos_id):
    ids = input_ids
    for _ in range(max_new_tokens):
        if ids[0, -1] == eos_id:
            break
        ids = torch.cat([ids, model(ids).logits[:, -1].argmax(-1, keepdim=True)], dim=1)
    return ids


def _cut_afterwards(model, input_ids, max_new_tokens, eos_id):
    ids = _greedy_loop(stops=False)(model, input_ids, max_new_tokens, eos_id)
    n_prompt = input_ids.shape[1]
    ends = (ids[0, n_prompt:] == eos_id).nonzero()
    return ids[:, : n_prompt + int(ends[0]) + 1] if len(ends) else ids


def _in_training_mode(model, input_ids, max_new_tokens, eos_id):
    ids = _generate(model, input_ids, max_new_tokens, eos_id)
    model.train()
    return ids


def _library(model, input_ids, max_new_tokens, eos_id):
    return model.generate(
        input_ids, max_new_tokens=max_new_tokens, do_sample=False, eos_token_id=eos_id
    )


def _watched(answer, model, input_ids, max_new_tokens, eos_id):
    """What comes out, and how: how often the model is called, and whether by the library's loop."""
    calls, by_library = [], []

    def library(*args, **options):
        by_library.append(True)
        return type(model).generate(model, *args, **options)

    handle = model.register_forward_hook(lambda *_: calls.append(True))
    model.generate = library
    try:
        ids = answer(model, input_ids, max_new_tokens, eos_id)
    finally:
        handle.remove()
        del model.generate
    if not isinstance(ids, torch.Tensor) or ids.ndim != 2:
        return ids
    new = ids.shape[1] - input_ids.shape[1]
    return Seen(
        {
            "result": ids,
            "the library's `model.generate` is called": bool(by_library),
            "the model is called again and again after the end token": 0 < new < len(calls) - 1,
            "the model is in training mode afterwards": model.training,
        }
    )


def _new_tokens_only(model, input_ids, max_new_tokens, eos_id):
    return _generate(model, input_ids, max_new_tokens, eos_id)[:, input_ids.shape[1] :]


def _generate_case(prompt, max_new_tokens, eos_id, make=tiny_model, *how):
    """A call on a tiny model, which `make(*how)` makes."""
    made = f"{make.__name__}({', '.join(map(str, how))})"
    label = f"# from utils.checks.lesson09.common import {make.__name__}\n"
    label += f"generate({made}, torch.tensor([{prompt}]), {max_new_tokens}, {eos_id})"
    return Case(make(*how), torch.tensor([prompt]), max_new_tokens, eos_id, label=label)


generate = Exercise(
    number="9.1",
    name="generate",
    oracle=_generate,
    compared_with="`model.generate(do_sample=False)`, token for token,",
    probe=_watched,
    cases=lambda: [
        _generate_case([1, 3, 6], 8, 15),
        _generate_case([5, 4], 6, 15),
        _generate_case([1, 3, 6], 8, _third_new_token()),
        _generate_case([1, 5, 3, 6], 6, 5),
        _generate_case([2, 4, 7], 6, 7),
        _generate_case([5, 2], 3, 3, chain_model, CHAIN),
        _generate_case([5, 2], 3, 0, chain_model, CHAIN),
        _generate_case([5, 2], 4, 0, chain_model, {5: 2, 2: 7, 7: 0, 0: 4, 4: 9}),
        _generate_case([5], 1, 4),
        _generate_case([70, 66_000], 4, _large_end(), tiny_model, 70_000),
        _generate_case(drawn_tokens(1, 4), 5, 15),
        _generate_case(drawn_tokens(2, 4), 7, 15),
        _generate_case(drawn_tokens(3, 4), 7, 12),
    ],
    mistakes=[
        Mistake(
            "max_length_for_max_new_tokens",
            "The prompt is counted: you stop when prompt and answer *together* have "
            "`max_new_tokens` tokens. That was `max_length`, and it surprises everybody once.",
            _greedy_loop(steps=lambda ids, n: n - ids.shape[1]),
        ),
        Mistake(
            "first_position",
            "You take the logits at the *first* position. Each position predicts the token after "
            "it; the next new one comes from the last, `logits[:, -1]`.",
            _greedy_loop(position=0),
        ),
        Mistake(
            "last_but_one_position",
            "You take the last position but one, which predicts the token that is already there. "
            "Take `logits[:, -1]`.",
            _greedy_loop(position=-2),
        ),
        Mistake(
            "context_lost",
            "Only the newest token is given to the model: it has forgotten the prompt. "
            "Give it all tokens so far.",
            _greedy_loop(context=lambda ids: ids[:, -1:]),
        ),
        Mistake(
            "end_ignored",
            "It goes on after the end token. When `eos_id` has been written, stop.",
            _greedy_loop(stops=False),
        ),
        Mistake(
            "end_not_kept",
            "It stops at the end token but does not keep it. `generate` returns it as the last "
            "token: append first, then stop.",
            _greedy_loop(keeps_end=False),
        ),
        Mistake(
            "one_token_too_few",
            "One token is missing: the loop runs `max_new_tokens` times.",
            _greedy_loop(steps=lambda ids, n: n - 1),
        ),
        Mistake(
            "one_token_too_many",
            "One token too many: the loop runs `max_new_tokens` times.",
            _greedy_loop(steps=lambda ids, n: n + 1),
        ),
        Mistake(
            "prompt_dropped",
            "The new tokens are right, but the prompt is missing before them: "
            "return prompt and answer in one row.",
            _new_tokens_only,
        ),
        Mistake(
            "least_likely",
            "You take the *least* likely token: `argmax`, not `argmin`.",
            _greedy_loop(pick=lambda logits: logits.argmin(-1, keepdim=True)),
        ),
        Mistake(
            "sampled",
            "You draw the next token at random. Greedy takes the most likely one: `argmax`.",
            _greedy_loop(pick=lambda logits: torch.multinomial(logits.softmax(-1), 1)),
        ),
        Mistake(
            "end_token_in_the_prompt",
            "You look for the end token in *all* tokens. A prompt may contain it (a conversation "
            "does): look only at the new one.",
            _ends_anywhere,
        ),
        Mistake(
            "looks_before_predicting",
            "You look at the last token *before* the first prediction, so a prompt that ends with "
            "the end token gets no answer. Predict, append, then look.",
            _looks_before_predicting,
        ),
        Mistake(
            "calls_the_library",
            "You let `model.generate` do it. Here you write its loop yourself: call `model(ids)`, "
            "take the likeliest, append, again. From the next section on you may call it.",
            _library,
        ),
        Mistake(
            "cut_afterwards",
            "The tokens are right, but you write on to `max_new_tokens` and cut at the end token "
            "afterwards: each round costs a run of the model. Stop as soon as it comes.",
            _cut_afterwards,
        ),
        Mistake(
            "training_mode",
            "You put the model into training mode and leave it there. Whoever uses it next gets "
            "its dropout. Leave the mode as it was.",
            _in_training_mode,
        ),
        Mistake(
            "one_round_only",
            "It returns after the first new token. Does the `return` stand inside the loop?",
            _greedy_loop(steps=lambda ids, n: 1),
        ),
    ],
    hints=[
        "One round: `logits = model(ids).logits[:, -1]`, pick, append, look whether it is the end.",
        "`logits.argmax(-1, keepdim=True)` has shape `(1, 1)`, ready for `torch.cat`.",
        "`ids = torch.cat([ids, token], dim=1)`, and `break` if `token.item() == eos_id`.",
    ],
)


@functools.cache
def _large_end() -> int:
    """A token above 65,535 that comes second."""
    return _generate(tiny_model(70_000), torch.tensor([[70, 66_000]]), 2, -1)[0, -1].item()


@functools.cache
def _third_new_token() -> int:
    return _generate(tiny_model(), torch.tensor([[1, 3, 6]]), 3, 15)[0, -1].item()
