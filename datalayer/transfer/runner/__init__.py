"""Carries plans out: copies, follows changes, verifies, deletes what was moved, and takes it back.

``runner`` goes through the steps of a plan; each step is a file of its own.
"""
