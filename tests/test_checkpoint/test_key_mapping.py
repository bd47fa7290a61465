"""The names of every parameter in the three namings."""

import pytest

from glip.checkpoint import compare, convert, find_state_dict
from glip.checkpoint.key_mapping import KeyMapping
from tests.test_checkpoint.conftest import LETTERS

#: Official keys that hold no parameter of the released models.
BUFFERS = (".relative_position_index", ".attn_mask", ".position_ids")


@pytest.mark.parametrize(
    ("glip", "official", "mmdet"),
    [
        (
            "backbone.patch_embed.proj.weight",
            "backbone.body.patch_embed.proj.weight",
            "backbone.patch_embed.projection.weight",
        ),
        (
            "backbone.stages.2.blocks.5.attn.relative_position_bias_table",
            "backbone.body.layers.2.blocks.5.attn.relative_position_bias_table",
            "backbone.stages.2.blocks.5.attn.w_msa.relative_position_bias_table",
        ),
        (
            "backbone.stages.0.blocks.1.mlp.fc1.bias",
            "backbone.body.layers.0.blocks.1.mlp.fc1.bias",
            "backbone.stages.0.blocks.1.ffn.layers.0.0.bias",
        ),
        (
            "backbone.stages.1.downsample.reduction.weight",
            "backbone.body.layers.1.downsample.reduction.weight",
            "backbone.stages.1.downsample.reduction.weight",
        ),
        ("backbone.norm3.weight", "backbone.body.norm3.weight", "backbone.norm3.weight"),
        (
            "neck.inner_blocks.0.0.weight",
            "backbone.fpn.fpn_inner2.weight",
            "neck.lateral_convs.0.conv.weight",
        ),
        (
            "neck.extra_blocks.p7.bias",
            "backbone.fpn.top_blocks.p7.bias",
            "neck.fpn_convs.4.conv.bias",
        ),
        (
            "language_model.bert.encoder.layer.11.output.dense.weight",
            "language_backbone.body.model.encoder.layer.11.output.dense.weight",
            "language_model.language_backbone.body.model.encoder.layer.11.output.dense.weight",
        ),
        (
            "bbox_head.tower.blocks.1.fusion.gamma_v",
            "rpn.head.dyhead_tower.3.b_attn.gamma_v",
            "bbox_head.head.dyhead_tower.3.b_attn.gamma_v",
        ),
        (
            "bbox_head.tower.blocks.1.text_layer.query.weight",
            "rpn.head.dyhead_tower.4.attention.self.query.weight",
            "bbox_head.head.dyhead_tower.4.attention.self.query.weight",
        ),
        (
            "bbox_head.tower.blocks.1.dyconv.coarser.gn.weight",
            "rpn.head.dyhead_tower.5.DyConv.0.bn.weight",
            "bbox_head.head.dyhead_tower.5.dyconvs.0.bn.weight",
        ),
        (
            "bbox_head.tower.blocks.0.dyconv.finer.conv.bias",
            "rpn.head.dyhead_tower.2.DyConv.2.conv.bias",
            "bbox_head.head.dyhead_tower.2.dyconvs.2.conv.bias",
        ),
        (
            "bbox_head.tower.blocks.7.dyconv.scale_attention.weight",
            "rpn.head.dyhead_tower.23.AttnConv.1.weight",
            "bbox_head.head.dyhead_tower.23.attnconv.1.weight",
        ),
        ("bbox_head.scales.4", "rpn.head.scales.4.scale", "bbox_head.head.scales.4.scale"),
        (
            "language_model.prompt.weight",
            "rpn.head.tunable_linear.weight",
            "bbox_head.head.tunable_linear.weight",
        ),
    ],
)
def test_three_namings(glip, official, mmdet):
    names = {"glip": glip, "official": official, "mmdet": mmdet}
    for source, before in names.items():
        for target, after in names.items():
            assert KeyMapping(source, target, num_blocks=8, fused=True)(before) == after


def test_without_fusion_a_block_is_one_module():
    rename = KeyMapping("glip", "official", num_blocks=6, fused=False)
    assert (
        rename("bbox_head.tower.blocks.5.dyconv.offset.weight")
        == "rpn.head.dyhead_tower.5.offset.weight"
    )
    assert rename("bbox_head.tower.blocks.5.fusion.gamma_v") is None


@pytest.mark.parametrize(
    "key",
    [
        "",
        "rpn",
        "rpn.head",
        "rpn.head.bbox_predictor.weight",
        "rpn.head.dyhead_tower.99.offset.weight",
        "backbone.body.norm4.weight",
        "backbone.fpn.fpn_inner1.weight",
        "backbone.body.layers.x.blocks.0.norm1.weight",
        "bbox_head.scales.0",  # ours, not theirs
        "xbackbone.body.norm3.weight",
    ],
)
def test_unknown_keys(key):
    assert KeyMapping("official", "glip", num_blocks=8, fused=True)(key) is None


@pytest.mark.parametrize("naming", ["official", "mmdet"])
def test_round_trip(naming, shipped):
    for name, state_dict in shipped.items():
        keys = [key for key in state_dict if not key.endswith("_extra_state")]
        options = dict(num_blocks=8, fused="_a_" not in name)
        there = list(map(KeyMapping("glip", naming, **options), keys))
        assert len(set(there)) == len(keys)
        assert list(map(KeyMapping(naming, "glip", **options), there)) == keys


# --- the full-size models -------------------------------------------------------------------------


@pytest.mark.parametrize("naming", ["", "mmdet_"])
@pytest.mark.parametrize("letter", LETTERS)
def test_every_published_key_is_known(letter, naming, golden_keys, shipped):
    keys = golden_keys(naming + letter)
    conversion = convert(find_state_dict(keys))
    assert conversion.source == ("mmdet" if naming else "official")
    assert conversion.unexpected == []
    assert all(
        key.endswith(BUFFERS) or ".cls_logits." in key or ".cell_anchors." in key
        for key in conversion.ignored
    )
    # Names and shapes are those of the config.
    report = compare(conversion, shipped[LETTERS[letter]])
    assert report.ok, str(report)
    assert LETTERS[letter] in report.fits
    assert report.converted + len(report.ignored) == len(keys)


@pytest.mark.parametrize("target", ["official", "mmdet"])
@pytest.mark.parametrize("letter", LETTERS)
def test_one_naming_becomes_the_other(letter, target, golden_keys):
    files = {"official": letter, "mmdet": f"mmdet_{letter}"}
    given = find_state_dict(golden_keys(files.pop(target)))
    source = convert(find_state_dict(golden_keys(*files.values())))
    made = convert(source.state_dict, target).state_dict
    ignored = convert(given).ignored
    assert made.keys() == given.keys() - ignored.keys()
    for key, value in made.items():
        assert value.shape == given[key].shape, key
