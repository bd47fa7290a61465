"""The formats that labels are written in, each made of the detections of a finished run.

``export.py`` lists them and holds what their modules need; ``xml_files.py`` writes Pascal VOC and
CVAT, the others have a module each.
"""
