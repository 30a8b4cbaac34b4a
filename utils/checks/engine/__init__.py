"""The check engine: exercises as data, watching an answer, naming its mistake, wording it."""
