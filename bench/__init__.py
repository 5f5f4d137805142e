"""Measurements of Fanlight and its peers on the same shapes, and of what fast paths cost in quality.  No part of the package.

python -m bench run       speed, load and memory of every engine; JSON lines and a table
python -m bench make      the random models alone
python -m bench report    table and plots of recorded rows
python -m bench profile   where a step's time goes, launch by launch
python -m bench check     kernels against NumPy, in a page
python -m bench quality   perplexity of the fast paths against NumPy on the same weights
"""
