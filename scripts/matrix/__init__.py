"""Matrix of hosts: environments made one after another, in each of which the package is tested and trains."""
