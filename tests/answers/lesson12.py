"""Answers to lesson 12 that learners write: right ones in other styles, and wrong ones."""

import math

import torch
import torch.nn.functional as F


# 12.1 sequence_log_prob
def by_cross_entropy(logits, labels):
    B, T, V = logits.shape
    nats = F.cross_entropy(logits.reshape(-1, V), labels.reshape(-1), reduction="none")
    return -nats.view(B, T).sum(dim=1)


def by_loops(logits, labels):
    rows = []
    for row, wanted in zip(logits, labels, strict=True):
        total = row.sum() * 0
        for position, label in zip(row, wanted.tolist(), strict=True):
            if label != -100:
                total = total + position[label] - position.logsumexp(0)
        rows.append(total)
    return torch.stack(rows)


def by_multiplying(logits, labels):
    mask = labels != -100
    safe = torch.where(mask, labels, torch.zeros_like(labels))
    log_p = F.log_softmax(logits, dim=2)
    return (log_p.gather(2, safe.unsqueeze(2)).squeeze(2) * mask.float()).sum(1)


def by_one_hot(logits, labels):
    mask = labels.ne(-100)
    chosen = F.one_hot(labels.masked_fill(~mask, 0), logits.size(-1)) * mask[..., None]
    return torch.einsum("btv,btv->b", logits.log_softmax(-1), chosen.to(logits.dtype))


def by_normalising(logits, labels):
    best = logits.max(-1, keepdim=True).values
    log_p = logits - best - (logits - best).exp().sum(-1, keepdim=True).log()
    B, T = labels.shape
    rows, places = torch.arange(B)[:, None], torch.arange(T)[None]
    return (log_p[rows, places, labels.clamp(0)]).masked_fill(labels == -100, 0.0).sum(-1)


def by_nll(logits, labels):
    return -F.nll_loss(logits.log_softmax(-1).transpose(1, 2), labels, reduction="none").sum(1)


def no_mask_at_all(logits, labels):
    return logits.log_softmax(-1).gather(-1, labels[..., None])[..., 0].sum(1)


def clamped_only(logits, labels):
    return logits.log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0].sum(1)


def default_mean(logits, labels):
    return -F.cross_entropy(logits.transpose(1, 2), labels)


def printed(logits, labels):
    print(by_nll(logits, labels))


def as_numbers(logits, labels):
    return by_nll(logits, labels).tolist()


def with_keepdim(logits, labels):
    return by_nll(logits, labels)[:, None]


def negative_labels_masked_to_their_mean(logits, labels):
    count = (labels != -100).sum(1)
    return by_nll(logits, labels) / count


def shifted(logits, labels):
    return by_nll(logits[:, :-1], labels[:, 1:])


def labels_above_zero(logits, labels):
    picked = logits.log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    return (picked * (labels > 0)).sum(1)


# 12.2 reward_loss
def by_softplus(chosen, rejected):
    return F.softplus(rejected - chosen).mean()


def by_logaddexp(chosen, rejected):
    return torch.logaddexp(torch.zeros_like(chosen), rejected - chosen).mean()


def by_two_classes(chosen, rejected):
    both = torch.stack([chosen, rejected], dim=1)
    return F.cross_entropy(both, torch.zeros(len(both), dtype=torch.long))


def by_bce(chosen, rejected):
    return F.binary_cross_entropy_with_logits(chosen - rejected, torch.ones_like(chosen))


def by_the_loop(chosen, rejected):
    losses = [-F.logsigmoid(c - r) for c, r in zip(chosen, rejected, strict=True)]
    return sum(losses) / len(losses)


def by_softmax_of_two(chosen, rejected):
    return -torch.stack([chosen, rejected]).log_softmax(0)[0].mean()


def sigmoid_then_log(chosen, rejected):
    return -torch.log(torch.sigmoid(chosen - rejected)).mean()


def the_wrong_way_round(chosen, rejected):
    return -F.logsigmoid(rejected - chosen).mean()


def margin_loss(chosen, rejected):
    return F.margin_ranking_loss(chosen, rejected, torch.ones_like(chosen), margin=1.0)


def as_a_float(chosen, rejected):
    return by_softplus(chosen, rejected).item()


def clipped_sigmoid(chosen, rejected):
    return -(chosen - rejected).sigmoid().clamp(min=1e-6).log().mean()


# 12.3 dpo_loss
def dpo_by_ratios(pc, pr, rc, rr, beta):
    if not beta > 0:
        raise ValueError("beta has to be positive")
    with torch.no_grad():
        reference = rc - rr
    return F.softplus(-beta * (pc - pr - reference)).mean()


def dpo_by_rewards(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    if beta <= 0:
        raise ValueError(f"beta must be above 0, not {beta}")
    chosen_reward = beta * (policy_chosen - reference_chosen.detach())
    rejected_reward = beta * (policy_rejected - reference_rejected.detach())
    return by_bce(chosen_reward, rejected_reward)


def dpo_by_probabilities(pc, pr, rc, rr, beta):
    if beta <= 0:
        raise ValueError("beta must be above 0")
    rc, rr = rc.detach(), rr.detach()
    return -(((pc - rc) - (pr - rr)) * beta).sigmoid().log().mean()


def dpo_asserting(pc, pr, rc, rr, beta):
    assert beta > 0, "beta must be above 0"
    return dpo_by_ratios(pc, pr, rc, rr, beta)


def dpo_without_a_sentence(pc, pr, rc, rr, beta):
    if beta <= 0:
        raise ValueError
    return dpo_by_ratios(pc, pr, rc, rr, beta)


def dpo_zero_allowed(pc, pr, rc, rr, beta):
    if beta < 0:
        raise ValueError("beta is negative")
    return -F.logsigmoid(beta * ((pc - rc.detach()) - (pr - rr.detach()))).mean()


def dpo_everything_detached(pc, pr, rc, rr, beta):
    return dpo_by_ratios(pc.detach(), pr.detach(), rc, rr, beta)


def dpo_policy_turned_round(pc, pr, rc, rr, beta):
    return dpo_by_ratios(rc, rr, pc, pr, beta)


def dpo_as_ipo(pc, pr, rc, rr, beta):
    if beta <= 0:
        raise ValueError("beta must be above 0")
    return ((pc - rc.detach() - pr + rr.detach() - 1 / (2 * beta)) ** 2).mean()


def dpo_as_two_classes(pc, pr, rc, rr, beta):
    if beta <= 0:
        raise ValueError("beta must be greater than zero")
    gains = torch.stack([pc, pr], dim=-1) - torch.stack([rc, rr], dim=-1).detach()
    return F.cross_entropy(beta * gains, torch.zeros(len(pc), dtype=torch.long))


def dpo_pair_by_pair(pc, pr, rc, rr, beta):
    if not beta > 0:
        raise ValueError(f"with beta = {beta} nothing is learned")
    losses = []
    for p, q, r, s in zip(pc, pr, rc.detach(), rr.detach(), strict=True):
        margin = beta * (p - q - (r - s))
        losses.append(torch.logaddexp(torch.zeros_like(margin), -margin))
    return torch.stack(losses).mean()


def dpo_with_data(pc, pr, rc, rr, beta):
    if beta <= 0:
        raise ValueError("beta must be greater than zero")
    margin = beta * (pc - pr - rc.data + rr.data)
    return -torch.nn.LogSigmoid()(margin).sum() / margin.numel()


def dpo_with_a_kink(pc, pr, rc, rr, beta):
    """A usual stable formula: at a margin of 0, where training begins, its gradient is another."""
    if beta <= 0:
        raise ValueError("beta must be greater than zero")
    margin = beta * (pc - pr - (rc - rr).detach())
    return (F.relu(-margin) + torch.log1p(torch.exp(-margin.abs()))).mean()


def dpo_as_a_hinge(pc, pr, rc, rr, beta):
    if beta <= 0:
        raise ValueError("beta must be greater than zero")
    return F.relu(1 - beta * (pc - pr - (rc - rr).detach())).mean()


def dpo_clamped(pc, pr, rc, rr, beta):
    if beta <= 0:
        raise ValueError("beta must be greater than zero")
    margin = beta * (pc - pr - (rc - rr).detach())
    return -F.logsigmoid(margin.clamp(-50, 50)).mean()


def dpo_with_smoothed_labels(pc, pr, rc, rr, beta):
    if beta <= 0:
        raise ValueError("beta must be greater than zero")
    margin = beta * (pc - pr - (rc - rr).detach())
    return -(0.9 * F.logsigmoid(margin) + 0.1 * F.logsigmoid(-margin)).mean()


def dpo_beta_on_the_policy_only(pc, pr, rc, rr, beta):
    if beta <= 0:
        raise ValueError("beta must be greater than zero")
    return -F.logsigmoid(beta * (pc - pr) - (rc - rr).detach()).mean()


# 12.4 group_advantages
def by_numpy_free_loops(rewards):
    rows = []
    for group in rewards.float().tolist():
        mean = sum(group) / len(group)
        spread = math.sqrt(sum((r - mean) ** 2 for r in group) / len(group))
        rows.append([(r - mean) / spread if spread > 1e-6 else 0.0 for r in group])
    return torch.tensor(rows)


def with_unbiased_false(rewards):
    r = rewards.to(torch.float64)
    mean, std = r.mean(-1)[:, None], r.std(-1, unbiased=False)[:, None]
    out = (r - mean) / std.masked_fill(std < 1e-6, 1.0)
    return out.masked_fill(std.expand_as(out) < 1e-6, 0.0)


def with_a_usual_epsilon(rewards):
    r = rewards.float()
    return (r - r.mean(1, keepdim=True)) / (r.std(1, keepdim=True, correction=0) + 1e-4)


def with_var_mean(rewards):
    var, mean = torch.var_mean(rewards.float(), dim=1, correction=0, keepdim=True)
    return torch.nan_to_num((rewards.float() - mean) * (var > 1e-12) / (var + 1e-30).sqrt())


def with_layer_norm(rewards):
    r = rewards.double()
    out = F.layer_norm(r, (r.shape[1],), eps=0)
    return torch.where(r.std(1, keepdim=True, correction=0) < 1e-6, torch.zeros_like(r), out)


def default_std(rewards):
    r = rewards.float()
    spread = r.std(1, keepdim=True)
    return torch.where(spread > 1e-6, (r - r.mean(1, keepdim=True)) / spread, 0).nan_to_num()


def nan_to_num_only(rewards):
    r = rewards.float()
    return ((r - r.mean(1, keepdim=True)) / r.std(1, keepdim=True, correction=0)).nan_to_num()


def no_floats(rewards):
    return (rewards - rewards.mean(1, keepdim=True)) / rewards.std(1, keepdim=True, correction=0)


def over_everything(rewards):
    r = rewards.float()
    return (r - r.mean()) / (r.std(correction=0) + 1e-6)


def one_for_each_group(rewards):
    return with_unbiased_false(rewards).mean(1)


def in_place(rewards):
    rewards -= rewards.float().mean(1, keepdim=True)
    return rewards / rewards.std(1, keepdim=True, correction=0).clamp(min=1e-6)


# 12.5 kl_penalty
def kl_with_expm1(log_probs, reference_log_probs):
    d = reference_log_probs.detach() - log_probs
    return torch.expm1(d) - d


def kl_with_ratio(log_probs, reference_log_probs):
    with torch.no_grad():
        reference = reference_log_probs.clone()
    ratio = torch.exp(reference - log_probs)
    return ratio - 1 - (reference - log_probs)


def kl_with_log_of_ratio(log_probs, reference_log_probs):
    r = torch.exp(reference_log_probs.detach()) / torch.exp(log_probs)
    return r - torch.log(r) - 1


def kl_without_detach(log_probs, reference_log_probs):
    d = reference_log_probs - log_probs
    return d.exp() - d - 1


def kl_turned_round(log_probs, reference_log_probs):
    return kl_with_expm1(reference_log_probs, log_probs)


def kl_by_pytorch(log_probs, reference_log_probs):
    return F.kl_div(reference_log_probs.detach(), log_probs, log_target=True, reduction="none")


def kl_plain(log_probs, reference_log_probs):
    return log_probs - reference_log_probs.detach()


def kl_no_gradient(log_probs, reference_log_probs):
    return kl_with_expm1(log_probs.detach(), reference_log_probs)


def kl_positive_part(log_probs, reference_log_probs):
    return (log_probs - reference_log_probs.detach()).relu()


# 12.6 grpo_loss
def grpo_picked_first(log_probs, old_log_probs, advantages, mask, clip=0.2):
    if mask.sum() == 0:
        raise ValueError("nothing in this batch counts")
    A = advantages.unsqueeze(1).repeat(1, mask.shape[1])[mask]
    ratio = torch.exp(log_probs[mask] - old_log_probs[mask].detach())
    return torch.max(-ratio * A, -torch.clip(ratio, 1 - clip, 1 + clip) * A).mean()


def grpo_filled(log_probs, old_log_probs, advantages, mask, clip=0.2):
    if not mask.any():
        raise ValueError("the mask is empty: no token counts")
    new = log_probs.masked_fill(~mask, 0.0)
    old = old_log_probs.masked_fill(~mask, 0.0).detach()
    ratio, A = (new - old).exp(), advantages.view(-1, 1)
    gain = torch.min(ratio * A, ratio.clamp(1 - clip, 1 + clip) * A)
    return -(gain * mask).sum() / mask.sum()


def grpo_row_by_row(log_probs, old_log_probs, advantages, mask, clip=0.2):
    total, count = 0.0, 0
    for new, old, A, keep in zip(log_probs, old_log_probs, advantages, mask, strict=True):
        ratio = (new[keep] - old[keep].detach()).exp()
        total = total + torch.minimum(ratio * A, ratio.clamp(1 - clip, 1 + clip) * A).sum()
        count += int(keep.sum())
    if count == 0:
        raise ValueError("no token of any answer counts")
    return -total / count


def grpo_by_sign(log_probs, old_log_probs, advantages, mask, clip=0.2):
    if not bool(mask.any()):
        raise ValueError("no token counts here")
    where, _ = mask.nonzero(as_tuple=True)
    A = advantages[where]
    ratio = (log_probs[mask] - old_log_probs[mask].detach()).exp()
    limited = torch.where(A > 0, ratio.clamp(max=1 + clip), ratio.clamp(min=1 - clip))
    return -(limited * A).mean()


def grpo_multiplied(log_probs, old_log_probs, advantages, mask, clip=0.2):
    if not mask.any():
        raise ValueError("no token counts here")
    ratio, A = (log_probs - old_log_probs.detach()).exp(), advantages[:, None]
    gain = torch.minimum(ratio * A, ratio.clamp(1 - clip, 1 + clip) * A)
    return -(gain * mask).sum() / mask.sum()


def grpo_where_at_the_end(log_probs, old_log_probs, advantages, mask, clip=0.2):
    if not mask.any():
        raise ValueError("no token counts here")
    ratio, A = (log_probs - old_log_probs.detach()).exp(), advantages[:, None]
    gain = torch.minimum(ratio * A, ratio.clamp(1 - clip, 1 + clip) * A)
    return -torch.where(mask, gain, 0.0).sum() / mask.sum()


def grpo_advantages_along_tokens(log_probs, old_log_probs, advantages, mask, clip=0.2):
    ratio = (log_probs - old_log_probs.detach()).exp()
    gain = torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)
    return -gain[mask].mean()


def grpo_nan_when_empty(log_probs, old_log_probs, advantages, mask, clip=0.2):
    A = advantages[:, None].expand(mask.shape)[mask]
    ratio = (log_probs[mask] - old_log_probs[mask].detach()).exp()
    return -torch.minimum(ratio * A, ratio.clamp(1 - clip, 1 + clip) * A).mean()


def grpo_ratio_detached(log_probs, old_log_probs, advantages, mask, clip=0.2):
    return grpo_picked_first(log_probs.detach(), old_log_probs, advantages, mask, clip)


def grpo_policy_gradient(log_probs, old_log_probs, advantages, mask, clip=0.2):
    if not mask.any():
        raise ValueError("no token counts here")
    return -(log_probs[mask] * advantages[:, None].expand(mask.shape)[mask]).mean()


# One case may leave no room for accidents: labels in place, views, rows without a token, the kink
def labels_in_place(logits, labels):
    counts = labels != -100
    labels[~counts] = 0
    return (logits.log_softmax(-1).gather(-1, labels[..., None])[..., 0] * counts).sum(1)


def by_view(logits, labels):
    B, T, V = logits.shape
    nats = F.cross_entropy(logits.view(B * T, V), labels.flatten(), reduction="none")
    return -nats.view(B, T).sum(1)


def dpo_in_float32(pc, pr, rc, rr, beta):
    if not beta > 0:
        raise ValueError(f"beta is {beta}, not above 0")
    off = (rc - rr).detach().float()
    return F.softplus(-beta * (pc.float() - pr.float() - off)).mean()


def dpo_with_one_detach(pc, pr, rc, rr, beta):
    if beta <= 0:
        raise ValueError("beta must be above 0")
    return -F.logsigmoid(beta * ((pc - rc.detach()) - (pr - rr))).mean()


def with_an_epsilon_of_1e_6(rewards):
    r = rewards.float()
    return (r - r.mean(1, keepdim=True)) / (r.std(1, keepdim=True, correction=0) + 1e-6)


def kl_capped(log_probs, reference_log_probs):
    d = reference_log_probs.detach() - log_probs
    return (d.exp() - d - 1).clamp(max=10)


def kl_within_five(log_probs, reference_log_probs):
    d = (reference_log_probs.detach() - log_probs).clamp(-5, 5)
    return d.exp() - d - 1


def ppo_with_a_limit(log_probs, old_log_probs, advantages, mask, clip=0.2):
    if not mask.any():
        raise ValueError("there is no token to learn from")
    A = advantages.repeat_interleave(mask.sum(1))
    ratio = (log_probs[mask] - old_log_probs.detach()[mask]).exp()
    limit = torch.where(A >= 0, (1 + clip) * A, (1 - clip) * A)
    return -torch.minimum(ratio * A, limit).mean()


def any_empty_row_refused(log_probs, old_log_probs, advantages, mask, clip=0.2):
    if not mask.any(1).all():
        raise ValueError("an answer has no token")
    return ppo_with_a_limit(log_probs, old_log_probs, advantages, mask, clip)


def mask_in_place(log_probs, old_log_probs, advantages, mask, clip=0.2):
    loss = ppo_with_a_limit(log_probs, old_log_probs, advantages, mask.clone(), clip)
    mask.logical_not_()
    return loss


RIGHT = [
    ("12.group_advantages", with_an_epsilon_of_1e_6),
    ("12.grpo_loss", ppo_with_a_limit),
    *(("12.sequence_log_prob", answer) for answer in (
        by_cross_entropy, by_loops, by_multiplying, by_one_hot, by_normalising, by_nll,
    )),
    *(("12.reward_loss", answer) for answer in (
        by_softplus, by_logaddexp, by_two_classes, by_bce, by_the_loop, by_softmax_of_two,
    )),
    *(("12.dpo_loss", answer) for answer in (
        dpo_by_ratios, dpo_by_rewards, dpo_as_two_classes, dpo_pair_by_pair, dpo_with_data,
    )),
    *(("12.group_advantages", answer) for answer in (
        by_numpy_free_loops, with_unbiased_false, with_a_usual_epsilon, with_var_mean,
        with_layer_norm,
    )),
    *(("12.kl_penalty", answer) for answer in (kl_with_expm1, kl_with_ratio, kl_with_log_of_ratio)),
    *(("12.grpo_loss", answer) for answer in (
        grpo_picked_first, grpo_filled, grpo_row_by_row, grpo_by_sign,
    )),
]  # fmt: skip

WRONG = [
    ("12.sequence_log_prob", labels_in_place, "changes_input"),
    ("12.sequence_log_prob", by_view, None),
    ("12.dpo_loss", dpo_in_float32, "always_float32"),
    ("12.dpo_loss", dpo_with_one_detach, "gradient_to_reference_rejected"),
    ("12.kl_penalty", kl_capped, None),
    ("12.kl_penalty", kl_within_five, None),
    ("12.grpo_loss", any_empty_row_refused, None),
    ("12.grpo_loss", mask_in_place, "changes_input"),
    ("12.sequence_log_prob", no_mask_at_all),
    ("12.sequence_log_prob", clamped_only, "masked_count_as_token_0"),
    ("12.sequence_log_prob", default_mean),
    ("12.sequence_log_prob", printed),
    ("12.sequence_log_prob", as_numbers),
    ("12.sequence_log_prob", with_keepdim, None),
    ("12.sequence_log_prob", negative_labels_masked_to_their_mean),
    ("12.sequence_log_prob", shifted, "shifted_again"),
    ("12.sequence_log_prob", labels_above_zero, "token_0_left_out"),
    ("12.reward_loss", sigmoid_then_log, "log_of_sigmoid"),
    ("12.reward_loss", the_wrong_way_round, "swapped"),
    ("12.reward_loss", margin_loss, "hinge"),
    ("12.reward_loss", as_a_float),
    ("12.reward_loss", clipped_sigmoid, None),
    ("12.dpo_loss", dpo_by_probabilities, "log_of_sigmoid"),
    ("12.dpo_loss", dpo_asserting),
    ("12.dpo_loss", dpo_without_a_sentence),
    ("12.dpo_loss", dpo_zero_allowed, "zero_allowed"),
    ("12.dpo_loss", dpo_everything_detached),
    ("12.dpo_loss", dpo_policy_turned_round),
    ("12.dpo_loss", dpo_as_ipo, None),
    ("12.group_advantages", default_std, "divided_by_G_minus_1"),
    ("12.group_advantages", nan_to_num_only),
    ("12.group_advantages", no_floats),
    ("12.group_advantages", over_everything),
    ("12.group_advantages", one_for_each_group),
    ("12.group_advantages", in_place),
    ("12.kl_penalty", kl_without_detach, "gradient_to_the_reference"),
    ("12.kl_penalty", kl_turned_round),
    ("12.kl_penalty", kl_by_pytorch),
    ("12.kl_penalty", kl_plain, "plain_difference"),
    ("12.kl_penalty", kl_no_gradient),
    ("12.kl_penalty", kl_positive_part, "negative_cut_off"),
    ("12.grpo_loss", grpo_multiplied, "multiplied_with_the_mask"),
    ("12.grpo_loss", grpo_where_at_the_end, "picked_too_late"),
    ("12.grpo_loss", grpo_advantages_along_tokens),
    ("12.grpo_loss", grpo_nan_when_empty, "no_refusal"),
    ("12.grpo_loss", grpo_ratio_detached),
    ("12.grpo_loss", grpo_policy_gradient),
    ("12.dpo_loss", dpo_with_a_kink, "another_gradient"),
    ("12.dpo_loss", dpo_as_a_hinge, None),
    ("12.dpo_loss", dpo_clamped, None),
    ("12.dpo_loss", dpo_with_smoothed_labels, None),
    ("12.dpo_loss", dpo_beta_on_the_policy_only, "beta_on_the_policy_only"),
]
