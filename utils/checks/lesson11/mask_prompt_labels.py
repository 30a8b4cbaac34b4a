"""Exercise 11.1, `mask_prompt_labels`: its oracle, inputs, mistakes and hints."""

import torch

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.lesson11.common import IGNORED, asserted, drawn_ids, refused, speechless

END = 2  # ends an answer of SmolLM2's


def _refuse(answer):
    if len(answer) == 0:
        raise ValueError("the answer is empty: there is nothing to learn")


def _mask_prompt_labels(prompt, answer):
    _refuse(answer)
    ids, labels = [], []
    for tokens, learned in (prompt, False), (answer, True):
        for token in tokens:
            ids.append(token)
            labels.append(token if learned else IGNORED)
    return ids, labels


def _masked(
    ids=lambda prompt, answer: prompt + answer,
    labels=lambda prompt, answer: [IGNORED] * len(prompt) + answer,
    refuse=_refuse,
    back=lambda ids, labels: (ids, labels),
):
    """The two lists with one step replaced."""

    def mutant(prompt, answer):
        refuse(answer)
        return back(ids(prompt, answer), labels(prompt, answer))

    return mutant


def _labels(labels, **more):
    return _masked(labels=labels, **more)


def _instead_of_minus_100(number):
    return _labels(lambda prompt, answer: [number] * len(prompt) + answer)


def _by_value(prompt, answer):
    return [IGNORED if token in prompt else token for token in prompt + answer]


def _moved_left(prompt, answer):
    return ([IGNORED] * len(prompt) + answer)[1:] + [IGNORED]


def _with_an_end(tokens):
    return [*tokens, END]


def _two_lists(mask, prompt, answer):
    """The two lists; of an empty answer the refusal."""
    return mask(prompt, answer) if answer else refused(lambda: mask(prompt, answer))


def _drawn(seed, n, m):
    """Prompt and answer with a few tokens in common: the same words stand in both."""
    prompt, answer = drawn_ids(seed, n), drawn_ids(seed + 50, m)
    answer[m // 2] = prompt[n // 2]
    return Case(prompt, [*answer[:-1], END])


mask_prompt_labels = Exercise(
    number="11.1",
    name="mask_prompt_labels",
    oracle=_mask_prompt_labels,
    compared_with="the rule, applied token by token",
    probe=_two_lists,
    cases=lambda: [
        Case([5, 9, 4, 7, 3], [8, 9, 1, 2]),
        Case([5, 6, 7], [8, 2]),  # the example of the task
        _drawn(1, 7, 4),
        _drawn(2, 12, 3),
        _drawn(3, 300, 40),
        Case([2, 0, 2], [0, 6, 2, 2]),
        Case([4, 4, 4, 4], [4]),
        Case([], [3, 7, 2]),
        Case([], [70_000]),
        Case([9], [65_536, 257, 49_151, 0]),
        Case([1, 2, 3], []),
        Case([], []),
    ],
    mistakes=[
        Mistake(
            "nothing_masked",
            "The labels are all the ids, so the prompt is learned too: the model would learn to "
            "write the question. Put -100 at each token of the prompt.",
            _labels(lambda prompt, answer: prompt + answer),
        ),
        Mistake(
            "answer_masked",
            "It is the wrong way round: -100 stands at the answer, and the prompt is learned. Put "
            "-100 at the prompt and keep the tokens of the answer.",
            _labels(lambda prompt, answer: prompt + [IGNORED] * len(answer)),
        ),
        Mistake(
            "everything_masked",
            "-100 stands everywhere, so nothing is learned at all. The labels of the answer are "
            "its own tokens.",
            _labels(lambda prompt, answer: [IGNORED] * len(prompt + answer)),
        ),
        Mistake(
            "shifted_already",
            "Your labels have moved one place to the left. The loss does that itself, and twice is "
            "too much: let each label stand at its own token.",
            _labels(_moved_left),
        ),
        Mistake(
            "shifted_to_the_right",
            "Your labels have moved one place to the right, so the end of the answer is lost. Let "
            "each label stand at its own token.",
            _labels(lambda prompt, answer: ([IGNORED] * (len(prompt) + 1) + answer)[:-1]),
        ),
        Mistake(
            "shifted_and_shorter",
            "The labels have lost their first entry: that is a shift by hand, and the loss makes "
            "it itself. Return as many labels as ids, each at its own token.",
            _labels(lambda prompt, answer: ([IGNORED] * len(prompt) + answer)[1:]),
        ),
        Mistake(
            "minus_1_for_minus_100",
            "You write -1 where nothing is to be learned. The number that the loss leaves out is "
            "-100.",
            _instead_of_minus_100(-1),
        ),
        Mistake(
            "zero_for_minus_100",
            "You write 0 where nothing is to be learned, but 0 is a token like any other and would "
            "be learned. Write -100.",
            _instead_of_minus_100(0),
        ),
        Mistake(
            "plus_100",
            "You write 100, and that is a token like any other. The sign matters: write -100.",
            _instead_of_minus_100(100),
        ),
        Mistake(
            "end_for_minus_100",
            "You write the end token, 2, where nothing is to be learned: the model would learn to "
            "stop all the time. Write -100.",
            _instead_of_minus_100(END),
        ),
        Mistake(
            "last_prompt_token_learned",
            "The last token of the prompt is learned too. Write -100 `len(prompt)` times, once for "
            "each of its tokens.",
            _labels(
                lambda prompt, answer: [IGNORED] * (len(prompt) - 1) + prompt[-1:] + answer,
            ),
        ),
        Mistake(
            "first_answer_token_masked",
            "The first token of the answer has -100 as well, so the model never learns how to "
            "begin. Only the prompt is left out.",
            _labels(lambda prompt, answer: [IGNORED] * (len(prompt) + 1) + answer[1:]),
        ),
        Mistake(
            "end_masked",
            "The last token of the answer has -100, so the model never learns to stop. The whole "
            "answer is learned, its end included.",
            _labels(lambda prompt, answer: [IGNORED] * len(prompt) + answer[:-1] + [IGNORED]),
        ),
        Mistake(
            "masked_by_value",
            "You mask each token that occurs in the prompt, wherever it stands, and an answer may "
            "use the prompt's words. Count places: `len(prompt)` times -100, then the answer.",
            _labels(_by_value),
        ),
        Mistake(
            "labels_without_the_prompt",
            "The labels are the answer alone, and so shorter than the ids. Put -100 in front, once "
            "for each token of the prompt.",
            _labels(lambda prompt, answer: [*answer]),
        ),
        Mistake(
            "ids_without_the_prompt",
            "The ids are the answer alone, so the model never reads the prompt. It is read, only "
            "not learned: return `prompt + answer`.",
            _masked(ids=lambda prompt, answer: [*answer]),
        ),
        Mistake(
            "prompt_dropped",
            "The prompt is in neither list. The model has to read it: the ids are "
            "`prompt + answer`, and only the labels leave it out.",
            _masked(lambda prompt, answer: [*answer], lambda prompt, answer: [*answer]),
        ),
        Mistake(
            "one_list_for_both",
            "-100 stands in the ids as well: are `ids` and `labels` the same list? `labels = ids` "
            "makes no copy; write `labels = list(ids)`, or build a second list.",
            _masked(lambda prompt, answer: [IGNORED] * len(prompt) + answer),
        ),
        Mistake(
            "end_appended",
            "You append an end token, 2, of your own. What is in `answer` is the whole answer, "
            "with its end: add nothing.",
            _masked(
                lambda prompt, answer: _with_an_end(prompt + answer),
                lambda prompt, answer: _with_an_end([IGNORED] * len(prompt) + answer),
            ),
        ),
        Mistake(
            "answer_first",
            "The answer comes before the prompt. A model reads from left to right: "
            "`prompt + answer`.",
            _masked(
                lambda prompt, answer: answer + prompt,
                lambda prompt, answer: answer + [IGNORED] * len(prompt),
            ),
        ),
        Mistake(
            "swapped",
            "You return the labels before the ids. The order is `ids, labels`.",
            _masked(back=lambda ids, labels: (labels, ids)),
        ),
        Mistake(
            "only_the_labels",
            "You return the labels alone. Return both lists: `return ids, labels`.",
            _masked(back=lambda ids, labels: labels),
        ),
        Mistake(
            "tensors",
            "The numbers are right, but they come back as tensors. Rows have different lengths, "
            "so they stay lists until a batch is made of them: `.tolist()`.",
            _masked(back=lambda ids, labels: (torch.tensor(ids), torch.tensor(labels))),
        ),
        Mistake(
            "pairs",
            "You return one list of pairs. Two lists are wanted, all ids and all labels: "
            "`return ids, labels`.",
            _masked(back=lambda ids, labels: [*zip(ids, labels, strict=True)]),
        ),
        Mistake(
            "empty_answer_accepted",
            "All is right but one thing: an empty answer has to be refused, for nothing can be "
            'learned from it. `if not answer: raise ValueError("…")`, with a sentence.',
            _masked(refuse=lambda answer: None),
        ),
        Mistake(
            "refused_with_assert",
            "An empty answer is refused, but with an `AssertionError`. Write "
            '`raise ValueError("…")`: `assert` is switched off by `python -O`.',
            _masked(refuse=lambda answer: asserted(len(answer) > 0)),
        ),
        Mistake(
            "refused_without_a_sentence",
            "An empty answer is refused, but without a word. Say what is wrong: "
            '`raise ValueError("…")` with a sentence.',
            _masked(refuse=lambda answer: speechless(len(answer) > 0)),
        ),
    ],
    hints=[
        "`+` joins two lists into a new one, and `[-100] * 3` is `[-100, -100, -100]`.",
        "Begin with the refusal: `if not answer: raise ValueError(...)`, with a sentence of yours.",
        "The ids are `prompt + answer`. The labels are -100 as often as the prompt has tokens, "
        "and then the answer.",
    ],
)
