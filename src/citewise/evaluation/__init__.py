"""Measures of answers, citations, retrieval and checking on fixed questions."""
