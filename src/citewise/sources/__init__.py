"""Readers: one file format each; every one yields papers or rejections."""
