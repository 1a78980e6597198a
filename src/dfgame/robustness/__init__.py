"""Videos made worse, and attacked -> a detector's AUC at every strength.

`points` says what is done how strongly, `transform` does it to frames, `job` to a whole video, whose faces it cuts out
again; `subjects` are the detectors, `attack` the adversaries against them; `scores` keeps what was scored, `curves`
makes the curves of it, and `measure` runs all of it.
"""
