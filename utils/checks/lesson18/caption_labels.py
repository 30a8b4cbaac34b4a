"""Exercise 18.5, `caption_labels`: its oracle, inputs, mistakes and hints."""

import random

import torch
import torch.nn.functional as F

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded

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
    names = "input_ids", "attention_mask", "answer_starts"
    given = input_ids, mask, torch.tensor(answer_starts)
    texts = [f"{name}=torch.tensor({x.tolist()})" for name, x in zip(names, given, strict=True)]
    return Case(*given, label="caption_labels(\n    " + ",\n    ".join(texts) + ")")


def _drawn_case(seed, B, T):
    """Large ids, and ends of text inside the answers; all drawn, so that they can be others."""
    draw = random.Random(seeded(seed))
    input_ids, lengths, starts = [], [], []
    for _ in range(B):
        lengths.append(1 + int(draw.random() * T))
        starts.append(int(draw.random() * (lengths[-1] + 1)))
        ids = [END if draw.random() < 0.3 else int(draw.random() * 90_000) for _ in range(T)]
        input_ids.append(ids[: lengths[-1]] + [END] * (T - lengths[-1]))
    return _labels_case(input_ids, lengths, starts)


caption_labels = Exercise(
    number="18.5",
    name="caption_labels",
    oracle=_caption_labels,
    compared_with="`masked_fill` over prompt and padding",
    cases=lambda: [  # no two have a shape in common
        _labels_case([[1, 9, 9, 5, 0, 7, 2, 2], [1, 9, 9, 2, 6, 8, 4, 2]], [7, 8], [3, 5]),
        _labels_case(
            [[9, 9, 4, 2, 3, 2, 2], [9, 9, 3, 5, 2, 2, 2], [9, 9, 7, 6, 8, 4, 2]],
            [6, 5, 7],
            [4, 2, 3],
        ),
        _labels_case([[9, 4, 0, 2]], [4], [1]),
        _labels_case([[8, 5, 2, 2, 2, 2]], [3], [1]),
        _labels_case([[3, 2], [4, 5]], [2, 2], [0, 1]),
        _labels_case([[6]], [1], [0]),
        _labels_case([[9, 3, 5, 7, 4], [9, 6, 2, 2, 2]], [5, 3], [2, 1]),
        _labels_case([[9, 1, 3, 2, 2, 2], [9, 7, 8, 6, 2, 2]], [4, 5], [4, 3]),
        _labels_case([[7, 8, 4, 2, 2]], [4], [2]),  # the example of the task
        _drawn_case(1, 5, 9),
        _drawn_case(2, 6, 6),
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
