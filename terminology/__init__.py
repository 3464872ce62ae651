"""Vaccine codes and what they mean: a library on its own."""
