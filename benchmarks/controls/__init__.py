"""What the benchmark `control` and the crash tests need: a world to control, and control planes that are killed."""
