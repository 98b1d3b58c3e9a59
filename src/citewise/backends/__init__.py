"""Who writes the answer: the papers' own sentences, or a language model."""
