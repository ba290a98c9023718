"""What the user can put right about a study."""

from nnunet_sgdc.errors import UserError


class StudyError(UserError):
    """A study file, or the place where it is to run, is not as it must be."""
