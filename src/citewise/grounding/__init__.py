"""Whether a claim is backed by the words it cites, and proof of it later."""
