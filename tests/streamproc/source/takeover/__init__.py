"""Decoder children that do what an exploited one would, in the product's own nursery."""
