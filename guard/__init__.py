"""`guard`: secrets enter a program only through a hidden prompt, and do not come out again.

Any program can use it; it knows nothing of `twg`. Start from `Custody`, which makes `Secret`s and
answers for each: the scrubber learns it, the audit record notes every `reveal`.
"""
