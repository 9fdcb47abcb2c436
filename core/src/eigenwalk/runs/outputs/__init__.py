"""What people look at: pictures, video, plot, table and report of walked paths.

Every function here takes finished or unfinished `Path`s and returns bytes or text; `folder` alone writes.
Nothing here computes a feature or imports torch.
"""
