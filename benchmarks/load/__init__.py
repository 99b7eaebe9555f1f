"""What the benchmarks of the online path share: a release of full size, a generator of load, the systems measured."""
