"""Videos: frames of files, folders, webcams and streams; H.264 output; tracking between frames.

Nothing here knows the model: :func:`glip.apis.stream` detects in the frames. PyAV, OpenCV and
trackers are imported on first use.
"""
