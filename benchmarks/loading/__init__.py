"""Cost of a sample from the store and from its peers, all on the same clips and places, in one run; see __main__.py."""
