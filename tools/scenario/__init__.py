"""A year in a practice: 1 GP, 1 nurse, 1 pharmacy and their insured people; five ledgers that must agree."""
