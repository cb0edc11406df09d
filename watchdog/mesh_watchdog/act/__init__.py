"""Carries out what the policy decided."""
