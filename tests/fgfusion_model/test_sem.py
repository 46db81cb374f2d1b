"""Attention in the order of Eq. (3): the first argument asks, the second answers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fgfusion_model.backbone import DFEB, SFEB, DeepFeatures
from fgfusion_model.sem import SEM, Attention, DenseSemantics
from fgfusion_model.settings import preset


def attention_by_hand(module: Attention, query: Tensor, memory: Tensor) -> Tensor:
    """The textbook formula, one head after the other."""
    asked = module.query(module.query_norm(query))
    key, value = module.key_value(module.memory_norm(memory)).chunk(2, -1)
    size = asked.shape[-1] // module.heads
    found = []
    for head in range(module.heads):
        part = slice(head * size, (head + 1) * size)
        scores = asked[..., part] @ key[..., part].transpose(1, 2) / math.sqrt(size)
        found.append(torch.softmax(scores, -1) @ value[..., part])
    x = query + module.out(torch.cat(found, -1))
    return x + module.feed(module.feed_norm(x))


def deep_features(seed: int) -> DeepFeatures:
    generator = torch.Generator().manual_seed(seed)
    sizes = zip(preset("lite").widths, (16, 8, 4), strict=True)
    return DeepFeatures(*(torch.rand((2, width, s, s), generator=generator) for width, s in sizes))


def test_attention_is_the_textbook_formula() -> None:
    torch.manual_seed(1)
    module = Attention(32, 4)
    query, memory = torch.rand(2, 6, 32), torch.rand(2, 9, 32)
    torch.testing.assert_close(module(query, memory), attention_by_hand(module, query, memory))


def test_the_answer_does_not_depend_on_the_order_of_the_memory() -> None:
    module = Attention(32, 4)
    query, memory = torch.rand(1, 5, 32), torch.rand(1, 7, 32)
    torch.testing.assert_close(module(query, memory), module(query, memory.flip(1)))


def test_semantic_features_come_out_at_a_quarter_of_the_size() -> None:
    settings = preset("lite")
    for module in (SEM(settings), DenseSemantics(settings)):
        assert module(deep_features(1), deep_features(2)).shape == (2, settings.widths[0], 16, 16)


def test_every_modality_reaches_the_semantic_features() -> None:
    sem = SEM(preset("lite"))
    ir, vi = deep_features(1), deep_features(2)
    before = sem(ir, vi)
    assert not torch.allclose(before, sem(deep_features(3), vi))
    assert not torch.allclose(before, sem(ir, deep_features(3)))


def test_the_backbone_keeps_the_size_and_gives_three_scales() -> None:
    settings = preset("lite")
    shallow = SFEB(settings.channels)(torch.rand(2, 1, 64, 32))
    assert shallow.shape == (2, settings.channels, 64, 32)
    deep = DFEB(settings)(shallow)
    assert [tuple(x.shape[1:]) for x in deep] == [(32, 16, 8), (64, 8, 4), (128, 4, 2)]
