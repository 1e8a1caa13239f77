//! Which objects of a study are findings of the AI platform.
