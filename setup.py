"""Installs the library and the `textregion` command with pip; ROS goes by CMakeLists.txt."""

from setuptools import find_packages, setup

setup(
    name="textregion_ros",
    version="0.1.0",
    description="Text-aligned region tokens: sentences to masks, boxes and scores",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(
        include=["textregion_ros", "textregion_ros.*"],
        exclude=["textregion_ros.node", "textregion_ros.node.*"],
    ),
    package_data={
        "": ["*"],
        "textregion_ros.regions": ["profiles/*.yaml"],
        "textregion_ros.evaluation": ["datasets/*.yaml", "protocols/*.yaml"],
    },
    # The versions that are tested are in requirements.txt.
    install_requires=[
        "torch",
        "torchvision",
        "open_clip_torch",
        "timm",
        "sam2",
        "hydra-core",
        "omegaconf",
        "numpy",
        "scipy",
        "opencv-python-headless",
        "pillow",
        "safetensors",
        "huggingface_hub",
        "PyYAML",
        "dacite",
        "supervision",
        "rosbags",
        "rosbags-image",
        "mcap",
        "typer",
        "rich",
        "tqdm",
    ],
    extras_require={"siglip2": ["transformers"], "training": ["mujoco", "pyvista", "scikit-image"]},
    entry_points={"console_scripts": ["textregion = textregion_ros.app.cli:app"]},
)
