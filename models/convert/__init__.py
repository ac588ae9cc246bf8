"""Conversion of upstream packages' weights to the files that ship with the product."""
