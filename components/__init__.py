"""The pipeline's steps, one a file: read artifacts, call the library, write artifacts.

Nothing is imported here: inside a running step KFP has no `dsl.component`, and a step may use a module beside it.
"""
