"""Inputs that are not as a release should be, and what the converters must do with each."""
