"""Structurally-Guided Dynamic Convolution (SGDC) for nnU-Net v2.

This module imports nothing: `import torch` reaches it through the autoload entry point while torch itself is still
being imported.
"""

__version__ = "0.1.0"
