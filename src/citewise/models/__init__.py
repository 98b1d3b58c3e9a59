"""Model files that travel with the package, each folder with its card, licence and checksums."""
