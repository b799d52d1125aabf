"""Evaluation of one model on a folder of labelled images: subgroups, corruptions, calibration, shortcuts."""
