"""A world in which everything fails at some time: what the function is put through by `test_chaos.py`.

`clock` sets the function's time, `world` has the files, posts and configuration of each day, `faults` decides what fails,
`services` are the stand-ins that fail, `events` delivers and retries events like Lambda, `messages` reads what channels
have received, and `oracle` holds it against what was due.
"""
