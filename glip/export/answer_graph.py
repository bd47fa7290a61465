"""The part of the model that joins image and text: the tower and the three dense predictions.

Shapes: B images, T tokens of D channels, level i of size H_i x W_i, N positions of all levels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glip.export.tower_graph import TowerGraph
from glip.models import GLIP
from glip.models.ops.blockwise_attention import CLAMP


class AnswerGraph(nn.Module):
    """Feature maps and text features to the raw outputs of the head, all levels in one tensor.

    Args:
        model: the detector, in evaluation mode.
    """

    def __init__(self, model: GLIP):
        super().__init__()
        self.head = model.bbox_head
        self.tower = TowerGraph(model.bbox_head.tower) if model.bbox_head.tower.early_fuse else None

    def forward(
        self,
        level_0: Tensor,
        level_1: Tensor,
        level_2: Tensor,
        level_3: Tensor,
        level_4: Tensor,
        hidden: Tensor,
        mask: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the dense predictions.

        Args:
            level_0, level_1, level_2, level_3, level_4: (B, C, H_i, W_i), finest first.
            hidden: (B, T, D) text features, zeros beyond each caption.
            mask: (B, T) bool, true on real tokens.

        Returns:
            token logits (B, N, T), box deltas (B, N, 4) and centerness logits (B, N).
        """
        levels = [level_0, level_1, level_2, level_3, level_4]
        if self.tower is not None:
            levels, hidden = self.tower(levels, hidden, mask)
        head, token_logits = self.head, self.head.token_logits
        # F.normalize, as a sum of squares, which every exporter knows.
        norm = (hidden * hidden).sum(-1, keepdim=True).sqrt().clamp(min=1e-12)
        embedding = hidden / norm
        words = token_logits.projection(embedding / 2) / token_logits.log_scale.exp()
        bias = (embedding * token_logits.bias_lang).sum(-1) + token_logits.bias0
        deltas = [
            (head.bbox_pred(level) * scale).flatten(2)
            for level, scale in zip(levels, head.scales, strict=True)
        ]
        centerness = [head.centerness(level).flatten(1) for level in levels]
        visual = torch.cat([level.flatten(2) for level in levels], dim=2).transpose(1, 2)
        logits = visual @ words.transpose(1, 2) + bias[:, None]
        return (
            logits.clamp(-CLAMP, CLAMP),
            torch.cat(deltas, dim=2).transpose(1, 2),
            torch.cat(centerness, dim=1),
        )


class TextGraph(nn.Module):
    """The language encoder, with the layers of transformers' BERT.

    Its own forward makes masks and checks sizes in ways that change between versions and that
    exporters do not follow; the names of the layers are those of checkpoints, which stay.

    Args:
        model: the detector, in evaluation mode.
    """

    def __init__(self, model: GLIP):
        super().__init__()
        self.bert = model.language_model.bert
        self.prompt = model.language_model.prompt

    def forward(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        """Encode captions.

        Args:
            input_ids: (B, T) token ids.
            mask: (B, T) bool, true on real tokens.

        Returns:
            (B, T, D); the features of padding have no meaning.
        """
        bert, (batch, tokens) = self.bert, input_ids.shape
        embeddings = bert.embeddings
        positions = torch.arange(tokens, device=input_ids.device)
        x = embeddings.word_embeddings(input_ids) + embeddings.token_type_embeddings.weight[0]
        x = embeddings.LayerNorm(x + embeddings.position_embeddings(positions))
        heads = bert.config.num_attention_heads
        lowest = torch.finfo(x.dtype).min

        def split(each: Tensor) -> Tensor:
            return each.reshape(batch, tokens, heads, -1).transpose(1, 2)

        for layer in bert.encoder.layer:
            own = layer.attention.self
            query, key, value = split(own.query(x)), split(own.key(x)), split(own.value(x))
            logits = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
            attention = torch.where(mask[:, None, None], logits, lowest).softmax(-1)
            out = (attention @ value).transpose(1, 2).reshape(batch, tokens, -1)
            x = layer.attention.output.LayerNorm(layer.attention.output.dense(out) + x)
            hidden = F.gelu(layer.intermediate.dense(x))
            x = layer.output.LayerNorm(layer.output.dense(hidden) + x)
        if self.prompt is not None:
            x = x + self.prompt(positions)
        return x
