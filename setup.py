"""Packaging of nnunet_sgdc.

`planners/` and `trainers/` stand at the top of the repository because they are doors through which nnU-Net comes in;
they are installed as `nnunet_sgdc.planners` and `nnunet_sgdc.trainers`.
"""

from pathlib import Path

from setuptools import find_packages, setup

LIBRARY = ["nnunet_sgdc", *(f"nnunet_sgdc.{name}" for name in find_packages("nnunet_sgdc"))]

COMMANDS = {
    "nnunet_sgdc-convert-conic": "nnunet_sgdc.datasets.convert_conic:main",
    "nnunet_sgdc-convert-isic": "nnunet_sgdc.datasets.convert_isic:main",
    "nnunet_sgdc-convert-ph2": "nnunet_sgdc.datasets.convert_ph2:main",
    "nnunet_sgdc-convert-phantoms": "nnunet_sgdc.datasets.convert_phantoms:main",
    "nnunet_sgdc-compare": "nnunet_sgdc.comparison.compare_command:main",
    "nnunet_sgdc-demo": "nnunet_sgdc.demo:main",
    "nnunet_sgdc-doctor": "nnunet_sgdc.doctor:main",
    "nnunet_sgdc-evaluate": "nnunet_sgdc.evaluation.evaluate_command:main",
    "nnunet_sgdc-plan": "nnunet_sgdc.planning.plan_command:main",
    "nnunet_sgdc-profile": "nnunet_sgdc.profiling.profile_command:main",
    "nnunet_sgdc-restore": "nnunet_sgdc.datasets.restore:main",
    "nnunet_sgdc-show": "nnunet_sgdc.evaluation.show_command:main",
    "nnunet_sgdc-study": "nnunet_sgdc.study.study_command:main",
}

setup(
    name="nnunet_sgdc",
    version="0.1.0",
    description="Structurally-Guided Dynamic Convolution (SGDC) with boundary supervision as an nnU-Net v2 plugin",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=[*LIBRARY, "nnunet_sgdc.planners", "nnunet_sgdc.trainers"],
    package_dir={
        "nnunet_sgdc": "nnunet_sgdc",
        "nnunet_sgdc.planners": "planners",
        "nnunet_sgdc.trainers": "trainers",
    },
    package_data={
        "nnunet_sgdc": ["py.typed", "ext_trainers/*.py"],
        "nnunet_sgdc.comparison": ["report.css", "report.html.jinja", "report.js"],
    },
    install_requires=[
        # 2.8 is the first with nnUNet_extTrainer; the trainer hooks change between minor versions, so each new one is
        # tried before it is let in.
        "nnunetv2>=2.8,<2.9",
        # torch.backends autoload, through which nnU-Net finds the trainers, came with 2.5.
        "torch>=2.5",
        "numpy",
        # The first with ImageDraw.circle.
        "pillow>=10.4",
        "scipy",
        "matplotlib",
        "tqdm",
        # Folds, perceptual hashes and the table of PH2.
        "scikit-learn>=1.6",
        "imagehash",
        "openpyxl",
        # Per-case tables; their renderings on the screen and in Markdown need tabulate, those in LaTeX jinja2,
        # as reports do.
        "pandas>=2.1",
        "tabulate",
        "jinja2",
        # Study files, their jobs on this machine or under Slurm, and the live table of them.
        "pydantic>=2",
        "pyyaml",
        "submitit>=1.5",
        "rich",
    ],
    extras_require={
        # The challenge's own scorer. It needs zipfile-deflate64, which has to be compiled from Python 3.11 on, so only
        # those who want official scores should need a compiler.
        "isic": ["isic-challenge-scoring>=5.6"],
        "dev": [
            "build",
            "hypothesis",
            "import-linter",
            "mypy",
            # Groups of linked images from a second library.
            "networkx",
            "pre-commit",
            "pytest",
            # Drives the Chromium of the machine, in which reports are tested.
            "playwright",
            # The build backend itself, for the tests that build without a network.
            "setuptools>=77",
            # One linter version, so that a new rule never turns an old commit red.
            "ruff==0.17.*",
            # Other libraries are the oracles of our scores; docs/distances.md explains where they differ.
            "isic-challenge-scoring>=5.6",
            "medpy",
            "monai",
            "scikit-image",
            "surface-distance",
        ],
    },
    entry_points={
        "console_scripts": [f"{command} = {target}" for command, target in COMMANDS.items()],
        # `import torch` calls this in every process; it tells nnU-Net where our trainers are.
        "torch.backends": ["nnunet_sgdc = nnunet_sgdc.discovery:register_trainers"],
    },
    classifiers=[
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Image Processing",
    ],
)
