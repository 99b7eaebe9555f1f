"""Every performance and quality claim of Rankloop, one command each: `python -m benchmarks NAME`.

A benchmark is a module here with `def run(quick: bool) -> Result`. It runs ours and the alternatives in
turn, and states its bars in numbers. It is not a test: its seconds depend on the machine, so only
`--check` fails on them.
"""
