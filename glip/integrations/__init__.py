"""Detectors in the form that other libraries ask for; each module imports its library on use."""
