"""Regenerates the model: data, augmentation, network, fitting, calibration, export."""
