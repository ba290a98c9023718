"""Our surface distances beside those of MONAI, surface-distance and MedPy, with every difference explained."""
