"""The command that tells what a training will cost before anyone trains."""
