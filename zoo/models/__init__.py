"""The models of this zoo: one module per family, one entry function per variant."""
