"""How the defaults of SGDCConfig were chosen: short trainings of variants with equal steps, data and seeds."""
