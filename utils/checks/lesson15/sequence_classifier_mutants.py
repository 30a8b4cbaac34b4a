"""Exercise 15.2, `SequenceClassifier`: what the learner is given, and its steps to replace."""

import torch
from torch import nn


class Given(nn.Module):
    """What the learner is given: the parameters, and no forward."""

    def __init__(
        self, d_in, length, n_classes, d_model=64, n_heads=4, n_layers=2, d_ff=128, dropout=0.0
    ):
        super().__init__()
        self.embed = nn.Linear(d_in, d_model)
        self.cls = nn.Parameter(0.5 * torch.randn(1, 1, d_model))
        self.position = nn.Parameter(0.5 * torch.randn(1, 1 + length, d_model))
        layer = nn.TransformerEncoderLayer(
            d_model, n_heads, d_ff, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, n_layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(d_model)
        self.head = nn.Linear(d_model, n_classes)


class _InSteps(Given):
    """The classifier with every step a method of its own, so that a mistake can replace one."""

    def classes(self, x):
        return self.cls.expand(len(x), -1, -1)

    def sequence(self, x):
        return torch.cat([self.classes(x), x], dim=1) + self.position

    def encode(self, x):
        return self.encoder(x)

    def read(self, x):
        return self.norm(x[:, 0])

    def finish(self, logits):
        return logits

    def forward(self, tokens):
        x = self.encode(self.sequence(self.embed(tokens)))
        return self.finish(self.head(self.read(x)))


def classifier(**methods):
    """A classifier with some of its steps replaced."""
    return type("SequenceClassifier", (_InSteps,), methods)


def class_token_behind(self, x):
    """The sequence with the class token at its end."""
    return torch.cat([x, self.classes(x)], dim=1) + self.position


def words_with_positions(first, last):
    """Positions are added to the words alone, from this one to that one."""

    def sequence(self, x):
        return torch.cat([self.classes(x), x + self.position[:, first:last]], dim=1)

    return sequence
