"""Scores and pictures of predictions."""

from nnunet_sgdc.evaluation.gallery import draw_case, draw_contact_sheet
from nnunet_sgdc.evaluation.panel import Panel
from nnunet_sgdc.evaluation.scores import Scores, score_masks

__all__ = ["Panel", "Scores", "draw_case", "draw_contact_sheet", "score_masks"]
