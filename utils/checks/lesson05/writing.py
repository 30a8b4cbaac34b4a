"""Models that write, for exercises 5.4 and 5.5: random ones, a table, and Hugging Face's loop."""

import math
import random
import warnings

import torch
from torch import nn
from transformers import GenerationConfig, GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case
from utils.checks.engine.inputs import seeded

PAD, BOS, EOS = 0, 1, 2


class Writer(PreTrainedModel, GenerationMixin):
    """Any model with `encode` and `decode`, reading one batch of sources, for `generate`."""

    config_class = PreTrainedConfig
    main_input_name = "input_ids"

    def __init__(self, model, source: torch.Tensor, eos_id: int) -> None:
        super().__init__(PreTrainedConfig())
        memory = model.encode(source)

        def logits(y):
            beams = len(y) // len(source)
            return model.decode(
                y, memory.repeat_interleave(beams, 0), source.repeat_interleave(beams, 0)
            )

        self.logits = logits  # a function, so that the model's weights are not registered here
        self.anchor = nn.Parameter(torch.zeros(1, device=source.device))  # says where to compute
        self.generation_config = GenerationConfig(
            eos_token_id=eos_id, pad_token_id=eos_id, use_cache=False
        )

    def forward(self, input_ids, **_):
        """Logits after every token so far: (B, T) -> (B, T, vocab_size)."""
        return CausalLMOutput(logits=self.logits(input_ids))


@torch.no_grad()
def written_by(model, source, bos_id, eos_id, max_T, **options):
    """What Hugging Face's `generate` writes, without the first token."""
    y = torch.full_like(source[:, :1], bos_id)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokens = Writer(model, source, eos_id).generate(
            y,
            attention_mask=torch.ones_like(y),
            do_sample=False,
            max_new_tokens=max_T,
            **options,
        )
    return tokens[:, 1:]


class RandomModel(nn.Module):
    """Encoder and decoder whose logits are drawn at random for every source and beginning.

    No two beginnings share their logits and there are no ties, so that every step that goes wrong
    shows; `end` is added to the logit of the end token. Where `ids` are given, no other token is
    likely. It counts how many rows it has encoded.
    """

    def __init__(self, vocab_size, end, spread, eos_id=EOS, ids=None):
        super().__init__()
        self.vocab_size, self.end, self.spread, self.eos_id = vocab_size, end, spread, eos_id
        self.ids = range(vocab_size) if ids is None else ids
        self.encoded, self.seed = 0, seeded(0)

    def encode(self, source):
        """The ids as numbers: (B, S) -> (B, S, 1)."""
        self.encoded += len(source)
        return source.double()[..., None]

    def decode(self, y, memory, source):
        """Logits (B, T, vocab_size) that depend on all ids so far."""
        if not len(y) == len(memory) == len(source):
            raise ValueError(
                f"y has {len(y)} rows, memory {len(memory)} and source {len(source)}: "
                "every row of y needs its own row of the others"
            )
        sources = [[int(x) for x in row if x != PAD] for row in memory[..., 0].tolist()]
        logits = torch.full((*y.shape, self.vocab_size), -40.0)
        for row, (words, tokens) in enumerate(zip(sources, y.tolist(), strict=True)):
            for t in range(len(tokens)):
                logits[row, t, self.ids] = torch.tensor(self._logits(words, tokens[: t + 1]))
        return logits

    def forward(self, source, y):
        """Encode, then decode."""
        return self.decode(y, self.encode(source), source)

    def _logits(self, words, tokens):
        draw = random.Random(f"{words} {tokens}" + f" {self.seed}" * bool(self.seed))
        shift = draw.gauss(0, 2)
        logits = {i: draw.gauss(shift, self.spread) for i in self.ids}
        logits[self.eos_id] += self.end
        for i in {PAD, BOS} & {*logits} - {self.eos_id}:
            logits[i] -= 12  # a trained model writes neither of these
        return [*logits.values()]


class WrittenModel(RandomModel):
    """A model whose probabilities stand in a table: {(source, ...): {(tokens so far): {…}}}."""

    def __init__(self, table):
        super().__init__(9, 0.0, 1.0)
        self.table = table

    def _logits(self, words, tokens):
        likely = self.table[words[0]].get((*tokens[1:],), {8: 1.0})
        return [math.log(likely.get(i, 1e-12)) for i in range(9)]


def case_of(name, model, source, *numbers):
    """One call of `greedy_decode` or `beam_search`, written out."""
    if seeded(0):  # other numbers: another source
        source = [row[::-1] for row in source]
    names = ("n_beams", "bos_id", "eos_id", "max_T")[-len(numbers) :]
    texts = [f"{n}={number}" for n, number in zip(names, numbers, strict=True)]
    label = f"{name}(model, source=torch.tensor({source}), {', '.join(texts)})"
    return Case(model, torch.tensor(source), *numbers, label=label)


def numbered(exercise, cases):
    """The cases, each with a line that calls it again: model and source can be had."""
    for index, case in enumerate(cases):
        name = case.label.partition("(")[0]
        case.label += f'\n# the same: {name}(*checks.inputs("{exercise}", {index}))'
    return cases


def in_use(answer, model, source, *numbers, reads_once=True):
    """What is written, how often each source is read, and the model's mode afterwards."""
    model.train()
    model.encoded = 0
    found = Seen({"result": answer(model, source, *numbers)})
    if reads_once:
        times = model.encoded / len(source)
        read = "never" if times == 0 else "once" if times == 1 else "more than once"
        found["each source is encoded"] = read
    found["the model is still in training mode"] = model.training
    return found
