"""Published data sets into nnU-Net's raw format, and phantoms for trials without any.

Nothing here imports torch or nnU-Net, so that the commands start at once.
"""
