"""What the other release would have answered: asked after the fact, compared, kept as numbers, examples and a page."""
