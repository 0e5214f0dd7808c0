"""The exercises' checks: each takes an answer and says in one sentence what is wrong with it."""
