"""What is watched: every exported series, and the progress of a pipeline's steps."""
