"""Papers in SQLite, passages in Chroma, words in tantivy, behind one door."""
