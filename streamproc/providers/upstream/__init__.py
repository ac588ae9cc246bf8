"""The `upstream` provider: another Video API computes, and its stream becomes our log."""
