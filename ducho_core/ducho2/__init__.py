"""Configurations of Ducho 2.0: read, checked, translated into extractions and exports."""
