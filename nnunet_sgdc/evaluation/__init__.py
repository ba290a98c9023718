"""Scores and pictures of predictions.

Nothing is imported here but scores, as every process that scores imports this.
"""

from nnunet_sgdc.evaluation.metrics import ClassScores, Settings, score_case, score_class
from nnunet_sgdc.evaluation.scores import Scores, score_masks

__all__ = ["ClassScores", "Scores", "Settings", "score_case", "score_class", "score_masks"]
