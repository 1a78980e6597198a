"""The commands of the published code, word for word: detect_gen.py, detect_grad.py and eval.py in the root.

`options` is the one table of what there is; the others translate it into the package's settings.
"""
