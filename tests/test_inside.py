"""Batched changes inside a Llama give what one change after the other gives."""

import copy

import pytest
import torch

from utils import inside
from utils.checks.lesson08.common import hugging_face
from utils.checks.lesson14.ablate_heads import ablate_heads
from utils.checks.lesson14.activations import activations
from utils.checks.lesson14.common import hooks
from utils.checks.lesson14.patch_activation import patch_activation

IDS = torch.tensor([[3, 1, 4, 1, 5, 9]])
OTHER = torch.tensor([[2, 7, 1, 8, 2, 8]])


@pytest.fixture
def model():
    return copy.deepcopy(hugging_face(3))


@torch.no_grad()
def last(model, ids):
    return model(ids).logits[:, -1]


def test_the_blocks_from_any_on_give_the_models_logits(model):
    states = inside.block_inputs(model, IDS)
    for first in range(3):
        assert torch.allclose(
            inside.run_from(model, states[first], first), last(model, IDS), atol=1e-5
        )


def test_each_position_is_patched_alone(model):
    ours, theirs = (activations.oracle(model, ids)[1, 0] for ids in (IDS, OTHER))
    together = inside.patch_each_position(model, theirs, ours, 1)
    for position in range(6):
        alone = patch_activation.oracle(model, OTHER, IDS, 1, position)[0, -1]
        assert torch.allclose(together[position], alone, atol=1e-4)


def test_each_head_is_replaced_alone(model):
    states = inside.block_inputs(model, IDS)
    silent = torch.zeros(4, 6, 4)
    together = inside.each_head_replaced(model, states[1], 1, silent)
    for head in range(4):
        with ablate_heads.oracle(model, [(1, head)]):
            assert torch.allclose(together[head], last(model, IDS)[0], atol=1e-4)
        with inside.head_replaced(model, 1, head, silent[head]):
            assert torch.allclose(together[head], last(model, IDS)[0], atol=1e-4)


def test_a_heads_own_output_changes_nothing_and_no_hook_stays(model):
    before = copy.deepcopy(model)
    outputs = inside.head_outputs(model, IDS)
    assert outputs.shape == (3, 1, 4, 6, 4)
    with inside.head_replaced(model, 2, 3, outputs[2, 0, 3]):
        assert torch.equal(last(model, IDS), last(before, IDS))
    with pytest.raises(RuntimeError), inside.head_replaced(model, 0, 0, torch.zeros(5, 4)):
        last(model, IDS)
    assert hooks(model, before) == 0
