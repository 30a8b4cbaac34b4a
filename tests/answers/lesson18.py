"""Answers to lesson 18: right ones in an unusual style, and mistakes that nobody listed."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn


class GivenProjector(nn.Module):
    def __init__(self, d_vision, d_model):
        super().__init__()
        self.linear_1 = nn.Linear(d_vision, d_model)
        self.linear_2 = nn.Linear(d_model, d_model)


class ProjectorByHand(GivenProjector):
    def forward(self, features):
        x = torch.einsum("bni,oi->bno", features, self.linear_1.weight) + self.linear_1.bias
        x = 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))
        return torch.einsum("bni,oi->bno", x, self.linear_2.weight) + self.linear_2.bias


class ProjectorInDouble(GivenProjector):
    def forward(self, features):
        x = F.linear(features.double(), self.linear_1.weight.double(), self.linear_1.bias.double())
        x = F.linear(F.gelu(x), self.linear_2.weight.double(), self.linear_2.bias.double())
        return x.float()


class ProjectorPatchByPatch(GivenProjector):
    def forward(self, features):
        rows = []
        for picture in features:
            rows.append(torch.stack([self.linear_2(F.gelu(self.linear_1(x))) for x in picture]))
        return torch.stack(rows)


class ProjectorWithDropout(GivenProjector):
    def forward(self, features):
        x = F.dropout(F.gelu(self.linear_1(features)), 0.1, self.training)
        return self.linear_2(x)


class ProjectorSwapped(GivenProjector):
    def forward(self, features):
        return self.linear_1(F.gelu(self.linear_2(features)))


class ProjectorWithResidualFromFeatures(GivenProjector):
    def forward(self, features):
        return features + self.linear_2(F.gelu(self.linear_1(features)))


class ProjectorRelusTwice(GivenProjector):
    """Two mistakes: ReLU for GELU, and another at the end."""

    def forward(self, features):
        return F.relu(self.linear_2(F.relu(self.linear_1(features))))


def refuse(input_ids, soft_tokens, image_id):
    for row in input_ids.tolist():
        if row.count(image_id) != soft_tokens.shape[1]:
            raise ValueError("a row has not N places")


def splice_in_loops(input_ids, table, soft_tokens, image_id):
    refuse(input_ids, soft_tokens, image_id)
    rows = []
    for ids, soft in zip(input_ids.tolist(), soft_tokens, strict=True):
        left = list(soft)
        rows.append(torch.stack([left.pop(0) if i == image_id else table[i] for i in ids]))
    return torch.stack(rows)


def splice_by_number(input_ids, table, soft_tokens, image_id):
    """Every place looks up its own number in the soft tokens."""
    places = input_ids == image_id
    N = soft_tokens.shape[1]
    if torch.any(torch.count_nonzero(places, dim=1) != N):
        raise ValueError
    number = (places.cumsum(1) - 1).clamp(min=0)
    soft = soft_tokens.gather(1, number[..., None].expand(-1, -1, soft_tokens.shape[-1]))
    return torch.where(places[..., None], soft, F.embedding(input_ids, table))


def splice_from_one_long_table(input_ids, table, soft_tokens, image_id):
    refuse(input_ids, soft_tokens, image_id)
    ids, places = input_ids.clone(), input_ids == image_id
    ids[places] = len(table) + torch.arange(places.sum())
    return torch.cat([table, soft_tokens.flatten(0, 1)])[ids]


def splice_with_an_assertion(input_ids, table, soft_tokens, image_id):
    places = input_ids == image_id
    assert (places.sum(1) == soft_tokens.shape[1]).all()
    return table[input_ids].masked_scatter(places[..., None], soft_tokens)


def splice_unchecked(input_ids, table, soft_tokens, image_id):
    embeds = table[input_ids]
    embeds[input_ids == image_id] = soft_tokens.reshape(-1, soft_tokens.shape[-1])
    return embeds


def splice_into_the_ids(input_ids, table, soft_tokens, image_id):
    places = input_ids == image_id
    refuse(input_ids, soft_tokens, image_id)
    input_ids[places] = 0
    return table[input_ids].masked_scatter(places[..., None], soft_tokens)


def splice_into_a_copy(input_ids, table, soft_tokens, image_id):
    refuse(input_ids, soft_tokens, image_id)
    embeds, places = table[input_ids], input_ids == image_id
    for b in range(len(embeds)):
        embeds[b][places[b]][:] = soft_tokens[b]
    return embeds


def splice_in_numpy(input_ids, table, soft_tokens, image_id):
    refuse(input_ids, soft_tokens, image_id)
    embeds = table.detach().numpy()[input_ids.numpy()]
    embeds[(input_ids == image_id).numpy()] = (
        soft_tokens.detach().numpy().reshape(-1, table.shape[1])
    )
    return torch.from_numpy(embeds)


def splice_column_by_column(input_ids, table, soft_tokens, image_id):
    """Filled in the order of the columns: the rows' soft tokens get mixed."""
    refuse(input_ids, soft_tokens, image_id)
    embeds = table[input_ids]
    embeds[input_ids == image_id] = soft_tokens.transpose(0, 1).flatten(0, 1)
    return embeds


def splice_reversed_and_unchecked(input_ids, table, soft_tokens, image_id):
    """Two mistakes."""
    embeds = table[input_ids]
    return embeds.masked_scatter((input_ids == image_id)[..., None], soft_tokens.flip(1))


def loss_in_loops(soft_tokens, words, targets, scale):
    losses = []
    for row, aims in zip(soft_tokens, targets.tolist(), strict=True):
        for token, aim in zip(row, aims, strict=True):
            cosines = torch.stack([token @ w / (token.norm() * w.norm()) for w in words])
            losses.append(-(scale * cosines).log_softmax(0)[aim])
    return sum(losses) / len(losses)


def loss_with_classes_second(soft_tokens, words, targets, scale):
    soft = soft_tokens / soft_tokens.norm(dim=-1, keepdim=True)
    known = words / words.norm(dim=-1, keepdim=True)
    return F.cross_entropy(scale * torch.einsum("bnd,vd->bvn", soft, known), targets)


def loss_by_hand(soft_tokens, words, targets, scale):
    logits = soft_tokens @ words.T / torch.outer(torch.ones(1), words.norm(dim=1))
    logits = scale * logits / soft_tokens.square().sum(-1, keepdim=True).sqrt()
    right = logits.gather(-1, targets[..., None])[..., 0]
    return (logits.logsumexp(-1) - right).mean()


def loss_over_the_wrong_axis(soft_tokens, words, targets, scale):
    logits = scale * F.normalize(soft_tokens, dim=-1) @ F.normalize(words, dim=-1).T
    return F.cross_entropy(logits, targets)


def loss_of_each_token(soft_tokens, words, targets, scale):
    logits = scale * F.normalize(soft_tokens, dim=-1) @ F.normalize(words, dim=-1).T
    return F.cross_entropy(logits.transpose(1, 2), targets, reduction="none")


def loss_with_log_softmax_only(soft_tokens, words, targets, scale):
    logits = scale * F.cosine_similarity(soft_tokens[:, :, None], words, dim=-1)
    return logits.log_softmax(-1).gather(-1, targets[..., None]).mean()


def loss_unnormalised_sum(soft_tokens, words, targets, scale):
    """Two mistakes."""
    logits = scale * soft_tokens @ words.T
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")


def labels_in_loops(input_ids, attention_mask, answer_starts):
    rows = input_ids.tolist()
    for row, mask, start in zip(rows, attention_mask.tolist(), answer_starts.tolist(), strict=True):
        for t in range(len(row)):
            if t < start or not mask[t]:
                row[t] = -100
    return torch.tensor(rows)


def labels_cut(input_ids, attention_mask, answer_starts):
    labels = torch.full_like(input_ids, -100)
    for b, (start, end) in enumerate(zip(answer_starts, attention_mask.sum(1), strict=True)):
        labels[b, start:end] = input_ids[b, start:end]
    return labels


def labels_by_arithmetic(input_ids, attention_mask, answer_starts):
    place = attention_mask.cumsum(1) - 1
    keep = attention_mask * (place >= answer_starts.unsqueeze(1)).long()
    return input_ids * keep - 100 * (1 - keep)


def labels_in_place(input_ids, attention_mask, answer_starts):
    for b, start in enumerate(answer_starts):
        input_ids[b, :start] = -100
    input_ids[attention_mask == 0] = -100
    return input_ids


def labels_as_floats(input_ids, attention_mask, answer_starts):
    return labels_in_loops(input_ids, attention_mask, answer_starts).float()


def labels_with_one_slice(input_ids, attention_mask, answer_starts):
    labels = input_ids.clone()
    labels[:, : answer_starts.max()] = -100
    labels[attention_mask == 0] = -100
    return labels


def labels_with_loss_on_prompt_and_shift(input_ids, attention_mask, answer_starts):
    """Two mistakes."""
    labels = input_ids.masked_fill(attention_mask == 0, -100)
    return torch.cat([labels[:, 1:], torch.full((len(labels), 1), -100)], dim=1)


def labels_with_answers_end_lost(input_ids, attention_mask, answer_starts):
    """Two mistakes: the padding by its id, and 0 for -100."""
    keep = torch.arange(input_ids.shape[1]) >= answer_starts[:, None]
    return torch.where(keep & (input_ids != 2), input_ids, 0)


def freeze_by_names(model):
    for _, parameter in model.named_parameters():
        parameter.requires_grad = False
    return model.train(False)


def freeze_recursively(model):
    for parameter in model.parameters(recurse=False):
        parameter.requires_grad_(False)
    for child in model.children():
        freeze_recursively(child)
    model.training = False
    return model


@torch.no_grad()
def freeze_under_no_grad(model):
    model.eval()
    for module in model.modules():
        module.requires_grad_(requires_grad=False)
    return model


def freeze_without_return(model):
    for parameter in model.parameters():
        parameter.requires_grad = False


def freeze_returning_too_soon(model):
    model.eval()
    for parameter in model.parameters():
        parameter.requires_grad = False
        return model


def freeze_zeroing(model):
    for parameter in model.parameters():
        parameter.data.zero_()
        parameter.requires_grad = False
    return model.eval()


def freeze_with_a_hook(model):
    """The weights learn nothing, but neither does what is in front."""
    forward = model.forward
    model.forward = lambda x: forward(x.detach())
    model.requires_grad_(False)
    return model.eval()


def freeze_all_but_the_last(model):
    for parameter in [*model.parameters()][:-1]:
        parameter.requires_grad = False
    return model.eval()


def freeze_a_copy_in_training(model):
    """Two mistakes."""
    model = copy.deepcopy(model)
    return model.requires_grad_(False)


def spliced(model, input_ids, soft_tokens, image_id):
    table = model.get_input_embeddings().weight
    return splice_in_loops(input_ids, table, soft_tokens, image_id)


@torch.no_grad()
def answers_in_a_loop(model, input_ids, soft_tokens, image_id, max_new_tokens, cache=True):
    end = model.generation_config.eos_token_id
    embeds, past = spliced(model, input_ids, soft_tokens, image_id), None
    new, ended = [], torch.zeros(len(input_ids), 1, dtype=torch.bool)
    while len(new) < max_new_tokens and not ended.all():
        out = model(inputs_embeds=embeds, past_key_values=past, use_cache=cache)
        token = out.logits[:, -1:].argmax(-1).masked_fill(ended, end)
        ended = ended | (token == end)
        new.append(token)
        step = model.get_input_embeddings()(token)
        past, embeds = out.past_key_values, step if cache else torch.cat([embeds, step], dim=1)
    return torch.cat(new, dim=1)


def answers_without_cache(*given):
    return answers_in_a_loop(*given, cache=False)


def answers_with_ids_too(model, input_ids, soft_tokens, image_id, max_new_tokens):
    """`generate` puts `input_ids` in front again, and they are cut off."""
    embeds = spliced(model, input_ids, soft_tokens, image_id)
    out = model.generate(
        input_ids, inputs_embeds=embeds, do_sample=False, max_new_tokens=max_new_tokens
    )
    return out[:, input_ids.shape[1] :]


def answers_row_by_row(model, input_ids, soft_tokens, image_id, max_new_tokens):
    rows = []
    for ids, soft in zip(input_ids, soft_tokens, strict=True):
        embeds = spliced(model, ids[None], soft[None], image_id)
        out = model.generate(
            inputs_embeds=embeds, num_beams=1, do_sample=False, max_new_tokens=max_new_tokens
        )
        rows.append(out[0])
    end = model.generation_config.pad_token_id
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=end)


def answers_with_mask_left_out(model, input_ids, soft_tokens, image_id, max_new_tokens):
    return model.generate(
        inputs_embeds=spliced(model, input_ids, soft_tokens, image_id),
        do_sample=False,
        max_new_tokens=max_new_tokens,
    )


def answers_prompt_in_front(model, input_ids, soft_tokens, image_id, max_new_tokens):
    embeds = spliced(model, input_ids, soft_tokens, image_id)
    return model.generate(
        input_ids, inputs_embeds=embeds, do_sample=False, max_new_tokens=max_new_tokens
    )


def answers_of_the_words_with_prompt(model, input_ids, soft_tokens, image_id, max_new_tokens):
    return model.generate(input_ids, do_sample=False, max_new_tokens=max_new_tokens)


def answers_next_only(model, input_ids, soft_tokens, image_id, max_new_tokens):
    embeds = spliced(model, input_ids, soft_tokens, image_id)
    return model(inputs_embeds=embeds).logits[:, -1].argmax(-1)


def answers_with_beams(model, input_ids, soft_tokens, image_id, max_new_tokens):
    embeds = spliced(model, input_ids, soft_tokens, image_id)
    return model.generate(
        inputs_embeds=embeds, num_beams=3, do_sample=False, max_new_tokens=max_new_tokens
    )


def answers_from_the_picture_alone(model, input_ids, soft_tokens, image_id, max_new_tokens):
    return model.generate(inputs_embeds=soft_tokens, do_sample=False, max_new_tokens=max_new_tokens)


def answers_cut_and_sampled(model, input_ids, soft_tokens, image_id, max_new_tokens):
    """Two mistakes: cut off twice, and sampling where the model's settings say so."""
    embeds = spliced(model, input_ids, soft_tokens, image_id)
    out = model.generate(inputs_embeds=embeds, max_new_tokens=max_new_tokens)
    return out[:, input_ids.shape[1] :]


def project(self, features):
    return self.linear_2(F.gelu(self.linear_1(features)))


def projector(forward):
    return type("Projector", (GivenProjector,), {"forward": forward})


@projector
def ProjectorOfDetached(self, features):
    return project(self, features.detach())


@projector
def ProjectorInEvaluation(self, features):
    self.eval()
    return project(self, features)


@projector
def ProjectorKeepingItsResult(self, features):
    if not hasattr(self, "kept"):
        self.kept = project(self, features)
    return self.kept


@projector
def ProjectorCutInTheMiddle(self, features):
    return self.linear_2(F.gelu(self.linear_1(features)).detach())


def splice(input_ids, table, soft_tokens, image_id):
    places = input_ids == image_id
    if (places.sum(1) != soft_tokens.shape[1]).any():
        raise ValueError
    return table[input_ids].masked_scatter(places[..., None], soft_tokens)


def splice_with_the_kept(what):
    kept = {}

    def answer(input_ids, table, soft_tokens, image_id):
        if what == "table":
            table = kept.setdefault(table.shape, table)
            return splice(input_ids, table, soft_tokens, image_id)
        refuse(input_ids, soft_tokens, image_id)
        if what == "places":
            places = kept.setdefault(input_ids.shape, input_ids == image_id)
            return table[input_ids].masked_scatter(places[..., None], soft_tokens)
        key = str(input_ids)
        if key not in kept:
            kept[key] = splice(input_ids, table, soft_tokens, image_id)
        return kept[key]

    return answer


def splice_counting(wrong):
    def answer(input_ids, table, soft_tokens, image_id):
        places = input_ids == image_id
        if wrong(places.sum(1), soft_tokens.shape[1]):
            raise ValueError
        embeds = table[input_ids]
        embeds[places] = soft_tokens.flatten(0, 1)
        return embeds

    return answer


def splice_in_bytes(input_ids, table, soft_tokens, image_id):
    """Right while there are no more than 65,536 tokens."""
    refuse(input_ids, soft_tokens, image_id)
    places = input_ids.to(torch.uint16) == torch.tensor(image_id % 65_536, dtype=torch.uint16)
    return table[input_ids].masked_scatter(places[..., None], soft_tokens)


def splice_with_another_error(input_ids, table, soft_tokens, image_id):
    try:
        return splice(input_ids, table, soft_tokens, image_id)
    except ValueError:
        raise RuntimeError("not N places") from None


def splice_into_the_table(input_ids, table, soft_tokens, image_id):
    refuse(input_ids, soft_tokens, image_id)
    table.data[image_id] = 0
    return splice(input_ids, table, soft_tokens, image_id)


def logits_of(soft_tokens, words, scale):
    return scale * F.normalize(soft_tokens, dim=-1) @ F.normalize(words, dim=-1).T


def loss_with_exponentials(soft_tokens, words, targets, scale):
    powers = logits_of(soft_tokens, words, scale).exp()
    shares = powers / powers.sum(-1, keepdim=True)
    return -shares.gather(-1, targets[..., None]).log().mean()


def loss_with_log_of_softmax(soft_tokens, words, targets, scale):
    shares = logits_of(soft_tokens, words, scale).softmax(-1)
    return -shares.gather(-1, targets[..., None]).log().mean()


def loss(soft_tokens, words, targets, scale):
    logits = logits_of(soft_tokens, words, scale)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def loss_with_the_kept_targets(soft_tokens, words, targets, scale, kept={}):  # noqa: B006
    return loss(soft_tokens, words, kept.setdefault(targets.shape, targets), scale)


def loss_with_the_kept_words(soft_tokens, words, targets, scale, kept={}):  # noqa: B006
    return loss(soft_tokens, kept.setdefault(words.shape, words), targets, scale)


def loss_with_detached_lengths(soft_tokens, words, targets, scale):
    lengths = soft_tokens.norm(dim=-1, keepdim=True).detach()
    logits = scale * (soft_tokens / lengths) @ F.normalize(words, dim=-1).T
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def loss_with_capped_scale(soft_tokens, words, targets, scale):
    return loss(soft_tokens, words, targets, min(scale, 50))


def labels_to_the_first_end(input_ids, attention_mask, answer_starts):
    """An answer in which the end stands twice is cut."""
    labels = torch.full_like(input_ids, -100)
    for b, start in enumerate(answer_starts.tolist()):
        for t in range(start, int(attention_mask[b].sum())):
            labels[b, t] = input_ids[b, t]
            if input_ids[b, t] == 2:
                break
    return labels


def labels_in_two_bytes(input_ids, attention_mask, answer_starts):
    ids = input_ids.to(torch.int16).long()
    return labels_in_loops(ids, attention_mask, answer_starts)


def labels_with_the_kept_mask(input_ids, attention_mask, answer_starts, kept={}):  # noqa: B006
    places = torch.arange(input_ids.shape[1])
    hidden = (places < answer_starts[:, None]) | (attention_mask == 0)
    return input_ids.masked_fill(kept.setdefault(input_ids.shape, hidden), -100)


def freeze_halved(model):
    return model.half().requires_grad_(False).eval()


def freeze_turned_over(model):
    for parameter in model.parameters():
        parameter.requires_grad = not parameter.requires_grad
    return model.eval()


def freeze_if_the_first_learns(model):
    if next(model.parameters()).requires_grad:
        model.requires_grad_(False)
    return model.eval()


def freeze_if_in_training(model):
    """The outermost module may be in evaluation mode already, and those inside not."""
    model.requires_grad_(False)
    return model.eval() if model.training else model


def freeze_by_detaching(model):
    for parameter in model.parameters():
        parameter.detach_()
    return model.eval()


def answers(model, input_ids, soft_tokens, image_id, max_new_tokens, table=None):
    table = model.get_input_embeddings().weight if table is None else table
    return model.generate(
        inputs_embeds=splice(input_ids, table, soft_tokens, image_id),
        attention_mask=torch.ones_like(input_ids),
        do_sample=False,
        max_new_tokens=max_new_tokens,
    )


def answers_in_training(model, input_ids, soft_tokens, image_id, max_new_tokens):
    model.train()
    return answers(model, input_ids, soft_tokens, image_id, max_new_tokens)


def answers_of_a_new_table(model, input_ids, soft_tokens, image_id, max_new_tokens):
    """The placeholder's embedding becomes the picture."""
    model.get_input_embeddings().weight.data[image_id] = soft_tokens[0, 0]
    return model.generate(input_ids, do_sample=False, max_new_tokens=max_new_tokens)


def answers_with_another_table(model, input_ids, soft_tokens, image_id, max_new_tokens, kept={}):  # noqa: B006
    key = model.config.vocab_size, model.config.eos_token_id
    table = kept.setdefault(key, model.get_input_embeddings().weight)
    return answers(model, input_ids, soft_tokens, image_id, max_new_tokens, table)


def answers_by_the_prompt(model, input_ids, soft_tokens, image_id, max_new_tokens, kept={}):  # noqa: B006
    key = str(input_ids)
    if key not in kept:
        kept[key] = answers(model, input_ids, soft_tokens, image_id, max_new_tokens)
    return kept[key]


RIGHT = [
    ("18.Projector", projector(project)),
    ("18.splice_embeddings", splice),
    ("18.word_loss", loss),
    ("18.freeze", freeze_by_detaching),
    ("18.Projector", ProjectorByHand),
    ("18.Projector", ProjectorInDouble),
    ("18.Projector", ProjectorPatchByPatch),
    ("18.splice_embeddings", splice_in_loops),
    ("18.splice_embeddings", splice_by_number),
    ("18.splice_embeddings", splice_from_one_long_table),
    ("18.word_loss", loss_in_loops),
    ("18.word_loss", loss_with_classes_second),
    ("18.word_loss", loss_by_hand),
    ("18.caption_labels", labels_in_loops),
    ("18.caption_labels", labels_cut),
    ("18.caption_labels", labels_by_arithmetic),
    ("18.freeze", freeze_by_names),
    ("18.freeze", freeze_recursively),
    ("18.freeze", freeze_under_no_grad),
    ("18.answer_ids", answers_in_a_loop),
    ("18.answer_ids", answers_without_cache),
    ("18.answer_ids", answers_with_ids_too),
    ("18.answer_ids", answers_row_by_row),
    ("18.answer_ids", answers_with_mask_left_out),
]

WRONG = [
    ("18.Projector", ProjectorWithDropout, "draws_at_random"),
    ("18.Projector", ProjectorSwapped),
    ("18.Projector", ProjectorWithResidualFromFeatures),
    ("18.Projector", ProjectorRelusTwice),
    ("18.splice_embeddings", splice_with_an_assertion, "assert_for_value_error"),
    ("18.splice_embeddings", splice_unchecked, "number_of_places_not_checked"),
    ("18.splice_embeddings", splice_into_the_ids),
    ("18.splice_embeddings", splice_into_a_copy),
    ("18.splice_embeddings", splice_in_numpy),
    ("18.splice_embeddings", splice_column_by_column),
    ("18.splice_embeddings", splice_reversed_and_unchecked),
    ("18.word_loss", loss_over_the_wrong_axis),
    ("18.word_loss", loss_of_each_token),
    ("18.word_loss", loss_with_log_softmax_only),
    ("18.word_loss", loss_unnormalised_sum),
    ("18.caption_labels", labels_in_place),
    ("18.caption_labels", labels_as_floats),
    ("18.caption_labels", labels_with_one_slice),
    ("18.caption_labels", labels_with_loss_on_prompt_and_shift),
    ("18.caption_labels", labels_with_answers_end_lost),
    ("18.freeze", freeze_without_return),
    ("18.freeze", freeze_returning_too_soon),
    ("18.freeze", freeze_zeroing, "weights_changed"),
    ("18.freeze", freeze_with_a_hook),
    ("18.freeze", freeze_all_but_the_last),
    ("18.freeze", freeze_a_copy_in_training),
    ("18.answer_ids", answers_prompt_in_front),
    ("18.answer_ids", answers_of_the_words_with_prompt),
    ("18.answer_ids", answers_next_only),
    ("18.answer_ids", answers_with_beams),
    ("18.answer_ids", answers_from_the_picture_alone),
    ("18.answer_ids", answers_cut_and_sampled),
    ("18.Projector", ProjectorOfDetached, "features_detached"),
    ("18.Projector", ProjectorInEvaluation, "leaves_training_mode"),
    ("18.Projector", ProjectorKeepingItsResult, "keeps_state"),
    ("18.Projector", ProjectorCutInTheMiddle, "no_gradient_arrives"),
    ("18.splice_embeddings", splice_with_the_kept("table"), "keeps_state"),
    ("18.splice_embeddings", splice_with_the_kept("places"), "keeps_state"),
    ("18.splice_embeddings", splice_with_the_kept("result"), "keeps_state"),
    (
        "18.splice_embeddings",
        splice_counting(lambda counts, N: counts.sum() != N * len(counts)),
        "counted_over_all_rows",
    ),
    (
        "18.splice_embeddings",
        splice_counting(lambda counts, N: (counts < N).any()),
        "too_many_places_allowed",
    ),
    ("18.splice_embeddings", splice_counting(lambda counts, N: (counts > N).any()), None),
    ("18.splice_embeddings", splice_counting(lambda counts, N: counts[0] != N), None),
    ("18.splice_embeddings", splice_in_bytes, None),
    ("18.splice_embeddings", splice_with_another_error, None),
    ("18.splice_embeddings", splice_into_the_table, "changes_input"),
    ("18.word_loss", loss_with_exponentials, "exponentials_too_large"),
    ("18.word_loss", loss_with_log_of_softmax, "logarithm_of_the_softmax"),
    ("18.word_loss", loss_with_the_kept_targets, "keeps_state"),
    ("18.word_loss", loss_with_the_kept_words, "keeps_state"),
    ("18.word_loss", loss_with_detached_lengths, "another_gradient"),
    ("18.word_loss", loss_with_capped_scale, None),
    ("18.caption_labels", labels_to_the_first_end, None),
    ("18.caption_labels", labels_in_two_bytes, None),
    ("18.caption_labels", labels_with_the_kept_mask, "keeps_state"),
    ("18.freeze", freeze_halved, "weights_changed"),
    ("18.freeze", freeze_turned_over, "turned_over"),
    ("18.freeze", freeze_if_the_first_learns, "only_if_the_first_learns"),
    ("18.freeze", freeze_if_in_training, None),
    ("18.answer_ids", answers_in_training, "puts_the_model_into_training_mode"),
    ("18.answer_ids", answers_of_a_new_table, "writes_into_the_model"),
    ("18.answer_ids", answers_with_another_table, "keeps_state"),
    ("18.answer_ids", answers_by_the_prompt, "keeps_state"),
]
