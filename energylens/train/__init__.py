"""Adversarial training: objectives as rows of a table, one loop, and the demo zoo."""
