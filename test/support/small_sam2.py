"""A small SAM 2 on a trunk such as the published ones have."""

from importlib.resources import files

from omegaconf import OmegaConf

from textregion_ros.regions.proposers.sam2_model import read_sam2_config

HIERA = {
    "_target_": "sam2.modeling.backbones.hieradet.Hiera",
    "embed_dim": 32,
    "num_heads": 1,
    "stages": [1, 2, 4, 1],
    "global_att_blocks": [4, 6],
    "window_spec": [8, 4, 4, 2],
    "window_pos_embed_bkg_spatial_size": [6, 6],
}


def sam2_config(**changes):
    """The demo SAM 2 at a third of its image size, on a trunk such as the published ones have."""
    config = OmegaConf.to_container(
        read_sam2_config(files("textregion_ros.models.demo") / "sam2.yaml")
    )
    config["image_size"] = 128
    config["image_encoder"]["trunk"] = HIERA
    config["image_encoder"]["neck"]["backbone_channel_list"] = [256, 128, 64, 32]
    return {**config, **changes}
