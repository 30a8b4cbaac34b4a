"""Exercise 7.3, `init_weights`: its oracle, inputs, mistakes and hints."""

import math

import torch
from torch import nn

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded
from utils.checks.lesson07 import init_weights_mutants as mutants
from utils.checks.lesson07.init_weights_mutants import GPT, init

_THEIR_NAME = {  # Hugging Face's, for each of a block's modules
    "norm1": "ln_1",
    "qkv": "attn.c_attn",
    "out": "attn.c_proj",
    "norm2": "ln_2",
    "up": "mlp.c_fc",
    "down": "mlp.c_proj",
}


@torch.no_grad()
def _init_weights(model, std=0.02):
    from transformers import GPT2Config, GPT2LMHeadModel  # takes long to import

    (vocab_size, d_model), max_T = model.tokens.weight.shape, len(model.positions.weight)
    config = GPT2Config(
        vocab_size=vocab_size,
        n_positions=max_T,
        n_embd=d_model,
        n_layer=len(model.blocks),
        n_head=1,
        bos_token_id=0,
        eos_token_id=0,
        initializer_range=std,
    )
    theirs = GPT2LMHeadModel(config).transformer
    model.tokens.weight.copy_(theirs.wte.weight)
    model.positions.weight.copy_(theirs.wpe.weight)
    pairs = [(model.norm, theirs.ln_f)]
    for ours, block in zip(model.blocks, theirs.h, strict=True):
        pairs += [(getattr(ours, a), block.get_submodule(b)) for a, b in _THEIR_NAME.items()]
    for ours, module in pairs:
        is_linear = isinstance(ours, nn.Linear)  # their Conv1D has its weight the other way round
        ours.weight.copy_(module.weight.T if is_linear else module.weight)
        ours.bias.copy_(module.bias)
    return model


def _told(p, usual):
    """A parameter's numbers in words that no draw changes: steps of an eighth of a doubling."""
    dtype = "" if p.dtype == torch.float32 else f", dtype {p.dtype}"
    p = p.detach().double().flatten()
    if bool((p == p[0]).all()):
        return f"all {p[0].item():g}{dtype}"
    if p.numel() < 10_000 or not p.isfinite().all():
        return "numbers that differ"
    std, mean = p.std().item(), p.mean().item()
    steps = round(8 * math.log2(std / usual))
    told = usual * 2 ** (steps / 8)
    mean = round(4 * mean / std) / 4 * told
    peak = ((p - p.mean()) / std).square().square().mean().item()  # 3 for a normal distribution
    shape = "normal" if abs(peak - 3) < 0.4 else "not normal"
    return f"{shape}, mean {mean + 0.0:.2g}, standard deviation {told:.3g}{dtype}"


def _beginning(p):
    """A matrix's first 1,024 numbers, at mean 0 and length 1."""
    first = p.detach().double().flatten()[:1024]
    return torch.nn.functional.normalize(first - first.mean(), dim=0)


def _matrices(model):
    return [p for p in model.parameters() if p.ndim == 2]


@torch.no_grad()
def _used_model(build, seed):
    """A GPT whose every number is another than the one it should get."""
    model = GPT(**build)
    draw = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        if p.ndim == 2:
            p.copy_(1 + 8.66 * (2 * torch.rand(p.shape, generator=draw) - 1))  # deviation 5
        else:
            p.fill_(3.0 if mutants.kind(name) == "norm" else 7.0)
    return model


def _look(answer, build, seed, *std):
    """What became of every parameter, and of a second model."""
    model, second = _used_model(build, seed), _used_model(build, seed + 1)
    before = {name: (p, _beginning(p)) for name, p in model.named_parameters()}
    try:
        returned = answer(model, *std)
        answer(second, *std)
    except RuntimeError as error:
        if "leaf Variable" not in str(error):
            raise
        return "an error: a parameter is changed in place while PyTorch keeps track of it"
    if returned is None:
        return None
    said = type(returned).__name__
    if isinstance(returned, nn.Module):
        said = "the model itself" if returned is model else "another model"
    after = dict(model.named_parameters())
    starts = torch.stack([_beginning(p) for p in _matrices(model)])
    alike = (starts @ starts.T).fill_diagonal_(0).abs() > 0.5
    others = torch.stack([_beginning(p) for p in _matrices(second)])
    old = torch.stack([start for p, start in before.values() if p.ndim == 2])
    return Seen(
        {"result": said}
        | {f"`{name}`": _told(after[name], (*std, 0.02)[0]) for name in before if name in after}
        | {
            "parameters that are new objects": [
                n for n, (p, _) in before.items() if after.get(n) is not p
            ],
            "parameters that no longer learn": [n for n, p in after.items() if not p.requires_grad],
            "in training mode": model.training,
            "two matrices begin with the same numbers": bool(alike.any()),
            "a second model gets the same numbers": bool(((starts * others).sum(1) > 0.5).any()),
            "the old numbers show through": bool(((starts * old).sum(1).abs() > 0.5).any()),
        }
    )


def _case(seed, n_layers, *std, d_model=128, vocab_size=200, max_T=96):
    build = {"vocab_size": vocab_size, "d_model": d_model, "n_heads": 4}
    build |= {"n_layers": n_layers, "max_T": max_T}
    called = ", ".join(f"{key}={value}" for key, value in build.items())
    label = f"init_weights(GPT({called}){f', {std[0]}' if std else ''}),\n"
    label += "whose numbers were all something else before"
    return Case(build, seeded(seed), *std, label=label)


_SHARE = "`std / math.sqrt(2 * len(model.blocks))`"

init_weights = Exercise(
    number="7.3",
    name="init_weights",
    oracle=_init_weights,
    compared_with="Hugging Face's own initialisation of `GPT2LMHeadModel`",
    probe=_look,
    cases=lambda: [
        _case(1, 2),
        _case(2, 1),
        _case(3, 8),
        _case(4, 2, 0.08, max_T=300),
        _case(5, 1, 0.005),
    ],
    mistakes=[
        Mistake(
            "n_layers_without_the_2",
            f"`out` and `down` are scaled by the number of layers. Each layer writes to the stream "
            f"*twice*: {_SHARE}.",
            mutants.both(mutants.scaled(lambda n: n**-0.5)),
        ),
        Mistake(
            "root_forgotten",
            f"You divide by `2 * n_layers` itself. It is variances that add up, so take the root: "
            f"{_SHARE}.",
            mutants.both(mutants.scaled(lambda n: 0.5 / n)),
        ),
        Mistake(
            "depth_of_another_model",
            "You divide by the depth of one certain model. Ask the one that you were given.",
            mutants.both(mutants.scaled(lambda n: 0.5)),
        ),
        Mistake(
            "not_scaled",
            f"`out` and `down` are initialised as the other matrices. They write to the stream, "
            f"once in every layer each, so theirs is smaller: {_SHARE}.",
            mutants.both(mutants.normal()),
        ),
        Mistake(
            "everything_scaled",
            "You make every matrix smaller. Only `out.weight` and `down.weight` write to the "
            "stream; all others have a standard deviation of `std`.",
            mutants.all_matrices(mutants.scaled(lambda n: (2 * n) ** -0.5)),
        ),
        Mistake(
            "all_linear_layers_scaled",
            "You make `qkv` and `up` smaller too. Only `out` and `down` write to the stream; the "
            "others have a standard deviation of `std`.",
            init(inside=mutants.scaled(lambda n: (2 * n) ** -0.5)),
        ),
        Mistake(
            "out_alone_scaled",
            f"`down` writes to the stream as well as `out`: {_SHARE} for both.",
            init(down=mutants.normal()),
        ),
        Mistake(
            "down_alone_scaled",
            f"`out` writes to the stream as well as `down`: {_SHARE} for both.",
            init(out=mutants.normal()),
        ),
        Mistake(
            "variance_for_deviation",
            "`std` is the standard deviation; you take it for the variance.",
            mutants.matrices(
                mutants.normal(lambda std, n: std**0.5),
                mutants.normal(lambda std, n: (std / (2 * n)) ** 0.5),
            ),
        ),
        Mistake(
            "deviation_1",
            "Your numbers have a standard deviation of 1: multiply them by `std`.",
            mutants.matrices(
                mutants.normal(lambda std, n: 1.0), mutants.normal(lambda std, n: (2 * n) ** -0.5)
            ),
        ),
        Mistake(
            "std_not_used",
            "`std` has no effect: you write 0.02 yourself. That is only its default; use `std`.",
            lambda model, std=0.02: init()(model),
        ),
        Mistake(
            "uniform",
            "Your numbers are equally likely between two limits. Draw them from a normal "
            "distribution: `nn.init.normal_(p, 0.0, std)`.",
            mutants.matrices(mutants.uniform(), mutants.uniform(lambda n: (2 * n) ** -0.5)),
        ),
        Mistake(
            "cut_off",
            "You cut the normal distribution off after two standard deviations, as BERT's authors "
            "did. GPT-2's is whole: `nn.init.normal_`.",
            mutants.matrices(mutants.cut_off(), mutants.cut_off(lambda n: (2 * n) ** -0.5)),
        ),
        Mistake(
            "by_the_number_of_inputs",
            "You scale each linear layer by its number of inputs. GPT-2 takes `std` whatever the "
            "width, and less for `out` and `down` alone.",
            init(inside=mutants.by_width, out=mutants.by_width, down=mutants.by_width),
        ),
        Mistake(
            "old_numbers_multiplied",
            "You multiply the numbers that are there. Whatever they were, draw new ones: "
            "`nn.init.normal_(p, 0.0, std)`.",
            mutants.all_matrices(mutants.multiplied),
        ),
        Mistake(
            "nothing_changed",
            "No number of the model has changed. `p = …` gives a new tensor a name and leaves the "
            "parameter alone: change it in place, `nn.init.normal_(p, 0.0, std)`.",
            lambda model, std=0.02: model,
        ),
        Mistake(
            "embeddings_left",
            "Both embeddings are as they were. PyTorch gives them a standard deviation of 1; here "
            "they are matrices like the others, with `std`.",
            init(tokens=mutants.as_it_was, positions=mutants.as_it_was),
        ),
        Mistake(
            "positions_left",
            "`positions` is as it was. It is an embedding too: a standard deviation of `std`.",
            init(positions=mutants.as_it_was),
        ),
        Mistake(
            "biases_left",
            "The biases of the linear layers are as they were. They start at 0: "
            "`nn.init.zeros_(p)`.",
            init(bias=mutants.as_it_was),
        ),
        Mistake(
            "all_biases_left",
            "No bias was changed. All of them start at 0, those of the norms too: "
            "`nn.init.zeros_(p)`.",
            init(bias=mutants.as_it_was, norm_bias=mutants.as_it_was),
        ),
        Mistake(
            "biases_drawn",
            "You draw the biases. All of them start at 0: `nn.init.zeros_(p)`.",
            init(bias=mutants.normal(), norm_bias=mutants.normal()),
        ),
        Mistake(
            "norms_left",
            "The norms are as they were. Their weights start at 1 and their biases at 0.",
            init(norm=mutants.as_it_was, norm_bias=mutants.as_it_was),
        ),
        Mistake(
            "weights_of_norms_left",
            "The weights of the norms are as they were. They start at 1: `nn.init.ones_(p)`.",
            init(norm=mutants.as_it_was),
        ),
        Mistake(
            "norms_drawn",
            "You draw the weights of the norms. They start at 1, so that a norm only normalises: "
            "`nn.init.ones_(p)`.",
            init(norm=mutants.normal()),
        ),
        Mistake(
            "norms_at_0",
            "The weights of the norms are 0: nothing would come through. They start at 1.",
            init(norm=mutants.constant(0.0)),
        ),
        Mistake(
            "copy_changed",
            "You change a copy and return that; the model itself is as it was. Work on `model`.",
            mutants.in_a_copy,
        ),
        Mistake(
            "outside_no_grad",
            "PyTorch keeps track of what is done to a parameter and refuses to change it in "
            "place. `nn.init.normal_(p, …)` sees to that itself; for `p.normal_()` write `with "
            "torch.no_grad():` around it.",
            mutants.outside_no_grad,
        ),
        Mistake(
            "new_parameters",
            "You put new parameters in the place of the old ones, and an optimizer that was made "
            "before would go on with those. Change them in place: `nn.init.normal_(p, 0.0, std)`.",
            mutants.new_parameters,
        ),
        Mistake(
            "frozen",
            "The numbers are right, but nothing would be learned: the parameters have lost their "
            "`requires_grad`.",
            mutants.frozen,
        ),
        Mistake(
            "seeded_inside",
            "You set the seed inside, so every model gets the same numbers. Leave that to whoever "
            "calls you.",
            mutants.seeded_inside,
        ),
        Mistake(
            "same_numbers_in_each_matrix",
            "Every matrix begins with the same numbers: you set the seed before each. Leave the "
            "seed alone.",
            mutants.same_seed_for_each,
        ),
        Mistake(
            "evaluation_mode",
            "The numbers are right, but you put the model into evaluation mode. Leave out "
            "`model.eval()`.",
            mutants.evaluation_mode,
        ),
    ],
    hints=[
        "`for name, p in model.named_parameters()` goes through everything; the name says what a "
        "parameter is, and `p.ndim` whether it is a matrix.",
        "`nn.init.normal_(p, 0.0, std)`, `nn.init.zeros_(p)` and `nn.init.ones_(p)` change a "
        "parameter in place. For names that end in `out.weight` or `down.weight` it is smaller.",
        f"For those two the standard deviation is {_SHARE}, for other matrices `std`. "
        'Biases (`name.endswith("bias")`) become 0, the weights of norms 1. Then `return model`.',
    ],
)
