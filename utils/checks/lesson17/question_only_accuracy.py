"""Exercise 17.5, `question_only_accuracy`: its oracle, inputs, mistakes and hints."""

import random
from collections import Counter

from utils.checks.engine.compare import Tolerance, difference
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded


def _most_common(answers):
    return Counter(answers).most_common(1)[0][0]


def _question_only_accuracy(train_questions, train_answers, test_questions, test_answers):
    counts = {question: Counter() for question in train_questions}
    for question, answer in zip(train_questions, train_answers, strict=True):
        counts[question][answer] += 1
    unseen = Counter(train_answers)
    guesses = [counts.get(question, unseen).most_common(1)[0][0] for question in test_questions]
    right = [guess == answer for guess, answer in zip(guesses, test_answers, strict=True)]
    return sum(right) / len(right)


def _blind(
    pick=_most_common,
    otherwise=_most_common,
    known=lambda question, table: question in table,
    skips=False,
    score=lambda right: sum(right) / len(right),
):
    """The guesser that sees no image, with one step replaced."""

    def mutant(train_questions, train_answers, test_questions, test_answers):
        table = {}
        for question, answer in zip(train_questions, train_answers, strict=True):
            table.setdefault(question, []).append(answer)
        unseen, right = otherwise(train_answers), []
        for question, answer in zip(test_questions, test_answers, strict=True):
            if known(question, table):
                right.append(pick(table[question]) == answer)
            elif not skips:
                right.append(unseen == answer)
        return score(right)

    return mutant


def _first_of_the_alphabet(answers):
    counts = Counter(answers)
    return min(counts, key=lambda answer: (-counts[answer], answer))


def _last_of_a_tie(answers):
    counts = Counter(answers)
    return max(reversed(counts), key=counts.get)


def _first_to_get_there(answers):
    counts, best = Counter(), None
    for answer in answers:
        counts[answer] += 1
        best = answer if counts[answer] > counts[best] else best
    return best


def _in_the_order_of_a_set(answers):
    return max(set(answers), key=answers.count)


def _share(answer, *given):
    """The answer's share, if it stays the same when every word gets the same letters in front.

    Neither the alphabet nor the order of the lists changes by that, only the order of a set.
    """
    share = answer(*given)
    for i in range(12):
        again = answer(*([f"{i}.{word}" for word in words] for words in given))
        if difference(again, share, Tolerance()):
            return "a share that changes when every string gets the same letters in front"
    return share


def _counted_on_the_test(train_questions, train_answers, test_questions, test_answers):
    return _question_only_accuracy(test_questions, test_answers, test_questions, test_answers)


def _counted_on_both(train_questions, train_answers, test_questions, test_answers):
    questions, answers = train_questions + test_questions, train_answers + test_answers
    return _question_only_accuracy(questions, answers, test_questions, test_answers)


def _unseen_from_the_test(train_questions, train_answers, test_questions, test_answers):
    mutant = _blind(otherwise=lambda answers: _most_common(test_answers))
    return mutant(train_questions, train_answers, test_questions, test_answers)


def _measured_on_the_training(train_questions, train_answers, test_questions, test_answers):
    return _question_only_accuracy(train_questions, train_answers, train_questions, train_answers)


TIES = "cat dog, red blue, left right, kite ball, bus train, oak elm"


def _ties():
    """Each question has two answers, once each; from the share one can tell all the guesses."""
    pairs = [pair.split() for pair in TIES.split(", ")]
    asked = [f"{first} or {second}?" for first, second in pairs]
    often = [i for i in range(len(pairs)) for _ in range(2**i)]
    train = [q for q in asked for _ in range(2)], [answer for pair in pairs for answer in pair]
    return *train, [asked[i] for i in often], [pairs[i][0] for i in often]


def _ties_case():
    questions, answers, *test = _ties()
    label = f"{len(questions) // 2} questions, each a tie: train_questions={questions[:4]} and so "
    label += f"on,\ntrain_answers={answers[:4]} and so on"
    return Case(questions, answers, *test, label=label)


QUIZ = {
    "what colour is the car": ("red", "white", "blue"),
    "is it raining": ("no", "yes"),
    "how many dogs are there": ("2", "1", "no", "3"),
    "is the man alone": ("yes", "no"),
    "what is he holding": ("phone", "no", "cup"),
    "is the door open": ("no", "yes"),
    "what is on the sign": ("red", "2", "no", "yes", "phone"),
}


def _quiz_case(seed, where, n_train, n_test, n_unseen=2, first=((), (), (), ())):
    """Questions drawn at random; the last few kinds of them never come in training."""
    draw = random.Random(seeded(seed))
    questions = [*QUIZ]

    def some(n, among):
        asked = [among[int(draw.random() * len(among))] for _ in range(n)]
        answers = [QUIZ[q][int(draw.random() ** 1.3 * len(QUIZ[q]))] for q in asked]
        return [f"{q} in {where}?" for q in asked], answers

    drawn = *some(n_train, questions[: len(questions) - n_unseen]), *some(n_test, questions)
    given = [[*before, *new] for before, new in zip(first, drawn, strict=True)]
    label = f"{len(given[0])} questions in training, {len(given[2])} in the test, some of them "
    label += "never seen before"
    return Case(*given, label=label)


def _same_questions_case():
    """Inside `other_numbers` only the answers of the training are others."""
    answers = ["off", "up", "up", "off", "up"] if seeded(0) else ["up", "off", "on", "on", "off"]
    return Case(["n?"] * 5, answers, ["n?", "n?", "o?"], ["off", "off", "up"])


question_only_accuracy = Exercise(
    number="17.5",
    name="question_only_accuracy",
    oracle=_question_only_accuracy,
    compared_with="`collections.Counter.most_common`, question by question",
    probe=_share,
    cases=lambda: [  # no two have questions in common: what is kept shows in a later call
        _quiz_case(3578, "the street", 40, 211, first=_ties()),
        _quiz_case(505, "the park", 31, 47),
        _quiz_case(860, "Rome", 60, 101),
        _quiz_case(1160, "the garden", 12, 37),
        _ties_case(),
        Case(["a", "a", "a", "b"], ["1", "2", "2", "1"], ["a", "c"], ["2", "1"]),
        Case(["how many?", "how many?", "which?"], ["2", "1", "cat"], ["how many?"], ["2"]),
        Case(["who?", "who?"], ["cat", "dog"], ["who?"], ["cat"]),
        Case(["how?"] * 3, ["2", "1", "1"], ["how?", "why?"], ["1", "1"]),
        Case(["d?", "e?", "e?"], ["no", "no", "yes"], ["f?", "g?", "h?"], ["yes", "no", "yes"]),
        Case(["k?", "l?"], ["white", "black"], ["m?", "k?"], ["white", "white"]),
        _same_questions_case(),
    ],
    mistakes=[
        Mistake(
            "counted_on_the_test",
            "You count the answers of the *test* and then guess them: whoever has seen the answers "
            "guesses well. Count `train_questions` and `train_answers`; the test is only for "
            "marking.",
            _counted_on_the_test,
        ),
        Mistake(
            "counted_on_both",
            "The answers of the test are counted together with those of the training, so they leak "
            "into the guesses. Count the training alone.",
            _counted_on_both,
        ),
        Mistake(
            "measured_on_the_training",
            "You mark the guesses on the training questions, from which they were made. Mark them "
            "on `test_questions` and `test_answers`.",
            _measured_on_the_training,
        ),
        Mistake(
            "unseen_counted_wrong",
            "A question that never came in training is counted as wrong, or gets a guess that is "
            "never right. Guess the most common answer of all the training for it.",
            _blind(otherwise=lambda answers: None),
        ),
        Mistake(
            "unseen_answered_with_the_last",
            "For a question that never came in training you guess the *last* answer of the "
            "training. Guess the most common of them all: `Counter(train_answers).most_common(1)`.",
            _blind(otherwise=lambda answers: answers[-1]),
        ),
        Mistake(
            "unseen_answered_with_the_first",
            "For a question that never came in training you guess the *first* answer of the "
            "training. Guess the most common of them all: `Counter(train_answers).most_common(1)`.",
            _blind(otherwise=lambda answers: answers[0]),
        ),
        Mistake(
            "unseen_answered_from_the_test",
            "For a question that never came in training you guess what is most common in the "
            "*test*: that is looking at the solutions. Count `train_answers`.",
            _unseen_from_the_test,
        ),
        Mistake(
            "unseen_left_out",
            "Questions that never came in training are left out, also of the number that you "
            "divide by. Each test question counts: guess the most common answer of all the "
            "training.",
            _blind(skips=True),
        ),
        Mistake(
            "one_answer_for_all",
            "You guess one answer for every question, the most common of all. Each question has "
            "its own: count the answers for each question text separately.",
            _blind(known=lambda question, table: False),
        ),
        Mistake(
            "last_answer_seen",
            "You remember the *last* answer that each question had in training (does "
            "`guess[question] = answer` overwrite the one before?). Count them, and take the most "
            "common.",
            _blind(pick=lambda answers: answers[-1]),
        ),
        Mistake(
            "first_answer_seen",
            "You remember the *first* answer that each question had in training. Count them all, "
            "and take the most common.",
            _blind(pick=lambda answers: answers[0]),
        ),
        Mistake(
            "ties_by_the_alphabet",
            "Right, except in a tie: you take the answer that comes first in the alphabet (is "
            "there a `sorted`, or `np.unique`?). Take the one that came first in training, as "
            "`Counter(…).most_common(1)` does.",
            _blind(pick=_first_of_the_alphabet, otherwise=_first_of_the_alphabet),
        ),
        Mistake(
            "ties_to_the_later_answer",
            "Right, except in a tie: you take the answer that came later in training (is there a "
            "`>=`?). Take the one that came first, as `Counter(…).most_common(1)` does.",
            _blind(pick=_last_of_a_tie, otherwise=_last_of_a_tie),
        ),
        Mistake(
            "ties_to_the_first_that_got_there",
            "Right, except in a tie: you keep the answer that reached the largest count first. "
            "Count to the end, then take, among the most common, the one that *occurred* first, as "
            "`Counter(…).most_common(1)` does.",
            _blind(pick=_first_to_get_there, otherwise=_first_to_get_there),
        ),
        Mistake(
            "ties_in_the_order_of_a_set",
            "Right, except in a tie: there the order of a `set` decides, and that is another one "
            "each time Python starts, so your share would not repeat. "
            "`Counter(…).most_common(1)` takes the answer that came first in training.",
            _blind(pick=_in_the_order_of_a_set, otherwise=_in_the_order_of_a_set),
        ),
        Mistake(
            "percent",
            "You return percent. The share is a number between 0 and 1: do not multiply by 100.",
            _blind(score=lambda right: 100 * sum(right) / len(right)),
        ),
        Mistake(
            "whole_numbers_only",
            "You divide with `//`, which leaves 0 of every share below 1. Divide with `/`.",
            _blind(score=lambda right: sum(right) // len(right)),
        ),
        Mistake(
            "number_of_right_answers",
            "You return how many are right. Divide by the number of test questions.",
            _blind(score=sum),
        ),
        Mistake(
            "share_of_wrong_answers",
            "You return the share of *wrong* answers. Count the guesses that are equal to the "
            "answer.",
            _blind(score=lambda right: 1 - sum(right) / len(right)),
        ),
    ],
    hints=[
        "First learn, from the training alone: which answers did each question text have, and how "
        "often? Then guess for each test question, and count the right guesses.",
        "`collections.Counter(answers).most_common(1)[0][0]` is the most common answer; in a tie "
        "it is the one that came first.",
        "Keep a dict with a `Counter` for each question, and one more `Counter` for all answers: "
        "`counts.get(question, everything)` is the one to ask.",
    ],
)
