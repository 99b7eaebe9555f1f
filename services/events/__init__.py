"""What people are shown and what they do: records, the spool that keeps them, and the collector that takes them."""
