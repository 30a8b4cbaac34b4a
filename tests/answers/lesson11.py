"""Answers to lesson 11: right ones in an unusual style, and mistakes that nobody listed."""

import copy
import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pad_sequence

# --- 11.1 mask_prompt_labels ----------------------------------------------------------------


def masked_token_by_token(prompt, answer):
    if not answer:
        raise ValueError("An empty answer teaches nothing.")
    ids = [*prompt, *answer]
    return ids, [-100 if i < len(prompt) else token for i, token in enumerate(ids)]


def masked_in_a_copy(prompt, answer):
    if len(answer) < 1:
        raise ValueError("no answer given")
    ids = list(prompt)
    ids.extend(answer)
    labels = ids.copy()
    labels[: len(prompt)] = [-100] * len(prompt)
    return [ids, labels]


def masked_with_torch(prompt, answer):
    if answer == []:
        raise ValueError("the answer has no tokens")
    ids = torch.tensor(prompt + answer)
    labels = ids.clone()
    labels[: len(prompt)] = -100
    return ids.tolist(), labels.tolist()


def masked_with_numpy(prompt, answer):
    if not len(answer):
        raise ValueError(f"nothing to learn after {prompt}")
    ids = np.concatenate([np.array(prompt, dtype=int), answer])
    return ids.tolist(), np.where(np.arange(len(ids)) < len(prompt), -100, ids).tolist()


def masked_with_chain(prompt, answer):
    try:
        answer[0]
    except IndexError as error:
        raise ValueError("the answer is empty") from error
    labels = itertools.chain(itertools.repeat(-100, len(prompt)), answer)
    return list(itertools.chain(prompt, answer)), list(labels)


def masked_as_numpy_numbers(prompt, answer):
    if not answer:
        raise ValueError("give an answer")
    return list(np.array(prompt + answer)), list(np.array([-100] * len(prompt) + answer))


def masked_with_zip(prompt, answer):
    if not answer:
        raise ValueError("there is nothing to learn")
    pairs = [(token, -100) for token in prompt] + [(token, token) for token in answer]
    ids, labels = zip(*pairs, strict=True)
    return list(ids), list(labels)


def masked_in_place(prompt, answer):
    if not answer:
        raise ValueError("the answer is empty")
    labels = [-100] * len(prompt) + answer
    prompt += answer
    return prompt, labels


def masked_with_one_list(prompt, answer):
    if not answer:
        raise ValueError("the answer is empty")
    labels = ids = prompt + answer
    for i in range(len(prompt)):
        labels[i] = -100
    return ids, labels


def masked_where_not_in_the_answer(prompt, answer):
    if not answer:
        raise ValueError("the answer is empty")
    ids = prompt + answer
    return ids, [token if token in answer else -100 for token in ids]


def masked_from_the_first_answer_token(prompt, answer):
    if not answer:
        raise ValueError("the answer is empty")
    ids = prompt + answer
    start = ids.index(answer[0])
    return ids, [-100] * start + ids[start:]


def masked_from_the_end(prompt, answer):
    if not answer:
        raise ValueError("the answer is empty")
    ids = prompt + answer
    labels = [-100] * len(ids)
    labels[-len(answer) : -1] = answer[:-1]
    return ids, labels


def masked_up_to_minus_n(prompt, answer):
    if not answer:
        raise ValueError("the answer is empty")
    ids = prompt + answer
    return ids, [-100] * len(ids[: -len(answer)]) + ids[-len(answer) + 1 :]


def masked_in_bytes(prompt, answer):
    if not answer:
        raise ValueError("the answer is empty")
    ids = np.array(prompt + answer, dtype=np.uint16).tolist()
    return ids, [-100] * len(prompt) + ids[len(prompt) :]


def masked_and_no_prompt_refused(prompt, answer):
    if not prompt or not answer:
        raise ValueError("prompt and answer must have tokens")
    return prompt + answer, [-100] * len(prompt) + answer


def masked_in_floats(prompt, answer):
    if not answer:
        raise ValueError("the answer is empty")
    return prompt + answer, [float("-100")] * len(prompt) + answer


def masked_tensors(prompt, answer):
    if not answer:
        raise ValueError("the answer is empty")
    return torch.tensor(prompt + answer), torch.tensor([-100] * len(prompt) + answer)


def masked_tuples(prompt, answer):
    if not answer:
        raise ValueError("the answer is empty")
    return (*prompt, *answer), (*(-100 for _ in prompt), *answer)


def masked_and_none_for_nothing(prompt, answer):
    return (prompt + answer, [-100] * len(prompt) + answer) if answer else None


def masked_with_its_first_prompt(prompt, answer, kept=[]):  # noqa: B006
    if not answer:
        raise ValueError("the answer is empty")
    kept.append([-100] * len(prompt))
    return prompt + answer, kept[0] + answer


def masked_with_a_cache(prompt, answer, cache={}):  # noqa: B006
    if not answer:
        raise ValueError("the answer is empty")
    key = len(prompt), len(answer), sum(answer) % 2
    return cache.setdefault(key, (prompt + answer, [-100] * len(prompt) + answer))


def masked_and_type_error(prompt, answer):
    if not answer:
        raise TypeError("the answer is empty")
    return prompt + answer, [-100] * len(prompt) + answer


def masked_and_one_word(prompt, answer):
    if not answer:
        raise ValueError("empty")
    return prompt + answer, [-100] * len(prompt) + answer


def masked_with_append(prompt, answer):
    if not answer:
        raise ValueError("the answer is empty")
    labels = [-100] * len(prompt)
    labels.append(answer)
    return prompt + answer, labels


# --- 11.2 pack_batch ------------------------------------------------------------------------


def packed_into_full(rows, pad):
    if len(rows) == 0:
        raise ValueError("a batch needs at least one row")
    B, T = len(rows), max(len(row[0]) for row in rows)
    ids, labels = torch.full((B, T), pad), torch.full((B, T), -100)
    for b, (row, wanted) in enumerate(rows):
        ids[b, : len(row)] = torch.tensor(row)
        labels[b, : len(wanted)] = torch.tensor(wanted)
    return ids, labels


def packed_with_zip_longest(rows, pad):
    if not rows:
        raise ValueError("no rows, no batch")
    columns = (
        zip(*itertools.zip_longest(*part, fillvalue=filler), strict=True)
        for part, filler in zip(zip(*rows, strict=True), (pad, -100), strict=True)
    )
    return tuple(torch.tensor(list(part)) for part in columns)


def packed_with_f_pad(rows, pad):
    try:
        T = max(len(ids) for ids, _ in rows)
    except ValueError as error:
        raise ValueError("there are no rows") from error
    ids = [F.pad(torch.tensor(r), (0, T - len(r)), value=pad) for r, _ in rows]
    labels = [F.pad(torch.tensor(r), (0, T - len(r)), value=-100) for _, r in rows]
    return [torch.stack(ids), torch.stack(labels)]


def packed_with_lengths(rows, pad):
    if not rows:
        raise ValueError("the batch would be empty")
    lengths = torch.tensor([len(ids) for ids, _ in rows])
    real = torch.arange(int(lengths.max())) < lengths[:, None]
    ids = torch.full(real.shape, pad, dtype=torch.long)
    labels = torch.full(real.shape, -100, dtype=torch.long)
    ids[real] = torch.tensor([token for row, _ in rows for token in row])
    labels[real] = torch.tensor([token for _, row in rows for token in row])
    return ids, labels


def packed_with_numpy(rows, pad):
    if not rows:
        raise ValueError("give me some rows")
    T = max(map(len, (ids for ids, _ in rows)))
    filled = [
        np.array(
            [np.pad(np.array(row[k]), (0, T - len(row[k])), constant_values=filler) for row in rows]
        )
        for k, filler in ((0, pad), (1, -100))
    ]
    return torch.from_numpy(filled[0]), torch.from_numpy(filled[1])


def packed_in_copies(rows, pad):
    if not rows:
        raise ValueError("there are no rows")
    rows = copy.deepcopy([(list(ids), list(labels)) for ids, labels in rows])
    while len({len(ids) for ids, _ in rows}) > 1:
        longest = max(len(ids) for ids, _ in rows)
        for ids, labels in rows:
            if len(ids) < longest:
                ids.append(pad)
                labels.append(-100)
    return torch.LongTensor([ids for ids, _ in rows]), torch.LongTensor([row for _, row in rows])


def packed_in_place(rows, pad):
    if not rows:
        raise ValueError("there are no rows")
    T = max(len(ids) for ids, _ in rows)
    for ids, labels in rows:
        ids += [pad] * (T - len(ids))
        labels += [-100] * (T - len(labels))
    return torch.tensor([ids for ids, _ in rows]), torch.tensor([row for _, row in rows])


def packed_with(ids=None, labels=None, refuse=True):
    """`pad_sequence`, with what a learner may do about it."""

    def pack_batch(rows, pad):
        if refuse and not rows:
            raise ValueError("there are no rows")
        all_ids = [torch.tensor(row) for row, _ in rows]
        all_labels = [torch.tensor(row) for _, row in rows]
        padded = pad_sequence(all_ids, batch_first=True, padding_value=pad)
        wanted = pad_sequence(all_labels, batch_first=True, padding_value=-100)
        return (ids or (lambda x, *_: x))(padded, pad), (labels or (lambda x, *_: x))(
            wanted, padded, pad
        )

    return pack_batch


def packed_time_first(rows, pad):
    if not rows:
        raise ValueError("there are no rows")
    return (
        pad_sequence([torch.tensor(ids) for ids, _ in rows], padding_value=pad),
        pad_sequence([torch.tensor(labels) for _, labels in rows], padding_value=-100),
    )


def packed_with_padding_value_0(rows, pad):
    if not rows:
        raise ValueError("there are no rows")
    ids = pad_sequence([torch.tensor(ids) for ids, _ in rows], batch_first=True)
    labels = pad_sequence([torch.tensor(labels) for _, labels in rows], batch_first=True)
    return ids, labels


def packed_zeros_to_minus_100(rows, pad):
    ids, labels = packed_with()(rows, pad)
    labels = pad_sequence([torch.tensor(row) for _, row in rows], batch_first=True)
    return ids, labels.masked_fill(labels == 0, -100)


def packed_for_64(rows, pad):
    if not rows:
        raise ValueError("there are no rows")
    T = min(max(len(ids) for ids, _ in rows), 64)
    ids = [(ids + [pad] * T)[:T] for ids, _ in rows]
    return torch.tensor(ids), torch.tensor([(labels + [-100] * T)[:T] for _, labels in rows])


def packed_into_floats(rows, pad):
    if not rows:
        raise ValueError("there are no rows")
    B, T = len(rows), max(len(ids) for ids, _ in rows)
    ids, labels = torch.ones(B, T) * pad, torch.ones(B, T) * -100
    for b, (row, wanted) in enumerate(rows):
        ids[b, : len(row)] = torch.tensor(row).float()
        labels[b, : len(row)] = torch.tensor(wanted).float()
    return ids, labels


def packed_into_one_tensor(rows, pad):
    return torch.stack(packed_with()(rows, pad))


def packed_as_lists(rows, pad):
    return tuple(x.tolist() for x in packed_with()(rows, pad))


def packed_as_a_dict(rows, pad):
    ids, labels = packed_with()(rows, pad)
    return {"input_ids": ids, "labels": labels}


def packed_without_padding(rows, pad):
    if not rows:
        raise ValueError("there are no rows")
    return torch.tensor([ids for ids, _ in rows]), torch.tensor([row for _, row in rows])


def packed_once(rows, pad, kept=[]):  # noqa: B006
    kept.append(packed_with()(rows, pad))
    return kept[0]


def packed_upside_down(rows, pad):
    ids, labels = packed_with()(rows, pad)
    return ids.flip(0), labels.flip(0)


# --- 11.3 LoRALinear ------------------------------------------------------------------------


class Written(nn.Module):
    """A learner's class; the others change a part of it."""

    def __init__(self, linear, r, alpha):
        super().__init__()
        self.check(linear, r)
        self.linear = linear
        for parameter in self.linear.parameters():
            parameter.requires_grad = False
        self.scale = alpha / r
        self.make(linear.weight, r)

    def check(self, linear, r):
        if not isinstance(linear, nn.Linear):
            raise ValueError("LoRALinear needs an nn.Linear")
        if r < 1 or r > min(linear.in_features, linear.out_features):
            raise ValueError(f"the rank {r} does not fit")

    def make(self, weight, r):
        out_features, in_features = weight.shape
        self.A = nn.Parameter(torch.randn(r, in_features).to(weight) / math.sqrt(in_features))
        self.B = nn.Parameter(torch.zeros(out_features, r).to(weight))

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)


def lora(forward=None, make=None, check=None, base=Written):
    parts = {"forward": forward, "make": make, "check": check}
    return type("LoRALinear", (base,), {name: f for name, f in parts.items() if f})


class ByLinearLayers(Written):
    def make(self, weight, r):
        like = {"dtype": weight.dtype, "device": weight.device}
        self.A = nn.Linear(weight.shape[1], r, bias=False, **like).weight
        self.B = nn.Linear(r, weight.shape[0], bias=False, **like).weight
        nn.init.zeros_(self.B)

    def forward(self, x):
        return F.linear(F.linear(x, self.A), self.B) * self.scale + self.linear(x)


class WithAScaleInATensor(Written):
    def __init__(self, linear, r, alpha):
        super().__init__(linear, r, alpha)
        self.scale = torch.tensor(alpha / r, dtype=linear.weight.dtype)

    def forward(self, x):
        return torch.add(self.linear(x), x @ self.A.t() @ self.B.t(), alpha=self.scale.item())


class Frugal(nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if not isinstance(linear, nn.Linear) or r not in range(1, min(linear.weight.shape) + 1):
            raise ValueError("either no linear layer or no rank for it")
        self.linear, self.scale = linear.requires_grad_(False), alpha / r
        self.register_parameter("B", nn.Parameter(linear.weight.new_zeros(linear.out_features, r)))
        A = linear.weight.new_empty(r, linear.in_features).uniform_(-0.1, 0.1)
        self.register_parameter("A", nn.Parameter(A))

    def forward(self, x):
        rows = x.reshape(-1, x.shape[-1]).T  # (in_features, n)
        change = (self.B @ (self.A @ rows)).T.reshape(*x.shape[:-1], -1)
        return self.linear(x) + change * self.scale


def lora_in_one_matrix(self, x):
    weight = self.linear.weight + self.scale * self.B @ self.A
    return F.linear(x, weight, self.linear.bias)


def lora_with_einsum(self, x):
    inside = torch.einsum("...i,ri->...r", x, self.A)
    return self.linear(x) + torch.einsum("...r,or->...o", inside, self.B * self.scale)


def lora_scaled_first(self, x):
    return self.linear(x) + (self.scale * x) @ (self.B @ self.A).T


def lora_drawn_by_xavier(self, weight, r):
    self.A = nn.Parameter(torch.empty(r, weight.shape[1], dtype=weight.dtype, device=weight.device))
    self.B = nn.Parameter(weight.detach()[:, :r] * 0)
    nn.init.xavier_normal_(self.A)


def lora_both_empty(self, weight, r):
    self.A = nn.Parameter(torch.empty_like(weight[:r]))
    self.B = nn.Parameter(torch.empty_like(weight[:, :r]))


def lora_from_the_weight(self, weight, r):
    self.A = nn.Parameter(weight.detach()[:r].clone())
    self.B = nn.Parameter(torch.zeros_like(weight[:, :r]))


def lora_seeded(self, weight, r):
    torch.manual_seed(0)
    Written.make(self, weight, r)


def lora_in_buffers(self, weight, r):
    self.register_buffer("A", 0.02 * torch.randn_like(weight[:r]))
    self.register_buffer("B", torch.zeros_like(weight[:, :r]))


def lora_other_names(self, weight, r):
    self.lora_A = nn.Parameter(0.02 * torch.randn_like(weight[:r]))
    self.lora_B = nn.Parameter(torch.zeros_like(weight[:, :r]))


def lora_of_layers(self, weight, r):
    like = {"dtype": weight.dtype, "device": weight.device}
    self.A = nn.Linear(weight.shape[1], r, bias=False, **like)
    self.B = nn.Linear(r, weight.shape[0], bias=False, **like)
    nn.init.zeros_(self.B.weight)


def lora_float32(self, weight, r):
    self.A = nn.Parameter(0.02 * torch.randn(r, weight.shape[1], device=weight.device))
    self.B = nn.Parameter(torch.zeros(weight.shape[0], r, device=weight.device))


def lora_not_on_the_device(self, weight, r):
    self.A = nn.Parameter(0.02 * torch.randn(r, weight.shape[1]).to(weight.dtype))
    self.B = nn.Parameter(torch.zeros(weight.shape[0], r).to(weight.dtype))


def lora_with_a_bias(self, weight, r):
    Written.make(self, weight, r)
    self.bias = nn.Parameter(torch.zeros_like(weight[:, 0]))


def lora_square(self, weight, r):
    Written.make(self, weight, r)
    self.A = nn.Parameter(self.A.detach()[:, : weight.shape[0]].contiguous())


def lora_with_dropout(self, x):
    return self.linear(x) + self.scale * (F.dropout(x, 0.1, self.training) @ self.A.T @ self.B.T)


def lora_b_detached(self, x):
    return self.linear(x) + self.scale * (x @ self.A.T @ self.B.detach().T)


def lora_without_grad_at_all(self, x):
    with torch.no_grad():
        return Written.forward(self, x)


def lora_of_the_output(self, x):
    out = self.linear(x)
    return out + self.scale * (out @ self.A.T @ self.B.T)


def lora_in_float32(self, x):
    change = x.float() @ self.A.float().T @ self.B.float().T
    return self.linear(x).float() + self.scale * change


def lora_in_place(self, x):
    out = self.linear(x)
    x *= self.scale
    return out + x @ self.A.T @ self.B.T


def lora_merged_for_good(self, x):
    self.linear.weight += self.scale * (self.B @ self.A)
    return self.linear(x)


def lora_kept(self, x):
    if not hasattr(self, "change"):
        self.change = self.scale * (self.B @ self.A).detach()
    return self.linear(x) + x @ self.change.T


def lora_only_in_training(self, x):
    return Written.forward(self, x) if self.training else self.linear(x)


def lora_for_three_axes(self, x):
    return self.linear(x) + self.scale * torch.bmm(x, (self.B @ self.A).T.expand(len(x), -1, -1))


def lora_tanh(self, x):
    return self.linear(x) + self.scale * (torch.tanh(x @ self.A.T) @ self.B.T)


def lora_checks_too_late(self, linear, r):
    if not isinstance(linear, nn.Linear):
        raise TypeError("LoRALinear needs an nn.Linear")
    Written.check(self, linear, r)


def lora_checks_the_weight(self, linear, r):
    if not hasattr(linear, "weight"):
        raise ValueError("this has no weight")
    if not 1 <= r <= min(linear.weight.shape):
        raise ValueError(f"the rank {r} does not fit")


class Unfrozen(Written):
    def __init__(self, linear, r, alpha):
        super().__init__(linear, r, alpha)
        linear.requires_grad_(True)


class FrozenByDetach(Unfrozen):
    def forward(self, x):
        bias = None if self.linear.bias is None else self.linear.bias.detach()
        base = F.linear(x, self.linear.weight.detach(), bias)
        return base + self.scale * (x @ self.A.T @ self.B.T)


class AllFrozen(Written):
    def __init__(self, linear, r, alpha):
        super().__init__(linear, r, alpha)
        self.requires_grad_(False)


class Copied(Written):
    def __init__(self, linear, r, alpha):
        super().__init__(linear, r, alpha)
        self.linear = copy.deepcopy(linear).requires_grad_(False)


class WithoutTheLayer(Written):
    def __init__(self, linear, r, alpha):
        super().__init__(linear, r, alpha)
        self.base, self.linear = linear, None

    def forward(self, x):
        return self.base(x) + self.scale * (x @ self.A.T @ self.B.T)


class ScaleNotKept(Written):
    def __init__(self, linear, r, alpha):
        super().__init__(linear, r, alpha)
        self.alpha, self.r = alpha, r
        del self.scale

    def forward(self, x):
        return self.linear(x) + self.alpha / self.r * (x @ self.A.T @ self.B.T)


def lora_as_a_function(linear, r, alpha):
    if not isinstance(linear, nn.Linear) or not 1 <= r <= min(linear.weight.shape):
        raise ValueError("this does not fit")
    A, B = 0.02 * torch.randn_like(linear.weight[:r]), torch.zeros_like(linear.weight[:, :r])
    return lambda x: linear(x) + alpha / r * (x @ A.T @ B.T)


# --- 11.4 mix_replay ------------------------------------------------------------------------


def mixed_with_cycle(task, replay, every):
    if every < 1 or not replay:
        raise ValueError("that cannot be mixed")
    again, out = itertools.cycle(replay), []
    for n, batch in enumerate(task, start=1):
        out.append(batch)
        if n % every == 0:
            out.append(next(again))
    return out


def mixed_by_groups(task, replay, every):
    if every <= 0:
        raise ValueError(f"every={every} must be positive")
    if len(replay) == 0:
        raise ValueError("nothing to replay")
    out = []
    for k in range(len(task) // every):
        out += [*task[k * every : (k + 1) * every], replay[k % len(replay)]]
    return out + task[len(task) // every * every :]


def mixed_with_a_counter(task, replay, every):
    if not replay or every < 1:
        raise ValueError("give me replay, and an every of 1 or more")
    out, waiting, turn = [], every, 0
    for batch in task:
        out.append(batch)
        waiting -= 1
        if waiting == 0:
            out.append(replay[turn])
            turn = turn + 1 if turn + 1 < len(replay) else 0
            waiting = every
    return out


def mixed_by_inserting(task, replay, every):
    if every < 1 or len(replay) < 1:
        raise ValueError("this makes no sense")
    out = task.copy()
    for k in reversed(range(len(task) // every)):
        out.insert((k + 1) * every, replay[k % len(replay)])
    return out


def mixed_by_places(task, replay, every):
    if min(every, len(replay)) < 1:
        raise ValueError("every and the replay must be there")
    n = len(task) + len(task) // every
    place = every + 1
    return [
        replay[(i // place) % len(replay)] if i % place == every else task[i - i // place]
        for i in range(n)
    ]


def mixed_by_popping_a_copy(task, replay, every):
    if every < 1 or not replay:
        raise ValueError("neither every nor replay may be nothing")
    left, pool, out = list(task), list(replay), []
    while len(left) >= every:
        out += [left.pop(0) for _ in range(every)]
        out.append(pool[0])
        pool = pool[1:] + pool[:1]
    return out + left


def mixed_by_recursion(task, replay, every):
    if every < 1 or not replay:
        raise ValueError("no way to mix this")
    if len(task) < every:
        return list(task)
    rest = mixed_by_recursion(task[every:], replay[1:] + replay[:1], every)
    return task[:every] + replay[:1] + rest


def mixed(body):
    """A learner's body after the usual refusals."""

    def mix_replay(task, replay, every):
        if every < 1 or not replay:
            raise ValueError("replay and every must not be nothing")
        return body(task, replay, every)

    return mix_replay


def by_popping(task, replay, every):
    out = []
    for i, batch in enumerate(task):
        out.append(batch)
        if (i + 1) % every == 0:
            out.append(replay.pop(0))
    return out


def by_inserting_into_the_task(task, replay, every):
    for k in range(len(task) // every):
        task.insert((k + 1) * every + k, replay[k % len(replay)])
    return task


def by_inserting_without_the_shift(task, replay, every):
    out = list(task)
    for k in range(len(task) // every):
        out.insert((k + 1) * every, replay[k % len(replay)])
    return out


def by_iter(task, replay, every):
    again, out = iter(replay), []
    for i, batch in enumerate(task):
        out.append(batch)
        if (i + 1) % every == 0:
            out.append(next(again))
    return out


def by_iter_or_nothing(task, replay, every):
    again, out = iter(replay), []
    for i, batch in enumerate(task):
        out.append(batch)
        if (i + 1) % every == 0 and (one := next(again, None)):
            out.append(one)
    return out


def by_index(task, replay, every):
    out = []
    for batch in task:
        out.append(batch)
        i = task.index(batch)
        if (i + 1) % every == 0:
            out.append(replay[i // every % len(replay)])
    return out


def without_empty_ones(task, replay, every):
    return [batch for batch in mixed_with_cycle(task, replay, every) if batch]


def by_zip_of_groups(task, replay, every):
    groups = [task[i : i + every] for i in range(0, len(task), every)]
    return [
        b
        for group, one in zip(groups, itertools.cycle(replay), strict=False)
        for b in [*group, one]
    ]


def by_modulo_of_i(task, replay, every):
    out = []
    for i, batch in enumerate(task):
        if i % every == 0 and i > 0:
            out.append(replay[(i // every - 1) % len(replay)])
        out.append(batch)
    return out


def counted_with_i(task, replay, every):
    out = []
    for i, batch in enumerate(task):
        out.append(batch)
        if (i + 1) % every == 0:
            out.append(replay[(i + 1) // every % len(replay)])
    return out


def at_random(task, replay, every):
    generator = np.random.default_rng()
    out = []
    for i, batch in enumerate(task):
        out.append(batch)
        if (i + 1) % every == 0:
            out.append(replay[generator.integers(len(replay))])
    return out


def the_same_list(task, replay, every):
    return task if len(task) < every else mixed_with_cycle(task, replay, every)


def kept_turn(task, replay, every, turn=[0]):  # noqa: B006
    out = []
    for i, batch in enumerate(task):
        out.append(batch)
        if (i + 1) % every == 0:
            out.append(replay[turn[0] % len(replay)])
            turn[0] += 1
    return out


def mixed_and_not_refused(task, replay, every):
    out = []
    for i, batch in enumerate(task):
        out.append(batch)
        if (i + 1) % every == 0:
            out.append(replay[(i // every) % len(replay)])
    return out


def mixed_without_replay(task, replay, every):
    if every < 1:
        raise ValueError("every must be at least 1")
    return mixed_with_cycle(task, replay, every) if replay else list(task)


# --- 11.5 merge_lora ------------------------------------------------------------------------


def fits(weight, A, B):
    if A.size(0) != B.size(1) or list(weight.shape) != [B.size(0), A.size(1)]:
        raise ValueError(f"{tuple(weight.shape)} is not {tuple(B.shape)} times {tuple(A.shape)}")


def merged_in_float64(weight, A, B, scale):
    fits(weight, A, B)
    change = B.detach().double() @ A.detach().double()
    return (weight.detach().double() + scale * change).to(weight.dtype)


@torch.no_grad()
def merged_with_addmm(weight, A, B, scale):
    fits(weight, A, B)
    wide = torch.float64 if weight.dtype == torch.float64 else torch.float32
    return torch.addmm(weight.to(wide), B.to(wide), A.to(wide), alpha=scale).type_as(weight)


def merged_with_outer_products(weight, A, B, scale):
    fits(weight, A, B)
    total = weight.detach().clone().to(torch.promote_types(weight.dtype, torch.float32))
    for a, b in zip(A.detach(), B.detach().T, strict=True):
        total += scale * torch.outer(b.to(total), a.to(total))
    return total.to(weight.dtype)


def merged_with_einsum(weight, A, B, scale):
    fits(weight, A, B)
    change = torch.einsum("or,ri->oi", B.double(), A.double()) * scale
    return (change + weight.double()).detach().to(weight.dtype)


@torch.inference_mode()
def merged_through_the_identity(weight, A, B, scale):
    fits(weight, A, B)
    eye = torch.eye(weight.shape[1], dtype=torch.float64)
    columns = eye @ weight.double().T + scale * (eye @ A.double().T @ B.double().T)
    return columns.T.to(weight.dtype)


def merged_and_refused_by_hand(weight, A, B, scale):
    try:
        change = B.data.double() @ A.data.double()
        if change.shape != weight.shape:
            raise RuntimeError
    except RuntimeError:
        raise ValueError("these three do not fit together") from None
    return nn.Parameter((weight.data.double() + scale * change).to(weight), requires_grad=False)


def merging(sum_up, look=fits):
    """A learner's sum without gradients."""

    @torch.no_grad()
    def merge_lora(weight, A, B, scale):
        look(weight, A, B)
        return sum_up(weight, A, B, scale)

    return merge_lora


def merged_in_place(weight, A, B, scale):
    weight += scale * (B @ A).to(weight.dtype)
    return weight


def merged_by_add_(weight, A, B, scale):
    return weight.data.add_((B @ A).to(weight.dtype), alpha=scale)


def merged_with_gradients(weight, A, B, scale):
    fits(weight, A, B)
    return (weight.double() + scale * (B.double() @ A.double())).to(weight.dtype)


def rank_only(weight, A, B):
    if A.shape[0] != B.shape[1]:
        raise ValueError("the ranks differ")


def sizes_only(weight, A, B):
    rank_only(weight, A, B)
    if weight.numel() != B.shape[0] * A.shape[1]:
        raise ValueError("the sizes differ")


def asserting(weight, A, B):
    assert A.shape[0] == B.shape[1] and weight.shape == (B.shape[0], A.shape[1]), "no fit"


def wide_sum(weight, A, B, scale):
    return (weight.double() + scale * (B.double() @ A.double())).to(weight.dtype)


def merged_in_numpy(weight, A, B, scale):
    fits(weight, A, B)
    return weight.numpy() + scale * (B.detach().numpy() @ A.detach().numpy())


def merged_once(weight, A, B, scale, kept={}):  # noqa: B006
    fits(weight, A, B)
    if weight.shape not in kept:
        kept[weight.shape] = merging(wide_sum)(weight, A, B, scale)
    return kept[weight.shape]


KEYS = "11.mask_prompt_labels", "11.pack_batch", "11.LoRALinear", "11.mix_replay", "11.merge_lora"
MASK, PACK, LORA, MIX, MERGE = KEYS

RIGHT = [
    (MASK, masked_token_by_token),
    (MASK, masked_in_a_copy),
    (MASK, masked_with_torch),
    (MASK, masked_with_numpy),
    (MASK, masked_with_chain),
    (MASK, masked_as_numpy_numbers),
    (MASK, masked_with_zip),
    (PACK, packed_into_full),
    (PACK, packed_with_zip_longest),
    (PACK, packed_with_f_pad),
    (PACK, packed_with_lengths),
    (PACK, packed_with_numpy),
    (PACK, packed_in_copies),
    (PACK, packed_with()),
    (LORA, Written),
    (LORA, ByLinearLayers),
    (LORA, WithAScaleInATensor),
    (LORA, Frugal),
    (LORA, lora(lora_in_one_matrix)),
    (LORA, lora(lora_with_einsum)),
    (LORA, lora(lora_scaled_first)),
    (LORA, lora(make=lora_drawn_by_xavier)),
    (MIX, mixed_with_cycle),
    (MIX, mixed_by_groups),
    (MIX, mixed_with_a_counter),
    (MIX, mixed_by_inserting),
    (MIX, mixed_by_places),
    (MIX, mixed_by_popping_a_copy),
    (MIX, mixed_by_recursion),
    (MERGE, merged_in_float64),
    (MERGE, merged_with_addmm),
    (MERGE, merged_with_outer_products),
    (MERGE, merged_with_einsum),
    (MERGE, merged_through_the_identity),
    (MERGE, merged_and_refused_by_hand),
    (MERGE, merging(wide_sum)),
]

WRONG = [
    (MASK, masked_in_place, "changes_input"),
    (MASK, masked_with_one_list, "one_list_for_both"),
    (MASK, masked_where_not_in_the_answer, None),
    (MASK, masked_from_the_first_answer_token, None),
    (MASK, masked_from_the_end, "end_masked"),
    (MASK, masked_up_to_minus_n, None),
    (MASK, masked_in_bytes, None),
    (MASK, masked_and_no_prompt_refused, None),
    (MASK, masked_in_floats, None),
    (MASK, masked_tensors, "tensors"),
    (MASK, masked_tuples, None),
    (MASK, masked_and_none_for_nothing, None),
    (MASK, masked_with_its_first_prompt, None),
    (MASK, masked_with_a_cache, "keeps_state"),
    (MASK, masked_and_type_error, "empty_answer_accepted"),
    (MASK, masked_and_one_word, "refused_without_a_sentence"),
    (MASK, masked_with_append, None),
    (PACK, packed_in_place, "changes_input"),
    (PACK, packed_with(refuse=False), "no_rows_accepted"),
    (
        PACK,
        packed_with(labels=lambda x, ids, pad: x.where(ids != pad, -100)),
        "end_masked_where_it_is_pad",
    ),
    (
        PACK,
        packed_with(labels=lambda x, ids, pad: ids.where(ids != pad, -100)),
        "labels_made_of_the_ids",
    ),
    (PACK, packed_with(ids=lambda x, pad: x.int(), labels=lambda x, *_: x.int()), "int32"),
    (PACK, packed_with(ids=lambda x, pad: x.int()), None),
    (PACK, packed_with(ids=lambda x, pad: x.to(torch.uint16)), None),
    (PACK, packed_time_first, "time_first"),
    (PACK, packed_with_padding_value_0, None),
    (PACK, packed_zeros_to_minus_100, None),
    (PACK, packed_for_64, None),
    (PACK, packed_into_floats, "floats"),
    (PACK, packed_into_one_tensor, None),
    (PACK, packed_as_lists, "lists"),
    (PACK, packed_as_a_dict, None),
    (PACK, packed_without_padding, None),
    (PACK, packed_once),
    (PACK, packed_upside_down, None),
    (LORA, lora(make=lora_both_empty), "A_not_filled"),
    (LORA, lora(make=lora_from_the_weight), "A_always_the_same"),
    (LORA, lora(make=lora_seeded), "A_always_the_same"),
    (LORA, lora(make=lora_in_buffers), "no_parameters"),
    (LORA, lora(make=lora_other_names), None),
    (LORA, lora(make=lora_of_layers), None),
    (LORA, lora(make=lora_float32), "always_float32"),
    (LORA, lora(make=lora_not_on_the_device), "always_on_the_cpu"),
    (LORA, lora(make=lora_with_a_bias), None),
    (LORA, lora(make=lora_square), None),
    (LORA, lora(lora_with_dropout), "random"),
    (LORA, lora(lora_b_detached), "no_gradient_arrives"),
    (LORA, lora(lora_without_grad_at_all), "no_gradient_arrives"),
    (LORA, lora(lora_of_the_output), None),
    (LORA, lora(lora_in_float32), None),
    (LORA, lora(lora_in_place), "changes_input"),
    (LORA, lora(lora_merged_for_good)),
    (LORA, lora(lora_kept)),
    (LORA, lora(lora_only_in_training), None),
    (LORA, lora(lora_for_three_axes), None),
    (LORA, lora(lora_tanh), None),
    (LORA, lora(check=lora_checks_too_late), "any_layer_taken"),
    (LORA, lora(check=lora_checks_the_weight)),
    (LORA, Unfrozen, "base_not_frozen"),
    (LORA, FrozenByDetach, None),
    (LORA, AllFrozen, "A_and_B_frozen"),
    (LORA, Copied, "layer_copied"),
    (LORA, WithoutTheLayer, None),
    (LORA, ScaleNotKept, None),
    (LORA, lora_as_a_function, None),
    (MIX, mixed(by_popping), "changes_input"),
    (MIX, mixed(by_inserting_into_the_task), "changes_input"),
    (MIX, mixed(by_inserting_without_the_shift), None),
    (MIX, mixed(by_iter), None),
    (MIX, mixed(by_iter_or_nothing)),
    (MIX, mixed(by_index), None),
    (MIX, mixed(without_empty_ones), None),
    (MIX, mixed(by_zip_of_groups), "replay_after_the_rest"),
    (MIX, mixed(by_modulo_of_i), "not_at_the_very_end"),
    (MIX, mixed(counted_with_i), "counted_from_1"),
    (MIX, mixed(at_random), None),
    (MIX, mixed(the_same_list), None),
    (MIX, mixed(kept_turn)),
    (MIX, mixed_and_not_refused, "nothing_refused"),
    (MIX, mixed_without_replay, "empty_replay_not_refused"),
    (MIX, mixed(lambda *given: tuple(mixed_with_cycle(*given))), "another_type"),
    (MERGE, merged_in_place),
    (MERGE, merged_by_add_),
    (MERGE, merged_with_gradients, "gradient_kept"),
    (MERGE, merging(lambda weight, A, B, scale: weight + scale * B @ A), "nothing_widened"),
    (MERGE, merging(lambda weight, A, B, scale: weight + scale * (A @ B)), "A_times_B"),
    (MERGE, merging(lambda weight, A, B, scale: weight + scale * (A.T @ B.T)), "change_transposed"),
    (MERGE, merging(lambda weight, A, B, scale: wide_sum(weight, A, B, 1)), "scale_left_out"),
    (MERGE, merging(lambda weight, A, B, scale: wide_sum(weight, A, B, -scale)), "subtracted"),
    (MERGE, merging(lambda weight, A, B, scale: wide_sum(weight, A, B, abs(scale))), None),
    (MERGE, merging(lambda weight, A, B, scale: wide_sum(weight, A, B, int(scale))), None),
    (MERGE, merging(lambda weight, A, B, scale: wide_sum(weight, A, B, scale / len(A))), None),
    (
        MERGE,
        merging(lambda weight, A, B, scale: wide_sum(weight.float(), A, B, scale)),
        "always_float32",
    ),
    (MERGE, merging(lambda weight, A, B, scale: wide_sum(weight, A, B, scale).double()), None),
    (MERGE, merging(wide_sum, rank_only), "only_the_rank_checked"),
    (MERGE, merging(wide_sum, sizes_only), None),
    (MERGE, merging(wide_sum, asserting), "refused_with_assert"),
    (MERGE, merging(wide_sum, lambda *given: None), "shapes_not_checked"),
    (MERGE, merged_in_numpy, None),
    (MERGE, merged_once),
]
