"""Exercise 9.1, `generate`: its oracle, inputs, mistakes and hints."""

import functools

import torch

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.lesson09.common import tiny_model


def _generate(model, input_ids, max_new_tokens, eos_id):
    """The library's loop without its cache, as the learner's: the lesson times the two."""
    end = eos_id if eos_id >= 0 else None
    return model.generate(
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


def _new_tokens_only(model, input_ids, max_new_tokens, eos_id):
    return _generate(model, input_ids, max_new_tokens, eos_id)[:, input_ids.shape[1] :]


def _generate_case(prompt, max_new_tokens, eos_id):
    ids = torch.tensor([prompt])
    label = f"generate(model, input_ids={ids.tolist()}, max_new_tokens={max_new_tokens}, "
    return Case(tiny_model(), ids, max_new_tokens, eos_id, label=label + f"eos_id={eos_id})")


generate = Exercise(
    number="9.1",
    name="generate",
    oracle=_generate,
    compared_with="`model.generate(do_sample=False)`, token for token,",
    cases=lambda: [
        _generate_case([1, 3, 6], 8, 15),
        _generate_case([5, 4], 6, 15),
        _generate_case([1, 3, 6], 8, _third_new_token()),
        _generate_case([1, 5, 3, 6], 6, 5),
        _generate_case([2, 4, 7], 6, 7),
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
def _third_new_token() -> int:
    return _generate(tiny_model(), torch.tensor([[1, 3, 6]]), 3, 15)[0, -1].item()
