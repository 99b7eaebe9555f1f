"""Simulated canaries: a crowd, its observations, and the policies that judge them."""
