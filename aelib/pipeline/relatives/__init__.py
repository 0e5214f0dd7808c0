"""The paper's relatives, and other choices at each of its steps: what the studies compare.

    sec       expand and constrain losses (Kolesnikov & Lampert 2016)
    ilp       log-sum-exp pooling, image-level prior at test (Pinheiro & Collobert 2015)
    targets   what a network may learn from beside S: S-hat, hard or soft, or its own answer
    fills     what erased pixels become
    merging   other rules for doubtful pixels of S

All are pure functions. The stages call them where a setting asks for it; with the defaults only the
paper's own functions run.
"""
