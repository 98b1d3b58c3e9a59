"""The page: chat on one side, evidence on the other."""
