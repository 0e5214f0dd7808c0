"""What is looked at: creatures, VOC 2012, and folders of your own pictures.

Every data set offers the same names, see `base.DataSet`. Only `samples` imports torch: processes
that read pictures need not load it.
"""
