"""Scores and pictures of predictions."""

from nnunet_sgdc.evaluation.boundary_map import BoundaryMapper
from nnunet_sgdc.evaluation.gallery import Panel, draw_gallery
from nnunet_sgdc.evaluation.scores import Scores, score_masks

__all__ = ["BoundaryMapper", "Panel", "Scores", "draw_gallery", "score_masks"]
