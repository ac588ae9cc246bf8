"""How the weights that ship were made from the packages they come from."""
