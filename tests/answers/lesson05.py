"""Answers to lesson 05: right ones in an unusual style, and mistakes that nobody listed."""

import functools

import torch
from torch import nn


class GivenBlock(nn.Module):
    def __init__(self, d_model, n_heads, d_ff):
        super().__init__()
        self.self_attention = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
        self.cross_attention = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
        self.feed_forward = nn.Sequential(
            nn.Linear(d_model, d_ff), nn.ReLU(), nn.Linear(d_ff, d_model)
        )
        self.norm1 = nn.LayerNorm(d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.norm3 = nn.LayerNorm(d_model)


class BlockByHand(GivenBlock):
    def heads(self, attention, q, k, v, hidden):
        weights, biases = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
        q, k, v = (
            nn.functional.linear(x, w, b).unflatten(-1, (attention.num_heads, -1))
            for x, w, b in zip((q, k, v), weights, biases, strict=True)
        )
        scores = torch.einsum("bihc,bjhc->bhij", q, k) / q.shape[-1] ** 0.5
        scores = scores.masked_fill(hidden, -1e9).softmax(-1)
        return attention.out_proj(torch.einsum("bhij,bjhc->bihc", scores, v).flatten(2))

    def forward(self, y, memory, mask=None):
        t = torch.arange(y.shape[1])
        mask = torch.ones(memory.shape[:2]).bool() if mask is None else mask
        y = self.norm1(self.heads(self.self_attention, y, y, y, t > t[:, None]) + y)
        y = self.norm2(
            self.heads(self.cross_attention, y, memory, memory, ~mask[:, None, None]) + y
        )
        return self.norm3(self.feed_forward(y) + y)


class BlockSentenceBySentence(GivenBlock):
    """No padding mask: padding is cut off."""

    def forward(self, y, memory, mask=None):
        rows, T = [], y.shape[1]
        for i in range(len(y)):
            source = memory[i] if mask is None else memory[i][mask[i]]
            words = []
            for t in range(T):  # no causal mask either: each word gets its past
                words.append(self.self_attention(y[i, t : t + 1], *[y[i, : t + 1]] * 2)[0])
            x = self.norm1(y[i] + torch.cat(words))
            x = self.norm2(x + self.cross_attention(x, source, source)[0])
            rows.append(self.norm3(x + self.feed_forward(x)))
        return torch.stack(rows)


class BlockWithFloatMasks(GivenBlock):
    def forward(self, y, memory, mask=None):
        T, S = y.shape[1], memory.shape[1]
        future = nn.Transformer.generate_square_subsequent_mask(T)
        a, _ = self.self_attention(y, y, y, attn_mask=future, is_causal=True, need_weights=False)
        x = self.norm1(torch.add(a, y))
        if mask is not None:
            hidden = torch.zeros(len(y), T, S).masked_fill(~mask[:, None], -torch.inf)
            hidden = hidden.repeat_interleave(self.cross_attention.num_heads, dim=0)
        else:
            hidden = None
        b, _ = self.cross_attention(x, memory, memory, attn_mask=hidden, need_weights=False)
        x = self.norm2(x + b)
        return self.norm3(self.feed_forward(x).add_(x))


class BlockAsALayer(GivenBlock):
    def forward(self, y, memory, mask=None):
        d_model, d_ff = y.shape[-1], self.feed_forward[0].out_features
        heads = self.self_attention.num_heads
        layer = nn.TransformerDecoderLayer(d_model, heads, d_ff, dropout=0.0, batch_first=True)
        names = {"self_attention": "self_attn", "cross_attention": "multihead_attn"}
        names |= {"feed_forward.0": "linear1", "feed_forward.2": "linear2"}
        weights = {}
        for name, weight in self.named_parameters():
            for old, new in names.items():
                name = name.replace(old, new)
            weights[name] = weight
        hidden = None if mask is None else torch.logical_not(mask)
        future = torch.full((y.shape[1],) * 2, True).triu(1)
        masks = {"tgt_mask": future, "memory_key_padding_mask": hidden}
        return torch.func.functional_call(layer, weights, (y, memory), masks)


class BlockWithKeysOnlyFromMemory(GivenBlock):
    """The memory is zeroed where it is padding, which hides nothing."""

    def forward(self, y, memory, mask=None):
        future = torch.ones(y.shape[1], y.shape[1], dtype=torch.bool).triu(1)
        memory = memory if mask is None else memory * mask[..., None]
        y = self.norm1(y + self.self_attention(y, y, y, attn_mask=future)[0])
        y = self.norm2(y + self.cross_attention(y, memory, memory)[0])
        return self.norm3(y + self.feed_forward(y))


class BlockWithMaskInEncoder(GivenBlock):
    """The two masks have changed places."""

    def forward(self, y, memory, mask=None):
        hidden = None if mask is None else ~mask
        y = self.norm1(y + self.self_attention(y, y, y, key_padding_mask=hidden)[0])
        y = self.norm2(y + self.cross_attention(y, memory, memory)[0])
        return self.norm3(y + self.feed_forward(y))


class BlockForgettingMaskNone(GivenBlock):
    def forward(self, y, memory, mask=None):
        future = torch.ones(y.shape[1], y.shape[1], dtype=torch.bool).triu(1)
        y = self.norm1(y + self.self_attention(y, y, y, attn_mask=future)[0])
        y = self.norm2(y + self.cross_attention(y, memory, memory, key_padding_mask=~mask)[0])
        return self.norm3(y + self.feed_forward(y))


class GivenModel(nn.Module):
    def __init__(
        self, vocab_size, d_model=128, n_heads=4, d_ff=256, n_layers=2, max_T=64, pad_id=0
    ):
        super().__init__()
        self.pad_id = pad_id
        self.tokens = nn.Embedding(vocab_size, d_model)
        self.positions = nn.Embedding(max_T, d_model)
        layer = nn.TransformerEncoderLayer(d_model, n_heads, d_ff, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, n_layers, enable_nested_tensor=False)
        self.decoder = nn.ModuleList(BlockByHand(d_model, n_heads, d_ff) for _ in range(n_layers))
        self.out = nn.Linear(d_model, vocab_size)

    def embed(self, ids):
        return self.tokens(ids) + self.positions.weight[: ids.shape[1]]

    def encode(self, source):
        return self.encoder(self.embed(source), src_key_padding_mask=source == self.pad_id)

    def forward(self, source, y):
        return self.decode(y, self.encode(source), source)


class ModelFolded(GivenModel):
    def decode(self, y, memory, source):
        real = source.ne(self.pad_id)
        x = functools.reduce(lambda x, block: block(x, memory, real), self.decoder, self.embed(y))
        return nn.functional.linear(x, self.out.weight, self.out.bias)


class ModelThatEncodesAgain(GivenModel):
    def encode(self, source):
        x = self.embed(source)
        for layer in self.encoder.layers:
            x = layer(x, src_key_padding_mask=(source == self.pad_id))
        return x

    def decode(self, y, memory, source):
        memory = self.encode(source)
        x = self.embed(y)
        for i in range(len(self.decoder)):
            x = self.decoder[i](x, memory, ~(source == self.pad_id))
        return self.out(x)


class ModelSentenceBySentence(GivenModel):
    """Without a mask anywhere; the memory is filled up with zeros."""

    def encode(self, source):
        rows = [
            self.encoder(self.embed(row[row != self.pad_id][None]))
            if row[-1] == self.pad_id
            else self.encoder(self.embed(row[None]))
            for row in source
        ]
        longest = source.shape[1]
        rows = [nn.functional.pad(row, (0, 0, 0, longest - row.shape[1])) for row in rows]
        return torch.cat(rows)

    def decode(self, y, memory, source):
        logits = []
        for i, row in enumerate(source):
            x = self.embed(y[i : i + 1])
            for block in self.decoder:
                x = block(x, memory[i : i + 1, row != self.pad_id])
            logits.append(self.out(x))
        return torch.cat(logits)


class ModelPositionByPosition(GivenModel):
    def decode(self, y, memory, source):
        last = []
        for t in range(1, y.shape[1] + 1):
            x = self.tokens(y[:, :t]) + self.positions(torch.arange(t))
            for block in self.decoder:
                x = block(x, memory, source != self.pad_id)
            last.append(self.out(x[:, -1]))
        return torch.stack(last, dim=1)


class ModelWithPositionsTwice(GivenModel):
    def decode(self, y, memory, source):
        x = self.embed(y) + self.positions.weight[: y.shape[1]]
        for block in self.decoder:
            x = block(x, memory, source != self.pad_id)
        return self.out(x)


class ModelWithMaskInFirstBlockOnly(GivenModel):
    def decode(self, y, memory, source):
        x = self.decoder[0](self.embed(y), memory, source != self.pad_id)
        for block in self.decoder[1:]:
            x = block(x, memory)
        return self.out(x)


class ModelReversed(GivenModel):
    def decode(self, y, memory, source):
        x = self.embed(y)
        for block in reversed(self.decoder):
            x = block(x, memory, source != self.pad_id)
        return self.out(x)


class ModelWithTwoMistakes(GivenModel):
    """Padding seen by the encoder, probabilities returned by the decoder."""

    def encode(self, source):
        return self.encoder(self.embed(source))

    def decode(self, y, memory, source):
        x = self.embed(y)
        for block in self.decoder:
            x = block(x, memory, source != self.pad_id)
        return self.out(x).softmax(-1)


class ModelReturningArgmax(ModelFolded):
    def decode(self, y, memory, source):
        return super().decode(y, memory, source).argmax(-1)


class ModelWithMemoryAdded(GivenModel):
    """The bottleneck: one vector for the whole source."""

    def encode(self, source):
        return super().encode(source).mean(1)

    def decode(self, y, memory, source):
        x = self.embed(y) + memory.mean(1, keepdim=True)
        for block in self.decoder:
            x = block(x, memory, source != self.pad_id)
        return self.out(x)


def shift_rolled(targets, bos_id):
    y = torch.roll(targets, 1)  # over all rows: the first column is written over anyway
    y[:, 0] = bos_id
    return y


def shift_lists(targets, bos_id):
    return torch.tensor([[bos_id, *row][:-1] for row in targets.tolist()])


def shift_gathered(targets, bos_id):
    before = (torch.arange(targets.shape[1]) - 1).clamp(min=0)
    return targets[:, before].masked_fill(torch.arange(targets.shape[1]) == 0, bos_id)


def shift_in_place(targets, bos_id):
    targets[:, 1:] = targets[:, :-1].clone()
    targets[:, 0] = bos_id
    return targets


def shift_smeared(targets, bos_id):
    """A loop that reads what it has just written."""
    y = targets.clone()
    y[:, 0] = bos_id
    for t in range(1, y.shape[1]):
        y[:, t] = y[:, t - 1]
    return y


@torch.no_grad()
def greedy_row_by_row(model, source, bos_id, eos_id, max_T):
    rows = []
    for row in source:
        new = []
        while len(new) < max_T and eos_id not in new:
            logits = model(row[None], torch.tensor([[bos_id, *new]]))
            new.append(logits[0, -1].argmax().item())
        rows.append(new)
    longest = max(len(row) for row in rows)
    return torch.tensor([row + [eos_id] * (longest - len(row)) for row in rows])


@torch.no_grad()
def greedy_with_fewer_and_fewer_rows(model, source, bos_id, eos_id, max_T):
    out = torch.full((source.shape[0], max_T), eos_id)
    left = torch.arange(source.shape[0])
    y = torch.full((source.shape[0], 1), bos_id)
    for t in range(max_T):
        memory = model.encode(source[left])
        token = model.decode(y, memory, source[left])[:, -1].softmax(-1).max(-1).indices
        out[left, t] = token
        on = token != eos_id
        left, y = left[on], torch.cat([y, token[:, None]], dim=1)[on]
        if not len(left):
            return out[:, : t + 1]
    return out


@torch.no_grad()
def greedy_cut_afterwards(model, source, bos_id, eos_id, max_T):
    memory, y = model.encode(source), torch.full((len(source), 1), bos_id)
    for _ in range(max_T):
        y = torch.cat([y, model.decode(y, memory, source).topk(1).indices[:, -1]], dim=1)
    y = y[:, 1:]
    ended = (y == eos_id).cumsum(1) > 0
    y = torch.where(ended, torch.tensor(eos_id), y)
    return y[:, : min(max_T, int((~ended).sum(1).max()) + 1)]


@torch.no_grad()
def greedy_stopping_together(model, source, bos_id, eos_id, max_T, fill=None, sort=False):
    memory, y = model.encode(source), torch.full((len(source), 1), bos_id)
    for _ in range(max_T):
        token = model.decode(y, memory, source)[:, -1].argmax(-1, keepdim=True)
        if fill is not None:
            token = torch.where((y == eos_id).any(1, keepdim=True), fill, token)
        y = torch.cat([token, y] if sort else [y, token], dim=1)
        if (token == eos_id).all():
            break
    return y[:, 1:]


def greedy_with_negative_padding(model, source, bos_id, eos_id, max_T):
    return greedy_stopping_together(model, source, bos_id, eos_id, max_T, fill=torch.tensor(-100))


def greedy_at_once(model, source, bos_id, eos_id, max_T):
    """Every position from the same `bos_id`s."""
    y = torch.full((len(source), max_T), bos_id)
    return model.decode(y, model.encode(source), source).argmax(-1)


def greedy_lists(model, source, bos_id, eos_id, max_T):
    return greedy_row_by_row(model, source, bos_id, eos_id, max_T).tolist()


def greedy_in_front(model, source, bos_id, eos_id, max_T):
    return greedy_stopping_together(model, source, bos_id, eos_id, max_T, sort=True)


def greedy_reading_second_choice(model, source, bos_id, eos_id, max_T):
    memory, y = model.encode(source), torch.full((len(source), 1), bos_id)
    for _ in range(max_T):
        token = model.decode(y, memory, source)[:, -1].topk(2).indices[:, 1:]
        y = torch.cat([y, token], dim=1)
    return y[:, 1:]


@torch.no_grad()
def beams_in_a_batch(model, source, n_beams, bos_id, eos_id, max_T):
    y, sums, finished = torch.tensor([[bos_id]]), torch.zeros(1, dtype=torch.float64), {}
    memory = model.encode(source)
    for step in range(max_T):
        n = len(y)
        logits = model.decode(y, memory.expand(n, -1, -1), source.expand(n, -1))[:, -1].double()
        totals = sums[:, None] + logits.log_softmax(-1)
        vocab_size = totals.shape[1]
        sums, index = totals.flatten().topk(min(2 * n_beams, totals.numel()))
        y = torch.cat([y[index // vocab_size], (index % vocab_size)[:, None]], dim=1)
        ends = y[:, -1] == eos_id
        for i in range(min(n_beams, len(y))):
            if ends[i] or step == max_T - 1:
                finished[tuple(y[i, 1:].tolist())] = sums[i].item()
        y, sums = y[~ends][:n_beams], sums[~ends][:n_beams]
    return [*max(finished, key=finished.get)]


@torch.no_grad()
def beams_stopping_when_nothing_can_win(model, source, n_beams, bos_id, eos_id, max_T):
    """A finished sentence takes a place here: it beats all that it pushes out, so that is right."""
    memory, running, best = model.encode(source), [(0.0, [])], (-float("inf"), None)
    for _ in range(max_T):
        options = []
        for total, tokens in running:
            y = torch.tensor([[bos_id] + tokens])
            more = torch.log(torch.softmax(model.decode(y, memory, source)[0, -1], -1))
            options += [(total + more[i].item(), [*tokens, i]) for i in range(len(more))]
        options = sorted(options, key=lambda option: -option[0])[:n_beams]
        best = max([best, *(o for o in options if o[1][-1] == eos_id)], key=lambda o: o[0])
        running = [o for o in options if o[1][-1] != eos_id]
        if not running or running[0][0] < best[0]:
            return best[1]
    return max([best, *running], key=lambda o: o[0])[1]


@torch.no_grad()
def beams_with_the_finished_carried_along(model, source, n_beams, bos_id, eos_id, max_T):
    beams, memory = [([], 0.0)], model.encode(source)
    for _ in range(max_T):
        options = [beam for beam in beams if eos_id in beam[0]]
        for tokens, total in beams:
            if eos_id not in tokens:
                y = torch.tensor([[bos_id, *tokens]])
                logits = model.decode(y, memory, source)[0, -1]
                more = (logits - logits.logsumexp(0)).tolist()
                options += [(tokens + [i], total + x) for i, x in enumerate(more)]
        beams = sorted(options, key=lambda beam: beam[1], reverse=True)[:n_beams]
    return beams[0][0]


def beams_variant(model, source, n_beams, bos_id, eos_id, max_T, how):
    memory, running, finished = model.encode(source), [(0.0, [])], []
    for _ in range(max_T):
        options = []
        for total, tokens in running:
            start = [] if how == "no bos" else [bos_id]
            y = torch.tensor([(start + tokens) or [eos_id]])
            more = model.decode(y, memory, source)[0, -1].log_softmax(-1)
            more = -more if how == "negative" else more
            options += [(total + x, [*tokens, i]) for i, x in enumerate(more.tolist())]
        options = sorted(options, reverse=how != "ascending")[:n_beams]
        finished += [o for o in options if o[1][-1] == eos_id]
        running = [o for o in options if o[1][-1] != eos_id]
    everything = finished if how == "ended only" else finished + running
    total, tokens = max(everything, default=(0.0, []))
    return {"pair": (tokens, total), "tensor": torch.tensor(tokens), "one": tokens[:1]}.get(
        how, tokens
    )


def beams_wrong(how):
    return lambda *args: beams_variant(*args, how)


def future(T):
    return torch.ones(T, T, dtype=torch.bool).triu(1)


def block(causal=future, hide=lambda mask: None if mask is None else ~mask, found=lambda x: x):
    """The block, with something else for a mask or for what was found in the memory."""

    class Block(GivenBlock):
        def forward(self, y, memory, mask=None):
            y = self.norm1(y + self.self_attention(y, y, y, attn_mask=causal(y.shape[1]))[0])
            out = self.cross_attention(y, memory, memory, key_padding_mask=hide(mask))[0]
            y = self.norm2(y + found(out))
            return self.norm3(y + self.feed_forward(y))

    return Block


def added(number):
    return lambda mask: None if mask is None else torch.zeros(mask.shape).masked_fill(~mask, number)


def future_of(number):
    return lambda T: torch.full((T, T), number).triu(1)


def future_made_once(T, kept=future(40)):  # noqa: B008
    return nn.functional.pad(kept, (0, max(0, T - 40), 0, max(0, T - 40)))[:T, :T]


class BlockKeepingItsFirstFuture(block()):
    def forward(self, y, memory, mask=None):
        if not hasattr(self, "future"):
            self.future = future(y.shape[1])
        kept = self.future if len(self.future) == y.shape[1] else future_made_once(y.shape[1]) * 0
        return block(lambda T: kept.bool()).forward(self, y, memory, mask)


class BlockKeepingItsFirstMask(block()):
    def forward(self, y, memory, mask=None):
        if not hasattr(self, "hidden"):
            self.hidden = None if mask is None else ~mask
        return block(hide=lambda mask: self.hidden).forward(self, y, memory, mask)


class BlockKeepingItsFirstMemory(block()):
    def forward(self, y, memory, mask=None):
        if not hasattr(self, "memory") or self.memory.shape != memory.shape:
            self.memory = memory
        return super().forward(y, self.memory, mask)


class BlockDetachingY(block()):
    def forward(self, y, memory, mask=None):
        return super().forward(y.detach(), memory, mask)


class BlockInEvaluation(block()):
    def forward(self, y, memory, mask=None):
        self.eval()
        return super().forward(y, memory, mask)


class BlockInFloat64(block()):
    def forward(self, y, memory, mask=None):
        return super().forward(y, memory, mask).double()


class ModelKeepingItsFirstMemory(ModelFolded):
    def decode(self, y, memory, source):
        if getattr(self, "memory", memory[:0]).shape != memory.shape:
            self.memory = memory
        return super().decode(y, self.memory, source)


class ModelWithMemoryInSelf(ModelFolded):
    def encode(self, source):
        self.memory = super().encode(source)
        return self.memory

    def decode(self, y, memory, source):
        return super().decode(y, self.memory, source)


class ModelKeepingAMask(ModelFolded):
    def encode(self, source):
        if getattr(self, "padding", source[:0]).shape != source.shape:
            self.padding = source == self.pad_id
        return self.encoder(self.embed(source), src_key_padding_mask=self.padding)


class ModelComparingWithIs(ModelFolded):
    def encode(self, source):
        padding = [[token is self.pad_id for token in row] for row in source.tolist()]
        return self.encoder(self.embed(source), src_key_padding_mask=torch.tensor(padding))


class ModelDetachingTheMemory(ModelFolded):
    def decode(self, y, memory, source):
        return super().decode(y, memory.detach(), source)


class ModelWithAnEmbeddingThatDoesNotLearn(ModelFolded):
    def decode(self, y, memory, source):
        x = self.embed(y).detach()
        for block in self.decoder:
            x = block(x, memory, source != self.pad_id)
        return self.out(x)


class ModelInEvaluation(ModelFolded):
    def encode(self, source):
        self.eval()
        return super().encode(source)

    def decode(self, y, memory, source):
        self.eval()
        return super().decode(y, memory, source)


class ModelWritingIntoItsTable(ModelFolded):
    def encode(self, source):
        self.tokens.weight.data[self.pad_id] = 0
        return super().encode(source)


def greedy(model, source, bos_id, eos_id, max_T, again=False, is_end=lambda t, end: t == end):
    y, memory = torch.full((len(source), 1), bos_id), None if again else model.encode(source)
    ended = torch.zeros(len(source), 1, dtype=torch.bool)
    for _ in range(max_T):
        read = model.encode(source) if again else memory
        token = model.decode(y, read, source)[:, -1].argmax(-1, keepdim=True)
        y = torch.cat([y, torch.where(ended, eos_id, token)], dim=1)
        ended |= torch.tensor([[is_end(t, eos_id)] for (t,) in token.tolist()])
        if ended.all():
            break
    return y[:, 1:]


def greedy_with_each_row_encoded_once(model, source, bos_id, eos_id, max_T):
    rows = [greedy(model, row[None], bos_id, eos_id, max_T)[0] for row in source]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=eos_id)


def greedy_in_evaluation(model, *arguments):
    model.eval()
    return greedy(model, *arguments)


def greedy_by_shape(model, source, *numbers, kept={}):  # noqa: B006
    return kept.setdefault((source.shape, numbers), greedy(model, source, *numbers))


def beams_of_each(model, source, n_beams, bos_id, eos_id, max_T):
    """Keeps n of each beam, not n of all."""
    memory, running, finished = model.encode(source), [(0.0, [])], []
    for step in range(1, max_T + 1):
        best = []
        for total, tokens in running:
            y = torch.tensor([[bos_id, *tokens]])
            more = model.decode(y, memory, source)[0, -1].log_softmax(-1).topk(n_beams)
            pairs = zip(more.values.tolist(), more.indices.tolist(), strict=True)
            best += [(total + x, [*tokens, i]) for x, i in pairs]
        finished += [c for c in best if c[1][-1] == eos_id or step == max_T]
        running = [c for c in best if c[1][-1] != eos_id]
    return max(finished)[1]


def beams_with(how):
    """Beam search whose numbers go through `how` before they are used."""
    return lambda model, source, n, *numbers: beams_variant(
        model, source, n, *how(*numbers), "right"
    )


def beams_in_evaluation(model, *arguments):
    model.eval()
    return beams_variant(model, *arguments, "right")


RIGHT = [
    ("05.shift_right", lambda t, bos_id: torch.hstack([t[:, [0]] * 0 + bos_id, t[:, :-1]])),
    ("05.DecoderBlock", block(future_of(-torch.inf))),
    ("05.DecoderBlock", block(future_of(-1e9), added(-1e9))),
    ("05.greedy_decode", greedy),
    ("05.greedy_decode", greedy_with_each_row_encoded_once),
    ("05.shift_right", lambda t, bos_id: nn.functional.pad(t[:, :-1], (1, 0), value=bos_id)),
    ("05.shift_right", shift_rolled),
    ("05.shift_right", shift_lists),
    ("05.shift_right", shift_gathered),
    ("05.DecoderBlock", BlockByHand),
    ("05.DecoderBlock", BlockSentenceBySentence),
    ("05.DecoderBlock", BlockWithFloatMasks),
    ("05.DecoderBlock", BlockAsALayer),
    ("05.Seq2Seq", ModelFolded),
    ("05.Seq2Seq", ModelSentenceBySentence),
    ("05.Seq2Seq", ModelPositionByPosition),
    ("05.greedy_decode", greedy_cut_afterwards),
    (
        "05.greedy_decode",
        lambda *args: greedy_stopping_together(*args, fill=torch.tensor(args[3])),
    ),
    ("05.beam_search", beams_in_a_batch),
    ("05.beam_search", beams_stopping_when_nothing_can_win),
    ("05.beam_search", beams_with_the_finished_carried_along),
    ("05.beam_search", lambda *args: beams_variant(*args, "right")),
]

WRONG = [
    ("05.Seq2Seq", ModelThatEncodesAgain),
    ("05.shift_right", shift_in_place),
    ("05.shift_right", shift_smeared),
    ("05.shift_right", lambda t, bos_id: torch.cat([torch.tensor([[bos_id]]), t[:, :-1]], dim=1)),
    ("05.shift_right", lambda t, bos_id: t - 1),
    ("05.shift_right", lambda t, bos_id: t.roll(1, dims=0)),
    ("05.shift_right", lambda t, bos_id: torch.cat([torch.full((len(t), 1), bos_id), t[:, :1]], 1)),
    ("05.shift_right", lambda t, bos_id: shift_lists(t, bos_id).tolist()),
    ("05.shift_right", lambda t, bos_id: torch.cat([torch.zeros(len(t), 1), t[:, :-1]], dim=1)),
    ("05.shift_right", lambda t, bos_id: [bos_id] + t[:-1]),
    ("05.DecoderBlock", BlockWithKeysOnlyFromMemory),
    ("05.DecoderBlock", BlockWithMaskInEncoder),
    ("05.DecoderBlock", BlockForgettingMaskNone),
    ("05.Seq2Seq", ModelWithPositionsTwice),
    ("05.Seq2Seq", ModelWithMaskInFirstBlockOnly),
    ("05.Seq2Seq", ModelReversed),
    ("05.Seq2Seq", ModelWithTwoMistakes),
    ("05.Seq2Seq", ModelReturningArgmax),
    ("05.Seq2Seq", ModelWithMemoryAdded),
    ("05.greedy_decode", greedy_stopping_together),
    ("05.greedy_decode", greedy_with_negative_padding),
    ("05.greedy_decode", greedy_at_once),
    ("05.greedy_decode", greedy_lists),
    ("05.greedy_decode", greedy_in_front),
    ("05.greedy_decode", greedy_reading_second_choice),
    ("05.greedy_decode", lambda model, source, *rest: source),
    ("05.beam_search", beams_wrong("no bos")),
    ("05.beam_search", beams_wrong("negative")),
    ("05.beam_search", beams_wrong("ascending")),
    ("05.beam_search", beams_wrong("ended only")),
    ("05.beam_search", beams_wrong("pair")),
    ("05.beam_search", beams_wrong("tensor")),
    ("05.beam_search", beams_wrong("one")),
    ("05.shift_right", lambda t, bos_id: shift_rolled(t, bos_id).to(torch.uint8).long(), None),
    ("05.shift_right", lambda t, bos_id: shift_rolled(t, bos_id).half().long(), None),
    (
        "05.shift_right",
        lambda t, bos_id, kept={}: kept.setdefault(t.shape, shift_rolled(t, bos_id)),
    ),
    ("05.DecoderBlock", block(future_of(-100.0)), None),
    ("05.DecoderBlock", block(hide=added(-100.0)), None),
    ("05.DecoderBlock", block(future_made_once), None),
    ("05.DecoderBlock", BlockKeepingItsFirstFuture),
    ("05.DecoderBlock", BlockKeepingItsFirstMask, "keeps_state"),
    ("05.DecoderBlock", BlockKeepingItsFirstMemory, "keeps_state"),
    ("05.DecoderBlock", BlockDetachingY, "no_gradient_arrives"),
    ("05.DecoderBlock", BlockInEvaluation, "leaves_training_mode"),
    ("05.DecoderBlock", BlockInFloat64, "another_dtype"),
    ("05.DecoderBlock", block(found=nn.functional.dropout), "random"),
    ("05.DecoderBlock", block(found=lambda x: x.detach()), "no_gradient_arrives"),
    ("05.Seq2Seq", ModelKeepingItsFirstMemory, "keeps_state"),
    ("05.Seq2Seq", ModelWithMemoryInSelf, "memory_kept"),
    ("05.Seq2Seq", ModelKeepingAMask, "keeps_state"),
    ("05.Seq2Seq", ModelComparingWithIs, None),
    ("05.Seq2Seq", ModelDetachingTheMemory, "no_gradient_arrives"),
    ("05.Seq2Seq", ModelWithAnEmbeddingThatDoesNotLearn, "no_gradient_arrives"),
    ("05.Seq2Seq", ModelInEvaluation, "leaves_training_mode"),
    ("05.Seq2Seq", ModelWritingIntoItsTable),
    ("05.greedy_decode", greedy_row_by_row, "encoded_again_and_again"),
    ("05.greedy_decode", greedy_with_fewer_and_fewer_rows),
    ("05.greedy_decode", lambda *args: greedy(*args, again=True), "encoded_again_and_again"),
    ("05.greedy_decode", lambda *args: greedy(*args, is_end=lambda t, end: t is end), None),
    ("05.greedy_decode", lambda m, s, bos, eos, n: greedy(m, s, bos, eos or 2, n), None),
    ("05.greedy_decode", lambda *args: greedy(*args).to(torch.uint8), None),
    ("05.greedy_decode", greedy_in_evaluation, "mode_changed"),
    ("05.greedy_decode", greedy_by_shape, "keeps_state"),
    ("05.beam_search", beams_of_each, "n_from_each_beam"),
    ("05.beam_search", beams_with(lambda bos, eos, n: (bos, eos or 2, n)), None),
    ("05.beam_search", beams_with(lambda bos, eos, n: (bos or 1, eos, n)), None),
    ("05.beam_search", beams_in_evaluation, "mode_changed"),
]
