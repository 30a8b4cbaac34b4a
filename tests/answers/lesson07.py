"""Answers to lesson 07: right ones in an unusual style, and mistakes that nobody listed."""

import copy
import itertools
import math
import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

# --- get_batch


def refuse(ids, T):
    if len(ids) <= T:
        raise ValueError(f"The text has {len(ids)} tokens; pieces of {T} need {T + 1} at least.")


def cut_with_index_arithmetic(ids, batch_size, T, generator):
    refuse(ids, T)
    i = torch.randint(len(ids) - T, (batch_size,), generator=generator)
    at = i[:, None] + torch.arange(T)
    return ids[at], ids[at + 1]


def cut_in_a_loop(ids, batch_size, T, generator):
    refuse(ids, T)
    x, y = torch.empty(batch_size, T).long(), torch.empty(batch_size, T).long()
    for row, i in enumerate(torch.randint(0, ids.numel() - T, [batch_size], generator=generator)):
        x[row], y[row] = ids[i : i + T], ids[i + 1 : i + 1 + T]
    return x, y


def cut_as_lists(ids, batch_size, T, generator):
    if not ids.shape[0] > T:
        raise ValueError("text too short")
    places = torch.randint(high=len(ids) - T, size=(batch_size,), generator=generator).tolist()
    text = ids.tolist()
    return [
        torch.tensor([text[i : i + T] for i in places]),
        torch.tensor([text[i + 1 : i + T + 1] for i in places]),
    ]


def cut_with_gather(ids, batch_size, T, generator):
    refuse(ids, T)
    places = torch.randint(len(ids) - T, (batch_size, 1), generator=generator)
    pieces = ids.expand(batch_size, -1).gather(1, places + torch.arange(T + 1))
    return pieces[:, :T], pieces[:, 1:]


def cut_with_narrow(ids, batch_size, T, generator):
    refuse(ids, T)
    places = torch.randint(len(ids) - T, (batch_size,), generator=generator)
    pieces = torch.stack([ids.narrow(0, int(i), T + 1) for i in places])
    return pieces.split([T, 1], dim=1)[0], pieces[:, -T:]


def cut_one_at_a_time(ids, batch_size, T, generator):
    """The same numbers: drawn singly, the generator gives what it gives at once."""
    refuse(ids, T)
    rows = []
    for _ in range(batch_size):
        i = torch.randint(len(ids) - T, (1,), generator=generator).item()
        rows.append(torch.stack([ids[i : i + T], ids[i + 1 : i + T + 1]]))
    return tuple(torch.stack(rows, dim=1))


def cut_in_16_bits(ids, batch_size, T, generator):
    x, y = cut_with_index_arithmetic(ids, batch_size, T, generator)
    return x.to(torch.uint16).long(), y.to(torch.uint16).long()


def cut_as_floats(ids, batch_size, T, generator):
    x, y = cut_with_index_arithmetic(ids, batch_size, T, generator)
    return x.float(), y.float()


def cut_with_the_places(ids, batch_size, T, generator):
    refuse(ids, T)
    i = torch.randint(len(ids) - T, (batch_size,), generator=generator)
    at = i[:, None] + torch.arange(T)
    return ids[at], ids[at + 1], i


def cut_with_pythons_random(ids, batch_size, T, generator):
    refuse(ids, T)
    places = [random.randrange(len(ids) - T) for _ in range(batch_size)]
    x = torch.stack([ids[i : i + T] for i in places])
    return x, torch.stack([ids[i + 1 : i + T + 1] for i in places])


def cut_without_a_sentence(ids, batch_size, T, generator):
    if len(ids) <= T:
        raise ValueError
    return cut_with_index_arithmetic(ids, batch_size, T, generator)


def cut_and_refused_too_late(ids, batch_size, T, generator):
    if len(ids) < T:
        raise ValueError("the text is too short")
    places = torch.randint(len(ids) - T, (batch_size,), generator=generator)
    return torch.stack([ids[i : i + T] for i in places]), torch.stack(
        [ids[i + 1 : i + T + 1] for i in places]
    )


def cut_with_targets_alone(ids, batch_size, T, generator):
    return cut_with_index_arithmetic(ids, batch_size, T, generator)[1]


def cut_backwards(ids, batch_size, T, generator):
    x, y = cut_with_index_arithmetic(ids, batch_size, T, generator)
    return x.flip(1), y.flip(1)


def cut_from_a_kept_batch(ids, batch_size, T, generator, kept={}):  # noqa: B006
    if (len(ids), batch_size, T) not in kept:
        kept[len(ids), batch_size, T] = cut_with_index_arithmetic(ids, batch_size, T, generator)
    return kept[len(ids), batch_size, T]


def cut_in_order(ids, batch_size, T, generator):
    refuse(ids, T)
    i = torch.randint(len(ids) - T, (batch_size,), generator=generator).sort().values
    at = i[:, None] + torch.arange(T)
    return ids[at], ids[at + 1]


def cut_with_the_last_target_masked(ids, batch_size, T, generator):
    x, _ = cut_with_index_arithmetic(ids, batch_size, T, generator)
    return x, torch.cat([x[:, 1:], torch.full((batch_size, 1), -100)], dim=1)


def cut_and_drawn_once_more(ids, batch_size, T, generator):
    batch = cut_with_index_arithmetic(ids, batch_size, T, generator)
    torch.randint(2, (1,), generator=generator)
    return batch


# --- lm_loss


def loss_by_logsumexp(logits, targets):
    return (logits.logsumexp(-1) - logits.gather(2, targets[:, :, None]).squeeze(2)).mean()


def loss_in_a_loop(logits, targets):
    total = 0.0
    B, T = targets.shape
    for b, t in itertools.product(range(B), range(T)):
        total = total - F.log_softmax(logits[b, t], dim=0)[targets[b, t]]
    return total / (B * T)


def loss_by_indexing(logits, targets):
    flat = logits.reshape(-1, logits.size(-1))
    return -flat.log_softmax(1)[torch.arange(len(flat)), targets.reshape(-1)].mean()


def loss_by_one_hot(logits, targets):
    hot = F.one_hot(targets, logits.shape[-1]).to(logits.dtype)
    return -(hot * torch.log_softmax(logits, dim=-1)).sum() / targets.numel()


def loss_by_the_largest(logits, targets):
    shifted = logits - logits.amax(-1, keepdim=True)
    log_p = shifted - shifted.exp().sum(-1, keepdim=True).log()
    return -torch.take_along_dim(log_p, targets.unsqueeze(-1), -1).mean()


def loss_by_the_library(logits, targets):
    return F.cross_entropy(logits.transpose(1, 2), targets)


def loss_by_its_module(logits, targets):
    return nn.CrossEntropyLoss()(logits.view(-1, logits.size(-1)), targets.view(-1))


def loss_by_nll(logits, targets):
    return F.nll_loss(logits.log_softmax(-1).flatten(0, 1), targets.flatten())


def loss_as_a_number(logits, targets):
    return loss_by_logsumexp(logits, targets).item()


def loss_of_shape_1(logits, targets):
    return loss_by_logsumexp(logits, targets)[None]


def loss_detached(logits, targets):
    return loss_by_logsumexp(logits.detach(), targets)


def loss_with_a_detached_sum(logits, targets):
    log_z = logits.logsumexp(-1).detach()
    return (log_z - logits.gather(2, targets[..., None])[..., 0]).mean()


def loss_in_numpy(logits, targets):
    log_p = logits.numpy() - np.logaddexp.reduce(logits.numpy(), axis=-1)[..., None]
    return torch.tensor(-np.take_along_axis(log_p, targets.numpy()[..., None], -1).mean())


def loss_clamped(logits, targets):
    p = logits.softmax(-1).gather(-1, targets[..., None])
    return -p.clamp(min=1e-12).log().mean()


def loss_by_accuracy(logits, targets):
    return (logits.argmax(-1) != targets).float().mean()


def loss_of_the_first_row(logits, targets):
    return F.cross_entropy(logits[0], targets[0])


def loss_without_token_0(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=0)


def loss_smoothed(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), label_smoothing=0.1)


def loss_of_binary_questions(logits, targets):
    hot = F.one_hot(targets, logits.shape[-1]).float()
    return F.binary_cross_entropy_with_logits(logits, hot)


def loss_written_into_the_logits(logits, targets):
    logits -= logits.max(-1, keepdim=True).values
    return loss_by_logsumexp(logits, targets)


def loss_with_targets_as_shares(logits, targets):
    return (logits.softmax(-1).gather(-1, targets[..., None]) - 1).square().mean()


# --- init_weights


def init_by_modules(model, std=0.02):
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, mean=0.0, std=std)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.LayerNorm):
            module.reset_parameters()
    for block in model.blocks:
        for layer in block.out, block.down:
            nn.init.normal_(layer.weight, std=std / math.sqrt(2 * len(model.blocks)))
    return model


def init_by_apply(model, std=0.02):
    def init(module):
        if hasattr(module, "weight"):
            if module.weight.dim() == 2:
                module.weight.data = torch.randn_like(module.weight) * std
            else:
                module.weight.data.fill_(1)
        if getattr(module, "bias", None) is not None:
            module.bias.data.zero_()

    model.apply(init)
    for name, p in model.named_parameters():
        if name.endswith(("out.weight", "down.weight")):
            p.data /= (2 * len(model.blocks)) ** 0.5
    return model


@torch.no_grad()
def init_by_shape(model, std=0.02):
    d = model.tokens.weight.shape[1]
    for module in model.modules():
        if isinstance(module, nn.Linear):
            writes = module.out_features == d
            module.weight.normal_().mul_(std / (2 * len(model.blocks)) ** (0.5 * writes))
            module.bias.fill_(0.0)
        elif isinstance(module, nn.Embedding):
            module.weight.normal_(0, std)
        elif isinstance(module, nn.LayerNorm):
            module.weight.fill_(1.0)
            module.bias.fill_(0.0)
    return model


def init_by_state_dict(model, std=0.02):
    state = model.state_dict()
    small = std * math.sqrt(0.5 / len(model.blocks))
    for name, p in state.items():
        if p.ndim == 1:
            state[name] = torch.full_like(p, float("norm" in name and "weight" in name))
        else:
            spread = small if name.split(".")[-2] in ("out", "down") else std
            state[name] = torch.normal(0.0, spread, p.shape)
    model.load_state_dict(state)
    return model


def init_by_a_wide_cut(model, std=0.02):
    """`trunc_normal_` cuts at -2 and 2 unless told otherwise: a hundred deviations away."""
    for name, p in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(p)
        elif p.ndim == 1:
            nn.init.ones_(p)
        else:
            writes = ".out." in name or ".down." in name
            n = 2 * len(model.blocks) if writes else 1
            nn.init.trunc_normal_(p, std=std / math.sqrt(n))
    return model


def init_from_numpy(model, std=0.02):
    draw = np.random.default_rng()
    with torch.no_grad():
        for name, p in model.named_parameters():
            new = draw.normal(0.0, std, p.shape) if p.ndim == 2 else np.zeros(p.shape)
            if name.endswith(("out.weight", "down.weight")):
                new /= np.sqrt(2 * len(model.blocks))
            new += p.ndim == 1 and name.endswith("weight")
            p.copy_(torch.from_numpy(new))
    return model


def init_scaled_by_what_is_written(model, std=0.02):
    """Only the embeddings' and linear layers' weights, and their biases; norms are left."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=std)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
    for block in model.blocks:
        nn.init.normal_(block.out.weight, std=std / math.sqrt(2 * len(model.blocks)))
        nn.init.normal_(block.down.weight, std=std / math.sqrt(2 * len(model.blocks)))
    return model


def init_with_its_own_std(model, std=0.02):
    return init_by_modules(model)


def init_by_layer(model, std=0.02):
    """As some do it: less and less from layer to layer."""
    init_by_modules(model, std)
    for i, block in enumerate(model.blocks, start=1):
        for layer in block.out, block.down:
            nn.init.normal_(layer.weight, std=std / math.sqrt(2 * i))
    return model


def init_of_12_layers(model, std=0.02):
    init_by_modules(model, std)
    for block in model.blocks:
        for layer in block.out, block.down:
            nn.init.normal_(layer.weight, std=std / math.sqrt(24))
    return model


def init_after_pytorch(model, std=0.02):
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return model


def init_by_xavier(model, std=0.02):
    for p in model.parameters():
        if p.ndim == 2:
            nn.init.xavier_normal_(p)
        else:
            nn.init.zeros_(p)
    return model


def init_with_mean(model, std=0.02):
    init_by_modules(model, std)
    with torch.no_grad():
        model.positions.weight.add_(std)
    return model


def init_with_a_row_repeated(model, std=0.02):
    init_by_modules(model, std)
    with torch.no_grad():
        for block in model.blocks[1:]:
            block.load_state_dict(model.blocks[0].state_dict())
    return model


def init_of_the_first_block(model, std=0.02):
    init_by_modules(model, std)
    for block in model.blocks[1:]:
        nn.init.normal_(block.down.weight, std=std)
    return model


def init_with_a_generator(model, std=0.02, draw=torch.Generator().manual_seed(3)):  # noqa: B008
    draw.manual_seed(3)
    init_by_modules(model, std)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim == 2 and not name.endswith(("out.weight", "down.weight")):
                p.copy_(std * torch.randn(p.shape, generator=draw))
    return model


def init_of_a_new_model(model, std=0.02):
    new = init_by_modules(copy.deepcopy(model), std)
    return new


def init_without_return(model, std=0.02):
    init_by_modules(model, std)


# --- warmup_cosine


def schedule_by_interpolation(step, warmup, total):
    if step < warmup:
        return float(np.interp(step, [0, warmup], [0, 1]))
    return math.cos(math.pi / 2 * (step - warmup) / (total - warmup)) ** 2


def schedule_by_sine(step, warmup, total):
    progress = (step - warmup) / (total - warmup)
    return step / warmup if progress < 0 else 0.5 - 0.5 * math.sin(math.pi * (progress - 0.5))


def schedule_with_max(step, warmup, total):
    rise = min(1.0, step / max(1, warmup)) if warmup else 1.0
    fall = (1 + np.cos(np.pi * max(0, step - warmup) / (total - warmup))) / 2
    return rise * fall


def schedule_in_one_line(step, warmup, total):
    return (
        step / warmup
        if step < warmup
        else (1 + math.cos((step - warmup) / (total - warmup) * math.pi)) / 2
    )


def schedule_by_the_library(step, warmup, total):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total - warmup)
    if step < warmup:
        return step / warmup
    for _ in range(step - warmup if step - warmup < 50 else 0):
        optimizer.step()
        fall.step()
    if step - warmup < 50:
        return optimizer.param_groups[0]["lr"]
    return 0.5 * math.cos(math.pi * (step - warmup) / (total - warmup)) + 0.5


def schedule_in_32_bits(step, warmup, total):
    if step < warmup:
        return np.float32(step / warmup)
    return np.float32(0.5 * (1 + np.cos(np.pi * (step - warmup) / (total - warmup))))


def schedule_with_equal(step, warmup, total):
    if step <= warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def schedule_with_a_guard_of_1(step, warmup, total):
    """Warm-up of no steps: the first is still 0."""
    if step <= warmup:
        return step / max(1, warmup)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def schedule_rounded_down(step, warmup, total):
    if step < warmup:
        return step // warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def schedule_in_a_tensor(step, warmup, total):
    if step < warmup:
        return torch.tensor(step / warmup)
    return 0.5 * (1 + torch.cos(torch.tensor(math.pi * (step - warmup) / (total - warmup))))


def schedule_in_a_tensor_later(step, warmup, total):
    if step < warmup:
        return step / warmup
    return 0.5 * (1 + torch.cos(torch.tensor(math.pi * (step - warmup) / (total - warmup))))


def schedule_of_powers(step, warmup, total):
    if step < warmup:
        return step / warmup
    return (1 - (step - warmup) / (total - warmup)) ** 2


def schedule_of_the_first_transformer(step, warmup, total):
    return min(1, step / warmup) if step <= warmup and warmup else (max(1, warmup) / step) ** 0.5


def schedule_backwards(step, warmup, total):
    if step < warmup:
        return 1 - step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def schedule_after_the_rise_at_1(step, warmup, total):
    if step < warmup:
        return step / warmup
    if step == warmup:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / total))


def schedule_as_a_list(step, warmup, total):
    return [schedule_in_one_line(s, warmup, total) for s in range(min(total, 50))]


def schedule_of_a_learning_rate(step, warmup, total, lr=1e-3):
    return lr * schedule_in_one_line(step, warmup, total)


# --- train_step


def mean_loss(logits, y):
    return F.cross_entropy(logits.flatten(0, 1), y.flatten())


def step_of_the_model(model, optimizer, x, y, max_norm):
    model.train()
    loss = mean_loss(model(x), y)
    model.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(list(model.parameters()), max_norm=max_norm)
    optimizer.step()
    return float(loss)


def step_with_zeros(model, optimizer, x, y, max_norm):
    optimizer.zero_grad(set_to_none=False)
    loss = -model(x).log_softmax(-1).gather(-1, y.unsqueeze(-1)).mean()
    before = loss.detach().clone()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm, foreach=False)
    optimizer.step()
    optimizer.zero_grad()
    return before.item()


def step_clipped_by_hand(model, optimizer, x, y, max_norm):
    for p in model.parameters():
        p.grad = None
    loss = mean_loss(model(x), y)
    loss.backward()
    length = torch.sqrt(sum(p.grad.square().sum() for p in model.parameters()))
    if length > max_norm:
        for p in model.parameters():
            p.grad *= max_norm / length
    optimizer.step()
    return loss.tolist()


def step_with_a_closure(model, optimizer, x, y, max_norm):
    def closure():
        optimizer.zero_grad()
        loss = mean_loss(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        return loss

    return optimizer.step(closure).item()


def step_by_autograd(model, optimizer, x, y, max_norm):
    parameters = list(model.parameters())
    loss = mean_loss(model(x), y)
    for p, slope in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        p.grad = slope
    nn.utils.clip_grad_norm_((p for g in optimizer.param_groups for p in g["params"]), max_norm)
    optimizer.step()
    return loss.detach().numpy().item()


def step_with_one_group_clipped(model, optimizer, x, y, max_norm):
    optimizer.zero_grad()
    loss = mean_loss(model(x), y)
    loss.backward()
    nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], max_norm)
    optimizer.step()
    return loss.item()


def step_with_a_new_optimizer(model, optimizer, x, y, max_norm):
    optimizer = type(optimizer)(model.parameters(), lr=optimizer.param_groups[0]["lr"])
    return step_of_the_model(model, optimizer, x, y, max_norm)


def step_clipped_too_late(model, optimizer, x, y, max_norm):
    optimizer.zero_grad()
    loss = mean_loss(model(x), y)
    loss.backward()
    optimizer.step()
    nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    return loss.item()


def step_zeroed_after_backward(model, optimizer, x, y, max_norm):
    loss = mean_loss(model(x), y)
    loss.backward()
    optimizer.zero_grad()
    nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return loss.item()


def step_never_taken(model, optimizer, x, y, max_norm):
    optimizer.zero_grad()
    loss = mean_loss(model(x), y)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step  # noqa: B018
    return loss.item()


def step_without_gradients(model, optimizer, x, y, max_norm):
    with torch.no_grad():
        loss = mean_loss(model(x), y)
    loss.backward()
    return loss.item()


def step_with_a_detached_loss(model, optimizer, x, y, max_norm):
    optimizer.zero_grad()
    loss = mean_loss(model(x), y)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return loss.detach()


def step_with_the_largest_norm(model, optimizer, x, y, max_norm):
    optimizer.zero_grad()
    loss = mean_loss(model(x), y)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_norm, norm_type=math.inf)
    optimizer.step()
    return loss.item()


def step_with_a_clipped_loss(model, optimizer, x, y, max_norm):
    optimizer.zero_grad()
    loss = mean_loss(model(x), y)
    loss.clamp(max=max_norm).backward()
    optimizer.step()
    return loss.item()


def step_with_shifted_targets(model, optimizer, x, y, max_norm):
    optimizer.zero_grad()
    logits = model(x)
    loss = mean_loss(logits[:, :-1], y[:, 1:]) if y.shape[1] > 1 else mean_loss(logits, y)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return loss.item()


def step_averaged_with_the_last(model, optimizer, x, y, max_norm, kept=[]):  # noqa: B006
    kept.append(step_of_the_model(model, optimizer, x, y, max_norm))
    return sum(kept) / len(kept)


def step_with_evaluation_afterwards(model, optimizer, x, y, max_norm):
    loss = step_of_the_model(model, optimizer, x, y, max_norm)
    model.eval()
    return loss


def step_with_the_logits(model, optimizer, x, y, max_norm):
    logits = model(x)
    return step_of_the_model(model, optimizer, x, y, max_norm), logits


# --- perplexity


@torch.no_grad()
def perplexity_in_two_totals(model, batches):
    was, total, count = model.training, 0.0, 0
    model.eval()
    for x, y in batches:
        total += mean_loss(model(x), y).item() * y.numel()
        count += y.numel()
    model.train(was)
    return math.exp(total / count)


def perplexity_in_inference_mode(model, batches):
    mode = model.training
    with torch.inference_mode():
        model.eval()
        losses = [F.cross_entropy(model(x).mT, y, reduction="none").ravel() for x, y in batches]
        result = torch.cat(losses).mean().exp()
    if mode:
        model.train()
    return result.item()


def perplexity_with_finally(model, batches):
    was = model.training
    try:
        model.train(False)
        with torch.no_grad():
            nats = sum(
                -model(x).log_softmax(-1).gather(-1, y[..., None]).double().sum().item()
                for x, y in batches
            )
        return np.exp(nats / sum(y.numel() for _, y in batches))
    finally:
        model.train(was)


def perplexity_by_product(model, batches):
    """The geometric mean of one over the probability."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    with torch.no_grad():
        p = [model(x).softmax(-1).gather(-1, y[..., None]).flatten() for x, y in batches]
    for module, mode in modes.items():
        module.training = mode
    p = torch.cat(p).double()
    return float((1 / p).log().mean().exp())


def perplexity_in_a_copy(model, batches):
    model = copy.deepcopy(model).eval()
    weights = torch.tensor([float(y.numel()) for _, y in batches])
    with torch.no_grad():
        means = torch.stack([mean_loss(model(x), y) for x, y in batches])
    return float(torch.exp((weights * means).sum() / weights.sum()))


def perplexity_of_base_2_twice(model, batches):
    """Two to the number of bits is e to the number of nats."""
    return 2 ** (math.log(perplexity_in_two_totals(model, batches)) / math.log(2))


@torch.no_grad()
def perplexity_of_means(model, batches):
    was = model.training
    model.eval()
    losses = [mean_loss(model(x), y).item() for x, y in batches]
    model.train(was)
    return math.exp(np.mean(losses))


@torch.no_grad()
def perplexity_in_training_mode(model, batches):
    total = sum(mean_loss(model(x), y) * y.numel() for x, y in batches)
    return math.exp(total / sum(y.numel() for _, y in batches))


def perplexity_with_gradients(model, batches):
    was = model.training
    model.eval()
    total = sum(mean_loss(model(x), y) * y.numel() for x, y in batches)
    model.train(was)
    return torch.exp(total / sum(y.numel() for _, y in batches)).item()


@torch.no_grad()
def perplexity_left_in_training(model, batches):
    model.eval()
    total = sum(mean_loss(model(x), y) * y.numel() for x, y in batches)
    model.train()
    return math.exp(total / sum(y.numel() for _, y in batches))


@torch.no_grad()
def perplexity_in_a_tensor(model, batches):
    was = model.training
    model.eval()
    total = sum(mean_loss(model(x), y) * y.numel() for x, y in batches)
    model.train(was)
    return (total / sum(y.numel() for _, y in batches)).exp()


@torch.no_grad()
def perplexity_counting_columns(model, batches):
    was = model.training
    model.eval()
    total = sum(mean_loss(model(x), y) * y.numel() for x, y in batches)
    model.train(was)
    return math.exp(total / sum(y.shape[1] for _, y in batches))


@torch.no_grad()
def perplexity_by_columns(model, batches):
    was = model.training
    model.eval()
    total = sum(mean_loss(model(x), y) * y.shape[1] for x, y in batches)
    model.train(was)
    return math.exp(total / sum(y.shape[1] for _, y in batches))


@torch.no_grad()
def perplexity_returned_inside_the_loop(model, batches):
    was, total, count = model.training, 0.0, 0
    model.eval()
    for x, y in batches:
        total += mean_loss(model(x), y).item() * y.numel()
        count += y.numel()
        model.train(was)
        return math.exp(total / count)


@torch.no_grad()
def perplexity_with_the_mode_put_back_too_soon(model, batches):
    was, total, count = model.training, 0.0, 0
    model.eval()
    for x, y in batches:
        total += mean_loss(model(x), y).item() * y.numel()
        count += y.numel()
        model.train(was)
    return math.exp(total / count)


@torch.no_grad()
def perplexity_shifted(model, batches):
    was, losses = model.training, []
    model.eval()
    for x, y in batches:
        if y.shape[1] > 1:
            losses.append(F.cross_entropy(model(x)[:, :-1].mT, y[:, 1:], reduction="none").ravel())
    model.train(was)
    return torch.cat(losses).mean().exp().item() if losses else 1.0


@torch.no_grad()
def perplexity_of_medians(model, batches):
    was = model.training
    model.eval()
    losses = [F.cross_entropy(model(x).mT, y, reduction="none").ravel() for x, y in batches]
    model.train(was)
    return torch.cat(losses).median().exp().item()


# --- bits_per_byte


def bits_in_a_loop(nats, text):
    bits = n = 0
    for loss in nats:
        bits += loss.item() / math.log(2)
    for character in text:
        n += len(character.encode())
    return bits / n


def bits_by_log2_of_e(nats, text):
    return float(nats.sum()) * math.log2(math.e) / len(bytes(text, "utf-8"))


def bits_by_tensors(nats, text):
    data = torch.tensor(list(text.encode()), dtype=torch.uint8)
    return (nats.mean() * len(nats) / data.numel() / torch.tensor(2.0).log()).item()


def bits_of_probabilities(nats, text):
    return -sum(math.log2(math.exp(-x)) for x in nats.tolist()) / sum(1 for _ in text.encode())


def bits_in_numpy(nats, text):
    return np.sum(nats.numpy()) / np.log(2) / np.frombuffer(text.encode(), np.uint8).size


def bits_by_code_points(nats, text):
    """As many bytes as UTF-8 gives to each code point."""
    n = sum(1 + (c > "\x7f") + (c > "\u07ff") + (c > "\uffff") for c in text)
    return math.fsum(nats.tolist()) / math.log(2) / n


def bits_added_in_a_tensor(nats, text):
    total = torch.tensor(0.0)
    for loss in nats:
        total += loss
    return total.item() / math.log(2) / len(text.encode())


def bits_of_characters(nats, text):
    return nats.sum().item() / math.log(2) / len(text)


def bits_in_ascii(nats, text):
    return nats.sum().item() / math.log(2) / len(text.encode("ascii", errors="ignore"))


def bits_in_utf_16(nats, text):
    return nats.sum().item() / math.log(2) / len(text.encode("utf-16"))


def bits_in_nats(nats, text):
    return nats.sum().item() / len(text.encode())


def bits_with_log2_of_the_total(nats, text):
    return math.log2(nats.sum().item() + 1e-30) / len(text.encode())


def bits_per_token(nats, text):
    return nats.mean().item() / math.log(2)


def bits_per_word(nats, text):
    return nats.sum().item() / math.log(2) / max(1, len(text.split()))


def bits_in_a_tensor(nats, text):
    return nats.sum() / math.log(2) / len(text.encode())


def bits_with_a_rounded_ln_2(nats, text):
    return nats.sum().item() / 0.693 / len(text.encode())


def bits_rounded(nats, text):
    return round(nats.sum().item() / math.log(2) / len(text.encode()), 3)


def bits_stripped(nats, text):
    return nats.sum().item() / math.log(2) / len(text.strip().encode())


def bits_in_half_precision(nats, text):
    return nats.half().sum().item() / math.log(2) / len(text.encode())


def bits_for_each_token(nats, text):
    return nats / math.log(2) / len(text.encode())


def bytes_for_a_bit(nats, text):
    return len(text.encode()) / (nats.sum().item() / math.log(2))


# --- power_law


def law_by_normal_equations(n, loss):
    x, y = np.log(n), np.log(loss)
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    return math.exp(y.mean() - slope * x.mean()), -slope


def law_by_least_squares(n, loss):
    A = np.stack([np.ones(len(n)), -np.log(n)], axis=1)
    (log_a, b), *_ = np.linalg.lstsq(A, np.log(loss), rcond=None)
    return float(np.exp(log_a)), float(b)


def law_to_base_10(n, loss):
    slope, intercept = np.polyfit(np.log10(n), np.log10(loss), deg=1)
    return 10**intercept, -slope


def law_by_polynomial(n, loss):
    line = np.polynomial.Polynomial.fit(np.log2(n), np.log2(loss), 1).convert()
    return [2 ** line.coef[0], -line.coef[1]] if len(line.coef) > 1 else [2 ** line.coef[0], 0.0]


def law_by_covariance(n, loss):
    c = np.cov(np.log(n), np.log(loss))
    b = -c[0, 1] / c[0, 0]
    return np.exp(np.mean(np.log(loss) + b * np.log(n))), b


def law_by_pytorch(n, loss):
    x = torch.tensor(n, dtype=torch.float64).log()
    A = torch.stack([torch.ones_like(x), -x], 1)
    log_a, b = torch.linalg.lstsq(A, torch.tensor(loss).log()[:, None]).solution.flatten().tolist()
    return math.exp(log_a), b


def law_with_a_sign(n, loss):
    slope, intercept = np.polyfit(np.log(n), np.log(loss), 1)
    return np.exp(intercept), slope


def law_without_exp(n, loss):
    slope, intercept = np.polyfit(np.log(n), np.log(loss), 1)
    return intercept, -slope


def law_unpacked_the_wrong_way(n, loss):
    intercept, slope = np.polyfit(np.log(n), np.log(loss), 1)
    return np.exp(intercept), -slope


def law_of_the_first_two(n, loss):
    b = np.log(loss[0] / loss[1]) / np.log(n[1] / n[0])
    return loss[0] * n[0] ** b, b


def law_of_mean_slopes(n, loss):
    slopes = np.diff(np.log(loss)) / np.diff(np.log(n))
    b = -slopes.mean()
    return np.exp(np.mean(np.log(loss) + b * np.log(n))), b


def law_with_log1p(n, loss):
    slope, intercept = np.polyfit(np.log1p(n), np.log(loss), 1)
    return np.exp(intercept), -slope


def law_with_exp_for_2(n, loss):
    slope, intercept = np.polyfit(np.log2(n), np.log2(loss), 1)
    return np.exp(intercept), -slope


def law_of_a_parabola(n, loss):
    _, slope, intercept = np.polyfit(np.log(n), np.log(loss), 2)
    return np.exp(intercept), -slope


def law_ignoring_a(n, loss):
    return law_by_least_squares(n, loss)[1]


def law_weighted_by_n(n, loss):
    slope, intercept = np.polyfit(np.log(n), np.log(loss), 1, w=np.sqrt(n))
    return np.exp(intercept), -slope


def law_in_log_axes_of_n(n, loss):
    slope, intercept = np.polyfit(np.log(n), loss, 1)
    return np.exp(intercept), -slope


def law_with_absolute_b(n, loss):
    a, b = law_by_least_squares(n, loss)
    return a, abs(b)


RIGHT = [
    ("07.get_batch", cut_with_index_arithmetic),
    ("07.get_batch", cut_in_a_loop),
    ("07.get_batch", cut_as_lists),
    ("07.get_batch", cut_with_gather),
    ("07.get_batch", cut_with_narrow),
    ("07.get_batch", cut_one_at_a_time),
    ("07.lm_loss", loss_by_logsumexp),
    ("07.lm_loss", loss_in_a_loop),
    ("07.lm_loss", loss_by_indexing),
    ("07.lm_loss", loss_by_one_hot),
    ("07.lm_loss", loss_by_the_largest),
    ("07.lm_loss", loss_by_the_library),
    ("07.lm_loss", loss_by_its_module),
    ("07.lm_loss", loss_by_nll),
    ("07.init_weights", init_by_modules),
    ("07.init_weights", init_by_apply),
    ("07.init_weights", init_by_shape),
    ("07.init_weights", init_by_state_dict),
    ("07.init_weights", init_by_a_wide_cut),
    ("07.init_weights", init_from_numpy),
    ("07.warmup_cosine", schedule_by_interpolation),
    ("07.warmup_cosine", schedule_by_sine),
    ("07.warmup_cosine", schedule_with_max),
    ("07.warmup_cosine", schedule_in_one_line),
    ("07.warmup_cosine", schedule_by_the_library),
    ("07.warmup_cosine", schedule_in_32_bits),
    ("07.train_step", step_of_the_model),
    ("07.train_step", step_with_zeros),
    ("07.train_step", step_clipped_by_hand),
    ("07.train_step", step_with_a_closure),
    ("07.train_step", step_by_autograd),
    ("07.perplexity", perplexity_in_two_totals),
    ("07.perplexity", perplexity_in_inference_mode),
    ("07.perplexity", perplexity_with_finally),
    ("07.perplexity", perplexity_by_product),
    ("07.perplexity", perplexity_in_a_copy),
    ("07.perplexity", perplexity_of_base_2_twice),
    ("07.bits_per_byte", bits_in_a_loop),
    ("07.bits_per_byte", bits_by_log2_of_e),
    ("07.bits_per_byte", bits_by_tensors),
    ("07.bits_per_byte", bits_of_probabilities),
    ("07.bits_per_byte", bits_in_numpy),
    ("07.bits_per_byte", bits_by_code_points),
    ("07.bits_per_byte", bits_added_in_a_tensor),
    ("07.power_law", law_by_normal_equations),
    ("07.power_law", law_by_least_squares),
    ("07.power_law", law_to_base_10),
    ("07.power_law", law_by_polynomial),
    ("07.power_law", law_by_covariance),
    ("07.power_law", law_by_pytorch),
]

WRONG = [
    ("07.get_batch", cut_in_16_bits, None),
    ("07.get_batch", cut_as_floats, None),
    ("07.get_batch", cut_with_the_places, None),
    ("07.get_batch", cut_with_pythons_random, None),
    ("07.get_batch", cut_without_a_sentence, "refused_without_a_sentence"),
    ("07.get_batch", cut_and_refused_too_late, "refused_one_too_late"),
    ("07.get_batch", cut_with_targets_alone, None),
    ("07.get_batch", cut_backwards, None),
    ("07.get_batch", cut_from_a_kept_batch, "same_places_at_every_call"),
    ("07.get_batch", cut_in_order, None),
    ("07.get_batch", cut_with_the_last_target_masked, None),
    ("07.get_batch", cut_and_drawn_once_more, None),
    ("07.lm_loss", loss_as_a_number, "a_number"),
    ("07.lm_loss", loss_of_shape_1),
    ("07.lm_loss", loss_detached, "no_gradient_arrives"),
    ("07.lm_loss", loss_with_a_detached_sum, "another_gradient"),
    ("07.lm_loss", loss_in_numpy, "no_gradient_arrives"),
    ("07.lm_loss", loss_clamped),
    ("07.lm_loss", loss_by_accuracy, None),
    ("07.lm_loss", loss_of_the_first_row, None),
    ("07.lm_loss", loss_without_token_0),
    ("07.lm_loss", loss_smoothed, None),
    ("07.lm_loss", loss_of_binary_questions, None),
    ("07.lm_loss", loss_written_into_the_logits, "changes_input"),
    ("07.lm_loss", loss_with_targets_as_shares, None),
    ("07.init_weights", init_scaled_by_what_is_written, "norms_left"),
    ("07.init_weights", init_with_its_own_std, "std_not_used"),
    ("07.init_weights", init_by_layer),
    ("07.init_weights", init_of_12_layers, None),
    ("07.init_weights", init_after_pytorch),
    ("07.init_weights", init_by_xavier),
    ("07.init_weights", init_with_mean, None),
    ("07.init_weights", init_with_a_row_repeated),
    ("07.init_weights", init_of_the_first_block),
    ("07.init_weights", init_with_a_generator, "seeded_inside"),
    ("07.init_weights", init_of_a_new_model, "copy_changed"),
    ("07.init_weights", init_without_return, "returns_none"),
    ("07.warmup_cosine", schedule_with_equal, "divides_by_zero"),
    ("07.warmup_cosine", schedule_with_a_guard_of_1, None),
    ("07.warmup_cosine", schedule_rounded_down, "zero_before_the_fall"),
    ("07.warmup_cosine", schedule_in_a_tensor, "always_returns_tensor"),
    ("07.warmup_cosine", schedule_in_a_tensor_later, "returns_tensor"),
    ("07.warmup_cosine", schedule_of_powers, None),
    ("07.warmup_cosine", schedule_of_the_first_transformer, None),
    ("07.warmup_cosine", schedule_backwards, None),
    ("07.warmup_cosine", schedule_after_the_rise_at_1, "fall_too_long"),
    ("07.warmup_cosine", schedule_as_a_list, None),
    ("07.warmup_cosine", schedule_of_a_learning_rate, None),
    ("07.train_step", step_with_one_group_clipped, None),
    ("07.train_step", step_with_a_new_optimizer, None),
    ("07.train_step", step_clipped_too_late, "not_clipped"),
    ("07.train_step", step_zeroed_after_backward, "nothing_learned"),
    ("07.train_step", step_never_taken, "nothing_learned"),
    ("07.train_step", step_without_gradients, None),
    ("07.train_step", step_with_a_detached_loss, "returns_tensor"),
    ("07.train_step", step_with_the_largest_norm, None),
    ("07.train_step", step_with_a_clipped_loss, None),
    ("07.train_step", step_with_shifted_targets),
    ("07.train_step", step_averaged_with_the_last, None),
    ("07.train_step", step_with_evaluation_afterwards, "left_in_evaluation_mode"),
    ("07.train_step", step_with_the_logits, None),
    ("07.perplexity", perplexity_of_means, "mean_of_the_batches"),
    ("07.perplexity", perplexity_in_training_mode, "dropout_on"),
    ("07.perplexity", perplexity_with_gradients, "way_back_remembered"),
    ("07.perplexity", perplexity_left_in_training, "always_back_to_training_mode"),
    ("07.perplexity", perplexity_in_a_tensor, "returns_tensor"),
    ("07.perplexity", perplexity_counting_columns, None),
    ("07.perplexity", perplexity_by_columns, None),
    ("07.perplexity", perplexity_returned_inside_the_loop, "first_batch_only"),
    ("07.perplexity", perplexity_with_the_mode_put_back_too_soon, "mode_put_back_too_soon"),
    ("07.perplexity", perplexity_shifted, None),
    ("07.perplexity", perplexity_of_medians, None),
    ("07.bits_per_byte", bits_of_characters, "bits_per_character"),
    ("07.bits_per_byte", bits_in_ascii, "ascii_only"),
    ("07.bits_per_byte", bits_in_utf_16, "utf_16"),
    ("07.bits_per_byte", bits_in_nats, "nats_for_bits"),
    ("07.bits_per_byte", bits_with_log2_of_the_total, None),
    ("07.bits_per_byte", bits_per_token, "bits_per_token"),
    ("07.bits_per_byte", bits_per_word),
    ("07.bits_per_byte", bits_in_a_tensor, "returns_tensor"),
    ("07.bits_per_byte", bits_with_a_rounded_ln_2, None),
    ("07.bits_per_byte", bits_rounded, None),
    ("07.bits_per_byte", bits_stripped),
    ("07.bits_per_byte", bits_in_half_precision),
    ("07.bits_per_byte", bits_for_each_token, None),
    ("07.bits_per_byte", bytes_for_a_bit, "bytes_per_bit"),
    ("07.power_law", law_with_a_sign, "sign_of_b"),
    ("07.power_law", law_without_exp, "a_still_a_logarithm"),
    ("07.power_law", law_unpacked_the_wrong_way, "slope_taken_for_the_intercept"),
    ("07.power_law", law_of_the_first_two, None),
    ("07.power_law", law_of_mean_slopes, None),
    ("07.power_law", law_with_log1p, None),
    ("07.power_law", law_with_exp_for_2, "exp_after_log2"),
    ("07.power_law", law_of_a_parabola, None),
    ("07.power_law", law_ignoring_a, None),
    ("07.power_law", law_weighted_by_n, None),
    ("07.power_law", law_in_log_axes_of_n, "loss_without_logarithm"),
    ("07.power_law", law_with_absolute_b, None),
]
