"""Comparison of trainers on the same cases."""
