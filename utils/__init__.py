"""Helpers shared by all lessons: models, plots, checks. Nothing that a lesson teaches is here."""
