"""The model of exercise 7.3, `init_weights`, and its mistakes as code."""

import copy

import torch
from torch import nn


class _Block(nn.Module):
    """The parameters of the lesson's `Block`; nothing is run through it."""

    def __init__(self, d_model, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.norm1 = nn.LayerNorm(d_model)
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.up = nn.Linear(d_model, 4 * d_model)
        self.down = nn.Linear(4 * d_model, d_model)


class GPT(nn.Module):
    """The parameters of the lesson's `GPT`."""

    def __init__(self, vocab_size, d_model, n_heads, n_layers, max_T):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, d_model)
        self.positions = nn.Embedding(max_T, d_model)
        self.blocks = nn.ModuleList(_Block(d_model, n_heads) for _ in range(n_layers))
        self.norm = nn.LayerNorm(d_model)


def normal(deviation=lambda std, n_layers: std):
    """Draw from a normal distribution."""
    return lambda p, n_layers, std: nn.init.normal_(p, 0.0, deviation(std, n_layers))


def scaled(share):
    """Draw with a share of the usual deviation that depends on the number of layers."""
    return lambda p, n_layers, std: nn.init.normal_(p, 0.0, std * share(n_layers))


def constant(value):
    """Set to one number."""
    return lambda p, n_layers, std: nn.init.constant_(p, value)


def as_it_was(p, n_layers, std):
    """Change nothing."""


_RULES = {
    "tokens": normal(),
    "positions": normal(),
    "inside": normal(),
    "out": scaled(lambda n: (2 * n) ** -0.5),
    "down": scaled(lambda n: (2 * n) ** -0.5),
    "bias": constant(0.0),
    "norm": constant(1.0),
    "norm_bias": constant(0.0),
}


def kind(name):
    """Which rule a parameter follows."""
    module, which = name.split(".")[-2:]
    if module.startswith("norm"):
        return "norm" if which == "weight" else "norm_bias"
    if which == "bias":
        return "bias"
    return module if module in _RULES else "inside"


def init(finish=lambda model: model, **rules):
    """The initialisation with some rules replaced."""

    @torch.no_grad()
    def mutant(model, std=0.02):
        for name, parameter in model.named_parameters():
            (_RULES | rules)[kind(name)](parameter, len(model.blocks), std)
        return finish(model)

    return mutant


def all_matrices(rule):
    """The initialisation with this rule for every matrix."""
    return matrices(rule, rule)


def matrices(usual, writing):
    """The initialisation with one rule for most matrices, and one for what writes to the stream."""
    return init(tokens=usual, positions=usual, inside=usual, out=writing, down=writing)


def both(rule):
    """The initialisation with this rule for what writes to the stream."""
    return init(out=rule, down=rule)


def multiplied(p, n_layers, std):
    """Go on from the old numbers."""
    p.mul_(std)


def uniform(share=lambda n: 1.0):
    """Draw between two limits."""
    return lambda p, n_layers, std: p.uniform_(-std * share(n_layers), std * share(n_layers))


def cut_off(share=lambda n: 1.0):
    """Draw from a normal distribution without its tails."""

    def rule(p, n_layers, std):
        std = std * share(n_layers)
        nn.init.trunc_normal_(p, 0.0, std, -2 * std, 2 * std)

    return rule


def seeded_inside(model, std=0.02):
    """Set the seed once."""
    torch.manual_seed(0)
    return init()(model, std)


def same_seed_for_each(model, std=0.02):
    """Set the seed before every matrix."""
    for module in model.modules():
        torch.manual_seed(0)
        for p in module.parameters(recurse=False) if not isinstance(module, nn.LayerNorm) else ():
            nn.init.normal_(p, 0.0, std)
    kept = dict.fromkeys(("tokens", "positions", "inside"), as_it_was)
    shrunk = lambda p, n_layers, std: p.div_((2 * n_layers) ** 0.5)  # noqa: E731
    return init(out=shrunk, down=shrunk, **kept)(model, std)


def frozen(model, std=0.02):
    """Switch the gradients off."""
    return init()(model, std).requires_grad_(False)


def new_parameters(model, std=0.02):
    """Replace the parameters."""
    init()(model, std)
    for module in model.modules():
        for name, p in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(p.detach().clone()))
    return model


def outside_no_grad(model, std=0.02):
    """Change parameters in place while autograd watches."""
    for p in model.parameters():
        p.normal_(0.0, std)
    return model


def in_a_copy(model, std=0.02):
    """Leave the model itself alone."""
    return init()(copy.deepcopy(model), std)


def by_width(p, n_layers, std):
    """As wide layers are often scaled: 1 over the root of the number of inputs."""
    nn.init.normal_(p, 0.0, p.shape[1] ** -0.5)


def evaluation_mode(model, std=0.02):
    """Change the mode besides."""
    return init()(model, std).eval()
