"""Truth: tables of trained architectures, and training what they lack."""
